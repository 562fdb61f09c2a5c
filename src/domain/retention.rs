//! History retention: which part of a range of days may be read.

use serde::Serialize;

use super::bound::Bound;
use super::time::{Day, Moment, UtcMillis};

/// A range of history, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Where it starts.
    pub from: Moment,
    /// Where it ends.
    pub to: Moment,
}

/// What a retention of so many days says about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The first day that may be read; nothing when unlimited.
    pub earliest: Option<Day>,
    /// The part of the range that may be read, if any.
    pub permitted: Option<Range>,
}

impl Reading {
    /// Whether all of `range` may be read.
    pub fn permits(self, range: Range) -> bool {
        self.permitted == Some(range)
    }
}

/// The first day that may be read today: today minus the days of retention.
pub fn earliest(retention: Bound, now: UtcMillis) -> Option<Day> {
    retention.limit().map(|days| now.day().minus_days(days.get()))
}

/// Cuts `range` to what the retention leaves of it.
pub fn read(retention: Bound, range: Range, now: UtcMillis) -> Reading {
    let earliest = earliest(retention, now);
    let permitted = match earliest {
        Some(day) if range.to.day() < day => None,
        Some(day) if range.from.day() < day => Some(Range { from: Moment::Day(day), to: range.to }),
        Some(_) | None => Some(range),
    };
    Reading { earliest, permitted }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
