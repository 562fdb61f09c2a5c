//! What merging and comparing plans keeps, changes and finds.

use proptest::prelude::*;

use super::*;
use crate::domain::limit_key::Archived;
use crate::domain::limit_key::Kind;
use crate::domain::schedule::{Schedule, Step};
use crate::domain::testing::*;

fn archives() -> impl Strategy<Value = Option<Archived>> {
    let archived = (-3..3_i64).prop_map(|offset| Archived { at: UtcMillis::new(offset), replacement: None });
    prop_oneof![3 => Just(None), 1 => archived.prop_map(Some)]
}

prop_compose! {
    fn limit_keys()(name in "[a-d]", kind in kinds(), description in "[xy]?", archived in archives()) -> LimitKey {
        LimitKey { description, archived, ..limit_key(&name, rule_of(kind)) }
    }
}

/// A value, and at times what it changes to.
fn limits() -> impl Strategy<Value = Limit> {
    let steps = prop::collection::btree_map(0..5_i64, kinds().prop_flat_map(values_of), 0..3);
    (kinds().prop_flat_map(values_of), prop_oneof![2 => Just(BTreeMap::new()), 1 => steps]).prop_map(|(value, steps)| {
        let steps = steps.into_iter().map(|(moment, to)| Step { starts_at: UtcMillis::new(moment), to }).collect();
        Limit { value, scheduled: Schedule::of(steps).expect("in order") }
    })
}

prop_compose! {
    fn tiers()(
        name in "[FG]?",
        description in "[xy]?",
        limits in prop::collection::btree_map("[a-e]".prop_map(|name| named(&name)), limits(), 0..4),
    ) -> Tier {
        Tier { name, description, limits }
    }
}

prop_compose! {
    fn plans()(
        limit_keys in prop::collection::vec(limit_keys(), 0..4),
        tiers in prop::collection::btree_map("[f-h]".prop_map(|name| named(&name)), tiers(), 0..3),
    ) -> Plan {
        Plan { limit_keys: limit_keys.into_iter().map(|limit_key| (limit_key.name.clone(), limit_key)).collect(), tiers }
    }
}

/// Does to the plan what the change says, and nothing else.
fn apply(plan: &mut Plan, change: Change) {
    match change {
        Change::LimitKey { after, .. } => {
            plan.limit_keys.insert(after.name.clone(), after);
        }
        Change::Tier { name, after, .. } => {
            let tier = plan.tiers.entry(name).or_default();
            (tier.name, tier.description) = (after.name, after.description);
        }
        Change::Limit { tier, limit_key, after, .. } => {
            plan.tiers.get_mut(&tier).expect("its tier comes first").limits.insert(limit_key, after);
        }
        Change::Gone(Gone::LimitKey(before)) => {
            assert_eq!(plan.limit_keys.remove(&before.name), Some(before));
        }
        Change::Gone(Gone::Tier { name, before }) => {
            assert_eq!(plan.tiers.remove(&name), Some(before));
        }
        // It may have gone with its tier.
        Change::Gone(Gone::Limit { tier, limit_key, before }) => {
            let held = plan.tiers.get_mut(&tier).map(|tier| tier.limits.remove(&limit_key));
            assert!(held.is_none_or(|held| held == Some(before)));
        }
    }
}

fn written(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("JSON")
}

#[test]
fn a_document_is_written_as_it_is_read() {
    let mut plan = Plan::default();
    for (name, kind) in
        [("a_count", Kind::Count), ("b_quota", Kind::Quota), ("c_rate", Kind::Rate), ("d_interval", Kind::Interval)]
    {
        plan.limit_keys.insert(named(name), limit_key(name, rule_of(kind)));
    }
    let replacement = Some(named("a_count"));
    let archived = Some(Archived { at: now(), replacement });
    plan.limit_keys.insert(named("e_old"), LimitKey { archived, ..limit_key("e_old", Rule::Feature) });
    let limits = BTreeMap::from([(named("a_count"), Value::Max(limited(5)).into())]);
    plan.tiers.insert(named("free"), Tier { name: "Free".to_owned(), description: String::new(), limits });
    let expected = concat!(
        r#"{"limitKeys":{"a_count":{"kind":"count","per":"org","default":{"max":0},"description":""},"#,
        r#""b_quota":{"kind":"quota","per":"org","window":"day","label":"API request","perRequest":false,"default":{"max":0},"description":""},"#,
        r#""c_rate":{"kind":"rate","per":"org","windowSeconds":60,"bucket":"v1Api","perRequest":false,"default":{"max":0},"description":""},"#,
        r#""d_interval":{"kind":"interval","per":"org","unit":"hours","default":{"min":0},"description":""},"#,
        r#""e_old":{"kind":"feature","per":"org","default":{"enabled":false},"description":"","archived":true,"replacement":"a_count"}},"#,
        r#""tiers":{"free":{"name":"Free","description":"","limits":{"a_count":{"max":5}}}}}"#,
    );
    assert_eq!(written(&plan), expected);
}

#[test]
fn a_change_says_where_it_is() {
    let limits = BTreeMap::from([(named("seats"), Value::Max(limited(5)).into())]);
    let limit_keys = BTreeMap::from([(named("seats"), limit_key("seats", Rule::Count))]);
    let tiers = BTreeMap::from([(named("free"), Tier { limits, ..Tier::default() })]);
    let changes = Plan::default().changes_to(&Plan { limit_keys, tiers });
    let paths: Vec<String> = changes.iter().map(Change::path).collect();
    assert_eq!(paths, ["limitKeys.seats", "tiers.free", "tiers.free.limits.seats"]);
}

