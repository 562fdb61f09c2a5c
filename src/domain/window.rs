//! Calendar windows of quotas, in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::issue::Invalid;
use super::time::UtcMillis;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
const WEEK: i64 = 604_800_000;
/// 1970-01-05, the first Monday after the epoch: weeks start on Mondays, as in ISO 8601.
const FIRST_MONDAY: i64 = 345_600_000;

/// The calendar unit that a quota counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From second 0 to second 0.
    Minute,
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the 1st to the 1st.
    Month,
}

/// One window: from `start`, inclusive, to `end`, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub start: UtcMillis,
    /// The first moment of the next one.
    pub end: UtcMillis,
}

impl Window {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The window that `now` falls in.
    pub fn span(self, now: UtcMillis) -> Span {
        match self {
            Self::Minute => fixed(now, MINUTE, 0),
            Self::Hour => fixed(now, HOUR, 0),
            Self::Day => fixed(now, DAY, 0),
            Self::Week => fixed(now, WEEK, FIRST_MONDAY),
            Self::Month => {
                let day = now.day();
                Span { start: day.first_of_month().start(), end: day.first_of_next_month().start() }
            }
        }
    }

    /// The word that starts the sentence of a refusal: `Daily API request limit exceeded`.
    pub const fn adjective(self) -> &'static str {
        match self {
            Self::Minute => "Per-minute",
            Self::Hour => "Hourly",
            Self::Day => "Daily",
            Self::Week => "Weekly",
            Self::Month => "Monthly",
        }
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

fn fixed(now: UtcMillis, length: i64, offset: i64) -> Span {
    let into = now.get().saturating_sub(offset).rem_euclid(length);
    let start = UtcMillis::new(now.get().saturating_sub(into));
    Span { start, end: start.plus_millis(length) }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Window {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|window| window.as_str() == text);
        found.ok_or_else(|| Invalid::new("must be one of minute, hour, day, week, month"))
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> UtcMillis {
        UtcMillis::parse(text).expect("a timestamp")
    }

    #[test]
    fn windows_start_where_the_calendar_does() {
        let now = at("2026-11-22T17:05:59.999Z"); // a Sunday
        let expected = [
            ("2026-11-22T17:05:00Z", "2026-11-22T17:06:00Z"),
            ("2026-11-22T17:00:00Z", "2026-11-22T18:00:00Z"),
            ("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ];
        for (window, (start, end)) in Window::ALL.into_iter().zip(expected) {
            assert_eq!(window.span(now), Span { start: at(start), end: at(end) }, "{window}");
        }
    }

    proptest! {
        /// Every moment falls in exactly one window, and the next one starts where it ends.
        #[test]
        fn windows_are_contiguous_and_do_not_overlap(millis in -60_000_000_000_000_i64..200_000_000_000_000, which in 0_usize..5) {
            let window = Window::ALL[which];
            let now = UtcMillis::new(millis);
            let span = window.span(now);
            prop_assert!(span.start <= now && now < span.end);
            prop_assert_eq!(window.span(span.start), span);
            prop_assert_eq!(window.span(span.end.plus_millis(-1)), span);
            prop_assert_eq!(window.span(span.end).start, span.end);
            prop_assert_eq!(window.span(span.start.plus_millis(-1)).end, span.start);
        }
    }
}
