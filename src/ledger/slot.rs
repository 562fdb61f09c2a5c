//! A counter as it runs in a batch, and how the batch sees it.

use super::counters::{CounterKey, Known};
use super::shared_rows::Versioned;
use crate::domain::counter::Counter;

/// A counter as it runs.
pub(super) struct Slot {
    pub(super) key: CounterKey,
    /// The end of its window, in milliseconds since the epoch.
    pub(super) window_end: Option<i64>,
    /// The end that its row is known to have, if it is.
    pub(super) known_end: Option<i64>,
    pub(super) counter: Counter,
    /// The version that the row had in a shared database; none without a row.
    pub(super) version: Option<i64>,
    /// The version that it gets when it is written.
    pub(super) next_version: i64,
    /// It is as memory knows it, and nobody has asked the database whether it still is.
    pub(super) is_remembered: bool,
    pub(super) is_changed: bool,
    /// It was shown beside one that is changed: it has to stay as it is until that is committed.
    pub(super) is_pinned: bool,
    /// Its row is made by this transaction.
    pub(super) is_made: bool,
}

/// How a batch sees counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// In a database that nobody else writes to.
    Alone,
    /// In a database that others write to: from memory where it knows them, and then the database says whether they still are so.
    Shared,
    /// The same, with the rows locked before they are judged: others write to the same counters all the time.
    Locked,
}

impl Slot {
    pub(super) fn new(key: CounterKey, window_end: Option<i64>) -> Self {
        let (counter, known_end, version, next_version) = (Counter::default(), None, None, 0);
        let (is_remembered, is_changed, is_pinned, is_made) = (false, false, false, false);
        Self { key, window_end, known_end, counter, version, next_version, is_remembered, is_changed, is_pinned, is_made }
    }

    /// Whether its row, if it has one, may have to say that its window ends later: the window may have become longer since, and what
    /// is swept by its end must not be swept while it counts.
    pub(super) fn may_end_later(&self) -> bool {
        self.known_end < self.window_end
    }

    /// The end that its row is known to have when the transaction is committed.
    pub(super) fn known_end_after(&self) -> Option<i64> {
        if self.is_written() { self.known_end.max(self.window_end) } else { self.known_end }
    }

    /// Takes over what memory knows of it.
    pub(super) fn remember(&mut self, Known { counter, version, .. }: Known) {
        (self.counter, self.is_remembered) = (counter, true);
        self.is_of(version);
    }

    /// Takes over what was found of it.
    pub(super) fn find(&mut self, (counter, version): Versioned) {
        self.counter = counter;
        self.is_of(version);
    }

    fn is_of(&mut self, version: Option<i64>) {
        self.version = version;
        if let Some(version) = version {
            self.next_version = version.saturating_add(1);
        }
    }

    /// Lets it stay as it is until the transaction ends, unless it is changed anyway.
    pub(super) fn pin(&mut self) {
        self.is_pinned = !self.is_changed;
        self.is_made |= self.is_pinned && self.version.is_none();
    }

    /// Whether its row is written.
    pub(super) const fn is_written(&self) -> bool {
        self.is_changed || self.is_pinned
    }

    /// Whether its row is made for nothing: nothing was taken, and there is to be none.
    pub(super) const fn is_unused(&self) -> bool {
        self.is_made && !self.is_changed
    }

    /// The version of its row when the transaction is committed.
    pub(super) const fn version_after(&self) -> Option<i64> {
        if self.is_unused() {
            None
        } else if self.is_written() {
            Some(self.next_version)
        } else {
            self.version
        }
    }
}
