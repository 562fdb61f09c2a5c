//! Which of default, tier and overrides applies, when.

use proptest::prelude::*;

use super::*;
use crate::domain::bound::{Bound, Quantity};
use crate::domain::limit_key::Kind;
use crate::domain::testing::*;

fn over(id: &str, mode: Mode, value: Value, starts_at: UtcMillis, expires_at: Option<UtcMillis>) -> Override {
    Override { id: named(id), limit_key: named("some_limit"), mode, value, starts_at, expires_at }
}

fn max(number: u64) -> Value {
    Value::Max(limited(number))
}

fn applied(overrides: &[Override]) -> Effective {
    effective(max(1), Some(max(10)), overrides.iter(), now())
}

fn from_override(value: Value) -> Effective {
    Effective { value, source: Source::Override }
}

fn started(id: &str, mode: Mode, value: Value) -> Override {
    over(id, mode, value, now().plus_millis(-5_000), None)
}

#[test]
fn a_tier_stands_above_the_default() {
    assert_eq!(applied(&[]), Effective { value: max(10), source: Source::Tier });
    assert_eq!(effective(max(1), None, [].iter(), now()), Effective { value: max(1), source: Source::Default });
}

#[test]
fn a_set_override_replaces_the_tier_even_with_less() {
    assert_eq!(applied(&[started("ovr_1", Mode::Set, max(3))]), from_override(max(3)));
    let nothing = [started("ovr_1", Mode::Set, max(0))];
    assert_eq!(effective(max(1), None, nothing.iter(), now()), from_override(max(0)));
}

#[test]
fn the_set_override_that_started_last_wins_and_of_those_the_newest() {
    let earlier = over("ovr_9", Mode::Set, max(3), now().plus_millis(-2), None);
    let later = over("ovr_1", Mode::Set, max(4), now().plus_millis(-1), None);
    let newest = over("ovr_2", Mode::Set, max(5), now().plus_millis(-1), None);
    let all = [earlier, later, newest];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let ordered = order.map(|index: usize| all[index].clone());
        assert_eq!(applied(&ordered), from_override(max(5)), "{order:?}");
        let two: Vec<Override> = ordered.into_iter().filter(|candidate| candidate.id.as_str() != "ovr_2").collect();
        assert_eq!(applied(&two), from_override(max(4)), "{order:?}");
    }
}

#[test]
fn add_overrides_add_up_on_whatever_stands_below() {
    let two = [started("ovr_1", Mode::Add, max(5)), started("ovr_2", Mode::Add, max(7))];
    assert_eq!(applied(&two), from_override(max(22)));
    assert_eq!(effective(max(1), None, two.iter(), now()), from_override(max(13)));
    let [one, other] = two;
    assert_eq!(applied(&[one, started("ovr_3", Mode::Set, max(2)), other]), from_override(max(14)));
}

#[test]
fn an_override_applies_from_its_start_until_just_before_its_end() {
    let table = [(0, None, true), (1, None, false), (-1, Some(0), false), (-1, Some(1), true), (0, Some(1), true)];
    for (start, end, applies) in table {
        let expires_at = end.map(|end| now().plus_millis(end));
        let set = over("ovr_1", Mode::Set, max(3), now().plus_millis(start), expires_at);
        assert_eq!(applied(&[set]).source == Source::Override, applies, "{start} to {end:?}");
    }
}

#[test]
fn what_an_add_override_does_depends_on_the_kind() {
    let added = |base, value| effective(base, None, [started("ovr_1", Mode::Add, value)].iter(), now()).value;
    assert_eq!(added(Value::Days(limited(30)), Value::Days(limited(60))), Value::Days(limited(90)));
    assert_eq!(added(Value::Min(quantity(6)), Value::Min(quantity(2))), Value::Min(quantity(8)));
    assert_eq!(added(Value::Enabled(false), Value::Enabled(true)), Value::Enabled(true));
    assert_eq!(added(Value::Enabled(true), Value::Enabled(false)), Value::Enabled(true));
    assert_eq!(added(Value::Enabled(false), Value::Enabled(false)), Value::Enabled(false));
    assert_eq!(added(max(5), Value::Max(Bound::Unlimited)), Value::Max(Bound::Unlimited));
    assert_eq!(added(Value::Max(Bound::Unlimited), max(5)), Value::Max(Bound::Unlimited));
    assert_eq!(added(Value::Max(Bound::Limited(Quantity::MAX)), max(1)), Value::Max(Bound::Limited(Quantity::MAX)));
}

prop_compose! {
    fn overrides()(
        number in any::<u32>(), is_set in any::<bool>(), bound in bounds(), start in -3..=3_i64, end in prop::option::of(-3..=3_i64),
    ) -> Override {
        let mode = if is_set { Mode::Set } else { Mode::Add };
        let expires_at = end.map(|end| now().plus_millis(end));
        over(&format!("ovr_{number:010}"), mode, Value::Max(bound), now().plus_millis(start), expires_at)
    }
}

/// The same rule told another way: sort, then sum without a limit on the numbers.
fn oracle(default: Bound, tier: Option<Bound>, overrides: &[Override]) -> (Option<u128>, Source) {
    let bound_of = |value: Value| match value {
        Value::Max(bound) => bound,
        Value::Days(_) | Value::Min(_) | Value::Enabled(_) => panic!("a max: {value:?}"),
    };
    let is_in_time = |o: &&Override| o.starts_at <= now() && o.expires_at.is_none_or(|end| end > now());
    let mut active: Vec<&Override> = overrides.iter().filter(is_in_time).collect();
    active.sort_by_key(|o| (o.starts_at, o.id.clone()));
    let set = active.iter().rev().find(|o| o.mode == Mode::Set).map(|o| bound_of(o.value));
    let added: Vec<Bound> = active.iter().filter(|o| o.mode == Mode::Add).map(|o| bound_of(o.value)).collect();
    let source = match (active.is_empty(), tier) {
        (false, _) => Source::Override,
        (true, Some(_)) => Source::Tier,
        (true, None) => Source::Default,
    };
    let base = set.or(tier).unwrap_or(default);
    let parts = std::iter::once(base).chain(added).map(|bound| bound.limit().map(|max| u128::from(max.get())));
    (parts.sum::<Option<u128>>().map(|sum| sum.min(u128::from(Quantity::MAX.get()))), source)
}

proptest! {
    /// Any mixture of overrides, in any order, gives what the sorted oracle gives.
    #[test]
    fn overrides_are_resolved_like_the_oracle_says(
        default in bounds(), tier in prop::option::of(bounds()), overrides in prop::collection::vec(overrides(), 0..6),
    ) {
        let found = effective(Value::Max(default), tier.map(Value::Max), overrides.iter(), now());
        let Value::Max(bound) = found.value else { panic!("a max: {found:?}") };
        let (expected, source) = oracle(default, tier, &overrides);
        prop_assert_eq!(bound.limit().map(|max| u128::from(max.get())), expected);
        prop_assert_eq!(found.source, source);
    }

    /// What applies always has the form that the kind takes.
    #[test]
    fn values_keep_their_form((kind, values) in kinds().prop_flat_map(|kind| (Just::<Kind>(kind), prop::collection::vec(values_of(kind), 2..6)))) {
        let added: Vec<Override> = values[1..].iter().map(|value| started("ovr_1", Mode::Add, *value)).collect();
        prop_assert!(effective(values[0], None, added.iter(), now()).value.fits(kind));
    }
}
