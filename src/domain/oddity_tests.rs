//! What is named as odd, and what is not.

use super::*;
use crate::domain::limit_key::{Archived, Kind};
use crate::domain::testing::*;

/// A plan of limit keys by kind, and of tiers by their values.
fn plan(limit_keys: &[(&str, Kind)], tiers: &[(&str, &[(&str, Value)])]) -> Plan {
    let limit_keys = limit_keys.iter().map(|(name, kind)| (named(name), limit_key(name, rule_of(*kind))));
    let tiers = tiers.iter().map(|(name, values)| {
        let limits = values.iter().map(|(limit_key, value)| (named(limit_key), (*value).into())).collect();
        (named(name), Tier { limits, ..Tier::default() })
    });
    Plan { limit_keys: limit_keys.collect(), tiers: tiers.collect() }
}

fn max(number: u64) -> Value {
    Value::Max(limited(number))
}

const UNLIMITED: Value = Value::Max(Bound::Unlimited);

fn paths(plan: &Plan) -> Vec<String> {
    plan.oddities(now()).into_iter().map(|issue| issue.path).collect()
}

#[test]
fn a_higher_tier_that_grants_less_is_odd_whatever_the_tiers_are_called() {
    let keys = [("seats", Kind::Count), ("history", Kind::Retention), ("refresh", Kind::Interval), ("sso", Kind::Feature)];
    let days = |number| Value::Days(limited(number));
    let min = |number| Value::Min(quantity(number));
    let low = [("seats", max(5)), ("history", days(30)), ("refresh", min(1)), ("sso", Value::Enabled(false))];
    let high =
        [("seats", max(50)), ("history", Value::Days(Bound::Unlimited)), ("refresh", min(6)), ("sso", Value::Enabled(true))];
    for [lower, higher] in [["a", "b"], ["b", "a"]] {
        let odd = plan(&keys, &[(lower, &low), (higher, &high)]).oddities(now());
        let path = format!("tiers.{higher}.limits.refresh");
        let message = format!("grants less than in {lower}, which is lower on the whole");
        assert_eq!(odd, [Issue::new(path, message)]);
    }
    // What a tier says nothing of has its default there.
    let silent = plan(
        &keys,
        &[("a", &low), ("b", &high.map(|(name, value)| if name == "seats" { ("sso", value) } else { (name, value) })[1..])],
    );
    assert!(paths(&silent).contains(&"tiers.b.limits.seats".to_owned()), "{:?}", paths(&silent));
}

#[test]
fn of_tiers_that_lead_as_often_the_one_that_grants_more_altogether_is_higher() {
    let keys = [("projects", Kind::Count), ("seats", Kind::Count)];
    let tiers: [(&str, &[(&str, Value)]); 2] =
        [("free", &[("seats", max(5)), ("projects", max(1))]), ("pro", &[("seats", max(3)), ("projects", max(10))])];
    assert_eq!(paths(&plan(&keys, &tiers)), ["tiers.pro.limits.seats"]);
    let alike: [(&str, &[(&str, Value)]); 2] =
        [("one", &[("seats", max(5)), ("projects", max(3))]), ("two", &[("seats", max(3)), ("projects", max(5))])];
    assert_eq!(paths(&plan(&keys, &alike)), ["tiers.one.limits.projects"; 0]);
}

#[test]
fn a_limit_key_in_no_tier_is_odd_unless_it_is_archived_or_there_is_no_tier() {
    let mut odd = plan(&[("old", Kind::Count), ("seats", Kind::Count)], &[("free", &[])]);
    odd.limit_keys.get_mut("old").expect("there").archived = Some(Archived { at: now(), replacement: None });
    assert_eq!(paths(&odd), ["limitKeys.seats"]);
    odd.tiers.clear();
    assert_eq!(paths(&odd), ["limitKeys.seats"; 0]);
}

#[test]
fn an_unlimited_rate_over_a_finite_quota_is_odd() {
    let keys = [("daily", Kind::Quota), ("v1", Kind::Rate)];
    let of = |rate: Value, quota: Value| paths(&plan(&keys, &[("free", &[("v1", rate), ("daily", quota)])]));
    assert_eq!(of(UNLIMITED, max(1_000)), ["tiers.free.limits.v1"]);
    assert_eq!(of(UNLIMITED, UNLIMITED), ["tiers.free.limits.v1"; 0]);
    assert_eq!(of(max(60), max(1_000)), ["tiers.free.limits.v1"; 0]);
}

#[test]
fn tiers_that_are_too_many_are_not_compared() {
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let keys: Vec<(&str, Kind)> = keys.iter().map(|name| (name.as_str(), Kind::Count)).collect();
    let tiers: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
    let values: Vec<(&str, Value)> = keys.iter().map(|(name, _)| (*name, max(1))).collect();
    let tiers: Vec<(&str, &[(&str, Value)])> = tiers.iter().map(|name| (name.as_str(), values.as_slice())).collect();
    assert_eq!(paths(&plan(&keys, &tiers)), ["tiers"]);
}
