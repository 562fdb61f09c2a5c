//! What may be read of a range of history, day by day.

use proptest::prelude::*;

use super::*;
use crate::domain::ask::Question;
use crate::domain::bound::Quantity;
use crate::domain::decision::{Decision, Detail, Facts};
use crate::domain::limit_key::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::testing::*;
use crate::domain::value::Value;

fn asked(days: Bound, from: Moment, to: Option<Moment>) -> Decision {
    judge(&key_of(Kind::Retention), Value::Days(days), &Question::Read { from, to }, &Facts::default())
}

fn is_allowed(days: u64, from: &str) -> bool {
    asked(limited(days), Moment::parse(from).expect("a moment"), None).refusal.is_none()
}

fn permitted(decision: &Decision) -> Option<Range> {
    match decision.detail {
        Detail::Retention { permitted, .. } => permitted,
        Detail::Count(_) | Detail::Quota { .. } | Detail::Rate { .. } | Detail::Interval { .. } | Detail::Feature { .. } => {
            panic!("not a retention: {decision:?}")
        }
    }
}

/// Ranges that do not end before they start, as a question may hold them.
fn ranges() -> impl Strategy<Value = Range> {
    let pairs = (moments_near_now(), moments_near_now());
    pairs.prop_map(|(a, b)| if a.is_after(b) { Range { from: b, to: a } } else { Range { from: a, to: b } })
}

fn retentions() -> impl Strategy<Value = Bound> {
    let near = (0..45_u64).prop_map(limited);
    prop_oneof![8 => near, 1 => Just(Bound::Unlimited), 1 => Just(Bound::Limited(Quantity::MAX))]
}

fn holds(range: Range, day: Day) -> bool {
    range.from.day() <= day && day <= range.to.day()
}

#[test]
fn the_boundary_is_a_utc_midnight() {
    let table = [
        (30, "2026-10-23", true),
        (30, "2026-10-22", false),
        (30, "2026-10-23T00:00:00Z", true),
        (30, "2026-10-22T23:59:59.999Z", false),
        (0, "2026-11-22", true),
        (0, "2026-11-22T00:00:00Z", true),
        (0, "2026-11-21T23:59:59Z", false),
        (1, "2026-11-21", true),
        (365, "2025-11-22", true),
        (365, "2025-11-21", false),
        (9_007_199_254_740_991, "0000-01-01", true),
    ];
    for (days, from, expected) in table {
        assert_eq!(is_allowed(days, from), expected, "{days} days from {from}");
    }
}

#[test]
fn a_range_without_an_end_ends_today_or_where_it_starts() {
    let today = Moment::Day(now().day());
    let tomorrow = Moment::Day(day("2026-11-23"));
    for (from, to) in [(Moment::Day(day("2026-11-01")), today), (Moment::Time(now()), today), (tomorrow, tomorrow)] {
        assert_eq!(permitted(&asked(limited(30), from, None)), Some(Range { from, to }));
    }
}

#[test]
fn a_refusal_names_the_days_and_the_first_of_them() {
    let refusal = asked(limited(30), Moment::Day(day("2020-01-01")), None).refusal;
    let limit_key = key_of(Kind::Retention).name;
    let earliest = day("2026-10-23");
    assert_eq!(refusal, Some(Refusal::RetentionExceeded { limit_key, retention_days: quantity(30), earliest }));
}

proptest! {
    /// A day may be read exactly when it was asked for and is not before the first day of the history.
    #[test]
    fn what_is_permitted_is_what_is_kept(range in ranges(), days in retentions(), offset in -45..5_i64) {
        let probe = now().plus_millis(offset * DAY_MILLIS).day();
        let decision = asked(days, range.from, Some(range.to));
        let is_kept = earliest(days, now()).is_none_or(|earliest| earliest <= probe);
        let is_permitted = permitted(&decision).is_some_and(|permitted| holds(permitted, probe));
        prop_assert_eq!(is_permitted, holds(range, probe) && is_kept);
    }

    /// Only a range that is permitted as a whole is allowed; what is cut keeps its end and starts on the first day.
    #[test]
    fn a_range_is_allowed_when_all_of_it_is_permitted(range in ranges(), days in retentions()) {
        let decision = asked(days, range.from, Some(range.to));
        let cut = permitted(&decision);
        prop_assert_eq!(decision.refusal.is_none(), cut == Some(range));
        if let Some(cut) = cut.filter(|cut| *cut != range) {
            prop_assert_eq!(cut.to, range.to);
            prop_assert_eq!(Some(cut.from), earliest(days, now()).map(Moment::Day));
            prop_assert!(range.from.day() < cut.from.day());
            prop_assert!(!cut.from.is_after(cut.to));
        }
    }

    /// Nothing is permitted exactly when the range ends before the history starts.
    #[test]
    fn nothing_is_permitted_of_a_range_that_is_all_pruned(range in ranges(), days in retentions()) {
        let decision = asked(days, range.from, Some(range.to));
        let is_pruned = earliest(days, now()).is_some_and(|earliest| range.to.day() < earliest);
        prop_assert_eq!(permitted(&decision).is_none(), is_pruned);
    }

    /// The first day of the history is allowed in either form, and the moment before it in neither.
    #[test]
    fn the_first_day_is_allowed_and_the_day_before_is_not(now in times(), days in 0..=364_u64) {
        let first = earliest(limited(days), now).expect("a day");
        let back = i64::try_from(days).expect("a few days") * DAY_MILLIS;
        prop_assert_eq!(first.start().get(), now.day().start().get() - back);
        let last_before = first.start().plus_millis(-1);
        let moments = [
            (Moment::Day(first), true),
            (Moment::Time(first.start()), true),
            (Moment::Time(last_before), false),
            (Moment::Day(last_before.day()), false),
        ];
        for (from, expected) in moments {
            let range = Range { from, to: Moment::Day(now.day()) };
            prop_assert_eq!(read(limited(days), range, now).permits(range), expected);
        }
    }

    /// However long the retention, the first day can be written as `YYYY-MM-DD`.
    #[test]
    fn the_first_day_can_always_be_written(now in times(), days in quantities()) {
        let first = earliest(Bound::Limited(days), now).expect("a day");
        prop_assert_eq!(Day::parse(&first.to_string()), Ok(first));
        prop_assert!(first <= now.day());
    }
}
