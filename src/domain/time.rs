//! Moments and days, all in UTC.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use serde::{Serialize, Serializer};

use super::issue::Invalid;

/// The pattern of a timestamp: RFC 3339, UTC, with `Z`; what is below a millisecond is dropped.
pub const TIMESTAMP_PATTERN: &str =
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$";
/// The pattern of a date.
pub const DATE_PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";

const SECOND: i64 = 1_000;
const NANOS_PER_MILLI: i128 = 1_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// 0000-01-01T00:00:00Z, the first moment that RFC 3339 can write.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one; many a system writes it for "never".
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMillis(i64);

impl UtcMillis {
    /// From milliseconds since the epoch, moved into the years 0 to 9999, which RFC 3339 can write.
    pub fn new(millis: i64) -> Self {
        Self(millis.clamp(FIRST_MILLIS, LAST_MILLIS))
    }

    /// From an RFC 3339 timestamp in UTC with `Z`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("must be an RFC 3339 timestamp in UTC, such as 2026-11-22T09:30:00Z");
        let civil = text.strip_suffix('Z').filter(|_| has_timestamp_shape(text.as_bytes())).ok_or_else(invalid)?;
        let civil: DateTime = civil.parse().map_err(|_| invalid())?;
        Ok(Self::of_civil(civil))
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The UTC day that it falls on.
    pub fn day(self) -> Day {
        Day(self.civil().date())
    }

    /// This much later, at most the last moment there is.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::new(self.0.saturating_add(millis))
    }

    /// This much later, at most the last moment there is.
    #[must_use]
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.plus_millis(seconds.saturating_mul(SECOND))
    }

    /// Whole seconds until `later`, rounded up, at least one: what `Retry-After` says.
    pub fn seconds_until(self, later: Self) -> u64 {
        let millis = u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0);
        millis.div_ceil(1_000).max(1)
    }

    /// Rounded towards the past, also before 1970: a moment stays on the day that it names.
    fn of_civil(civil: DateTime) -> Self {
        let millis = civil.duration_since(EPOCH).as_nanos().div_euclid(NANOS_PER_MILLI);
        Self::new(i64::try_from(millis).unwrap_or(LAST_MILLIS))
    }

    fn civil(self) -> DateTime {
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(DateTime::MAX)
    }
}

fn has_timestamp_shape(bytes: &[u8]) -> bool {
    let Some((whole, rest)) = bytes.split_at_checked(19) else { return false };
    let separators_stand = whole.iter().enumerate().all(|(position, byte)| match position {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let ends_in_utc = match rest {
        [b'Z'] => true,
        [b'.', digits @ .., b'Z'] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    separators_stand && ends_in_utc && bytes.get(17..19) != Some(b"60")
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.civil())
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A calendar day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// The first day that can be written as `YYYY-MM-DD`.
    const FIRST: Self = Self(Date::constant(0, 1, 1));

    /// From `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("must be a date, such as 2026-11-22");
        if text.len() != 10
            || !text.bytes().enumerate().all(|(at, b)| b.is_ascii_digit() || (b == b'-' && (at == 4 || at == 7)))
        {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }

    /// So many days earlier, at the earliest the first day that can be written.
    #[must_use]
    pub fn minus_days(self, days: u64) -> Self {
        let Ok(days) = i32::try_from(days) else { return Self::FIRST };
        let span = jiff::Span::new().try_days(days);
        let day = span.and_then(|span| self.0.checked_sub(span)).map_or(Self::FIRST, Self);
        day.max(Self::FIRST)
    }

    /// Its first moment.
    pub fn start(self) -> UtcMillis {
        UtcMillis::of_civil(self.0.at(0, 0, 0, 0))
    }

    /// The first day of its month.
    pub(super) fn first_of_month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// The first day of the month after its own, or the last day there is.
    pub(super) fn first_of_next_month(self) -> Self {
        Self(self.0.last_of_month().tomorrow().unwrap_or(Date::MAX))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A date or a timestamp, answered in the form that it was asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `YYYY-MM-DD`: the whole UTC day.
    Day(Day),
    /// An RFC 3339 timestamp.
    Time(UtcMillis),
}

impl Moment {
    /// From either form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let day = Day::parse(text).map(Self::Day);
        day.or_else(|_| UtcMillis::parse(text).map(Self::Time))
            .map_err(|_| Invalid::new("must be a date (2026-11-22) or an RFC 3339 timestamp in UTC (2026-11-22T09:30:00Z)"))
    }

    /// The UTC day that it names or falls on.
    pub fn day(self) -> Day {
        match self {
            Self::Day(day) => day,
            Self::Time(time) => time.day(),
        }
    }

    /// Whether a range from `self` to `end` would end before it starts. A day ends with its last moment.
    pub fn is_after(self, end: Self) -> bool {
        match (self, end) {
            (Self::Time(from), Self::Time(to)) => from > to,
            (Self::Day(_), _) | (_, Self::Day(_)) => self.day() > end.day(),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Day(day) => day.serialize(serializer),
            Self::Time(time) => time.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_with_z() {
        for good in ["2026-11-22T09:30:00Z", "2026-11-22T09:30:00.5Z", "2026-02-28T23:59:59.123456789Z", "9999-12-31T23:59:59Z"]
        {
            assert!(UtcMillis::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "2026-11-22",
            "2026-11-22T09:30:00",
            "2026-11-22T09:30:00+00:00",
            "2026-11-22t09:30:00z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22 09:30:00Z",
            "2026-11-22T09:30:60Z",
            "2026-11-22T09:30:00.Z",
            "+002026-11-22T09:30:00Z",
            "",
        ] {
            assert!(UtcMillis::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_are_answered_as_they_came() {
        for text in ["2026-11-22T09:30:00Z", "2026-11-22T09:30:00.25Z", "9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00Z"] {
            assert_eq!(UtcMillis::parse(text).map(|t| t.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_timestamp_falls_on_the_day_that_it_names() {
        for text in ["1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00.0001Z", "0001-01-01T23:59:59.999999999Z"] {
            let day = UtcMillis::parse(text).map(|time| time.day().to_string());
            assert_eq!(day.as_deref(), Ok(&text[..10]), "{text}");
        }
    }

    #[test]
    fn days_saturate_at_the_first_that_can_be_written() {
        let day = Day::parse("2026-11-22").expect("a date");
        assert_eq!(day.minus_days(30).to_string(), "2026-10-23");
        assert_eq!(day.minus_days(u64::MAX).to_string(), "0000-01-01");
        assert_eq!(day.minus_days(900_000).to_string(), "0000-01-01");
    }
}
