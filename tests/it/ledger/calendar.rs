//! Calendar windows, worked out by the library of calendars and not by the product.

use jiff::{ToSpan, Unit as Round, Zoned, tz::TimeZone};

const MINUTE: i64 = 60_000;

/// What a quota counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Unit {
    pub(super) const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first word of a refusal.
    pub(super) const fn adjective(self) -> &'static str {
        match self {
            Self::Minute => "Per-minute",
            Self::Hour => "Hourly",
            Self::Day => "Daily",
            Self::Week => "Weekly",
            Self::Month => "Monthly",
        }
    }

    /// The window around a moment, in milliseconds since the epoch: its first moment, and the first of the next one.
    pub(super) fn window(self, moment: i64) -> (i64, i64) {
        match self {
            Self::Minute => fixed(moment, MINUTE),
            Self::Hour => fixed(moment, 60 * MINUTE),
            Self::Day => fixed(moment, 24 * 60 * MINUTE),
            Self::Week => {
                let midnight = day(moment);
                let since_monday = i64::from(midnight.weekday().to_monday_zero_offset());
                let monday = midnight.checked_sub(since_monday.days()).expect("a date");
                between(&monday, &monday.checked_add(7.days()).expect("a date"))
            }
            Self::Month => {
                let first = day(moment).first_of_month().expect("a date");
                between(&first, &first.checked_add(1.month()).expect("a date"))
            }
        }
    }
}

fn fixed(moment: i64, length: i64) -> (i64, i64) {
    let start = moment - moment.rem_euclid(length);
    (start, start + length)
}

fn day(moment: i64) -> Zoned {
    let at = jiff::Timestamp::from_millisecond(moment).expect("a moment").to_zoned(TimeZone::UTC);
    at.round(jiff::ZonedRound::new().smallest(Round::Day).mode(jiff::RoundMode::Floor)).expect("a date")
}

fn between(start: &Zoned, end: &Zoned) -> (i64, i64) {
    (start.timestamp().as_millisecond(), end.timestamp().as_millisecond())
}

/// A timestamp of an answer, in milliseconds since the epoch.
pub(crate) fn millis(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A moment as a timestamp.
pub(crate) fn text(moment: i64) -> String {
    jiff::Timestamp::from_millisecond(moment).expect("a moment").to_string()
}

#[test]
fn the_oracles_own_windows_are_those_of_the_calendar() {
    let moment = millis("2027-02-28T23:59:59.999Z").expect("a timestamp"); // a Sunday
    let windows = Unit::ALL.map(|unit| unit.window(moment)).map(|(start, end)| (text(start), text(end)));
    let expected = [
        ("2027-02-28T23:59:00Z", "2027-03-01T00:00:00Z"),
        ("2027-02-28T23:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-02-22T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"),
    ];
    assert_eq!(windows, expected.map(|(start, end)| (start.to_owned(), end.to_owned())));
}