#[test]
fn replacements_that_go_round_in_a_circle_contradict_each_other_and_those_that_lead_to_it_do_not() {
    let replaced_by = |name: &str, replacement: &str| {
        let archived = Some(Archived { at: now(), replacement: Some(named(replacement)) });
        (named(name), LimitKey { archived, ..limit_key(name, Rule::Count) })
    };
    let limit_keys = BTreeMap::from([replaced_by("a", "b"), replaced_by("b", "c"), replaced_by("c", "b")]);
    let found: Vec<String> =
        Plan { limit_keys, ..Plan::default() }.contradictions().into_iter().map(|issue| issue.path).collect();
    assert_eq!(found, ["limitKeys.b.replacement", "limitKeys.c.replacement"]);
}

#[test]
fn an_archive_date_stays_when_the_document_says_archived_again() {
    let archived_at = |millis| Some(Archived { at: UtcMillis::new(millis), replacement: None });
    let plan = |archived| {
        let limit_key = LimitKey { archived, ..limit_key("seats", Rule::Count) };
        Plan { limit_keys: BTreeMap::from([(named("seats"), limit_key)]), ..Plan::default() }
    };
    assert_eq!(plan(archived_at(1)).merged_with(&plan(archived_at(2))), plan(archived_at(1)));
    assert_eq!(plan(None).merged_with(&plan(archived_at(2))), plan(archived_at(2)));
    assert_eq!(plan(archived_at(1)).merged_with(&plan(None)), plan(None));
}

proptest! {
    /// A merge takes all that the change says and keeps all that it does not name.
    #[test]
    fn a_merge_deletes_nothing(base in plans(), change in plans()) {
        let merged = base.merged_with(&change);
        let names: Vec<_> = base.limit_keys.keys().chain(change.limit_keys.keys()).collect();
        prop_assert!(names.iter().all(|name| merged.limit_keys.contains_key(*name)));
        for (name, limit_key) in &merged.limit_keys {
            let said = change.limit_keys.get(name).or_else(|| base.limit_keys.get(name)).expect("it came from somewhere");
            prop_assert_eq!((&limit_key.rule, &limit_key.description), (&said.rule, &said.description));
            prop_assert_eq!(limit_key.archived.is_some(), said.archived.is_some());
        }
        for (name, tier) in &merged.tiers {
            let (old, new) = (base.tiers.get(name), change.tiers.get(name));
            let said = new.or(old).expect("it came from somewhere");
            prop_assert_eq!((&tier.name, &tier.description), (&said.name, &said.description));
            let mut limits = old.map(|old| old.limits.clone()).unwrap_or_default();
            limits.extend(new.map(|new| new.limits.clone()).unwrap_or_default());
            prop_assert_eq!(&tier.limits, &limits);
        }
        prop_assert!(base.tiers.keys().chain(change.tiers.keys()).all(|name| merged.tiers.contains_key(name)));
    }

    /// Applying the same change again changes nothing.
    #[test]
    fn applying_twice_is_applying_once(base in plans(), change in plans()) {
        let once = base.merged_with(&change);
        let twice = once.merged_with(&change);
        prop_assert_eq!(once.changes_to(&twice), vec![]);
        prop_assert_eq!(twice, once);
    }

    /// The list of changes is complete and exact: doing them one by one gives the target.
    #[test]
    fn changes_lead_to_the_target(base in plans(), change in plans()) {
        for target in [base.merged_with(&change), base.replaced_by(&change)] {
            let mut plan = base.clone();
            for change in base.changes_to(&target) {
                let before = plan.clone();
                let is_value_of_gone_tier =
                    matches!(&change, Change::Gone(Gone::Limit { tier, .. }) if !plan.tiers.contains_key(tier));
                apply(&mut plan, change);
                prop_assert!(is_value_of_gone_tier || plan != before);
            }
            prop_assert_eq!(plan, target);
        }
    }

    /// What is replaced says what the change says and nothing else.
    #[test]
    fn a_replacement_keeps_nothing_but_archive_dates(base in plans(), change in plans()) {
        let replaced = base.replaced_by(&change);
        prop_assert_eq!(&replaced.tiers, &change.tiers);
        prop_assert!(replaced.limit_keys.keys().eq(change.limit_keys.keys()));
        prop_assert_eq!(&base.merged_with(&replaced), &base.merged_with(&change));
        prop_assert_eq!(base.replaced_by(&base), base);
    }

    /// A contradiction is found for each value without a limit key of its form, and for no other.
    #[test]
    fn every_contradiction_is_found(plan in plans()) {
        let found: Vec<String> = plan.contradictions().into_iter().map(|issue| issue.path).collect();
        let mut expected = Vec::new();
        for (tier_name, tier) in &plan.tiers {
            for (name, limit) in &tier.limits {
                let path = format!("tiers.{tier_name}.limits.{name}");
                let Some(limit_key) = plan.limit_keys.get(name) else {
                    expected.push(path);
                    continue;
                };
                if !limit.value.fits(limit_key.kind()) {
                    expected.push(path.clone());
                }
                let steps = limit.scheduled.steps().iter().enumerate().filter(|(_, step)| !step.to.fits(limit_key.kind()));
                expected.extend(steps.map(|(position, _)| format!("{path}.scheduled[{position}].value")));
            }
        }
        prop_assert_eq!(found, expected);
    }
}
