//! A counter as it runs in a batch, and how the batch sees it.

use super::counters::{CounterKey, Known};
use crate::domain::counter::Counter;

/// A counter as it runs.
pub(super) struct Slot {
    pub(super) key: CounterKey,
    /// The end of its window, in milliseconds since the epoch.
    pub(super) window_end: Option<i64>,
    pub(super) counter: Counter,
    /// The version that the row had in a shared database; none without a row.
    pub(super) version: Option<i64>,
    /// The version that it gets when it is written.
    pub(super) next_version: i64,
    /// It is as memory knows it, and nobody has asked the database whether it still is.
    pub(super) is_remembered: bool,
    pub(super) is_changed: bool,
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
        let (counter, version, next_version) = (Counter::default(), None, 0);
        Self { key, window_end, counter, version, next_version, is_remembered: false, is_changed: false }
    }

    pub(super) fn remember(&mut self, Known { counter, version, .. }: Known) {
        (self.counter, self.version, self.is_remembered) = (counter, version, true);
    }
}
