//! Random catalogues: what is exported and applied comes out the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::commands::ApplyPlan;
use super::*;
use crate::domain::limit_key::{Archived, Kind};
use crate::domain::names::{LimitKeyName, ResourceKind, TierName};
use crate::domain::plan::{Plan, Tier};
use crate::domain::schedule::{Limit, Schedule, Step};
use crate::domain::testing::{kinds, values_of};
use crate::domain::threshold::Thresholds;
use crate::domain::value::Value;
use crate::wire::plan::PlanDocument;

/// How many catalogues, each applied to what the one before it left.
const CATALOGUES: u32 = 500;

/// Names that a careless reader takes for something else, and others.
fn names() -> impl Strategy<Value = String> {
    let odd = ["null", "true", "no", "y", "on", "e1", "a:b", "a.b", "a-b", "nan", "inf"].map(str::to_owned);
    prop_oneof![1 => prop::sample::select(odd.to_vec()), 2 => "[a-h]", 1 => "[a-z][a-z0-9_:.-]{0,63}"]
}

/// Texts for people, with everything that a file's form has to take care of.
fn texts(max: usize) -> impl Strategy<Value = String> {
    let odd = [
        "",
        " ",
        "- x",
        "# x",
        "a: b",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "null",
        "1e3",
        "2026-11-22",
        "0x10",
        "~",
        "a\nb",
        "\n",
        "a\n",
        "\ta",
        "é",
        "\u{2028}",
        "\u{feff}",
        "&a",
        "*a",
        "%",
        "@",
        "`",
        "{}",
        "[x",
        "a #b",
        "yes",
        "...",
        "---",
        "a\n\n b\n",
    ];
    let odd = prop::sample::select(odd.map(str::to_owned).to_vec());
    prop_oneof![odd, "\\PC{0,20}".prop_map(move |text| text.chars().take(max).collect())]
}

fn labels() -> impl Strategy<Value = String> {
    prop_oneof![Just("API request".to_owned()), "[!-~]([ -~]{0,20}[!-~])?"]
}

fn rules_of(kind: Kind) -> BoxedStrategy<Rule> {
    let windows = prop::sample::select(vec![Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month]);
    match kind {
        Kind::Count => Just(Rule::Count).boxed(),
        Kind::Quota => (windows, labels(), any::<bool>())
            .prop_map(|(window, label, per_request)| Rule::Quota { window, label, per_request })
            .boxed(),
        Kind::Rate => (1..=2_678_400_u64, labels(), any::<bool>())
            .prop_map(|(window_seconds, bucket, per_request)| Rule::Rate { window_seconds, bucket, per_request })
            .boxed(),
        Kind::Retention => Just(Rule::Retention).boxed(),
        Kind::Interval => labels().prop_map(|unit| Rule::Interval { unit }).boxed(),
        Kind::Feature => Just(Rule::Feature).boxed(),
    }
}

fn pers(rule: &Rule) -> BoxedStrategy<Per> {
    match rule {
        Rule::Count | Rule::Quota { per_request: false, .. } => {
            let resource = ResourceKind::parse("project").expect("a kind");
            prop_oneof![2 => Just(Per::Org), 1 => Just(Per::Resource(resource))].boxed()
        }
        Rule::Quota { .. } | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => {
            Just(Per::Org).boxed()
        }
    }
}

fn thresholds(kind: Kind) -> BoxedStrategy<Option<Thresholds>> {
    match kind {
        Kind::Count | Kind::Quota => {
            let percents = prop::collection::btree_set(1..=100_u64, 0..=16);
            prop::option::of(percents.prop_map(|set| Thresholds::parse(set.into_iter().collect()).expect("percents"))).boxed()
        }
        Kind::Rate | Kind::Retention | Kind::Interval | Kind::Feature => Just(None).boxed(),
    }
}

fn limit_keys() -> impl Strategy<Value = LimitKey> {
    let rules = kinds().prop_flat_map(rules_of);
    let with_per = rules.prop_flat_map(|rule| {
        let (per, default, thresholds) = (pers(&rule), values_of(rule.kind()), thresholds(rule.kind()));
        (Just(rule), per, default, thresholds)
    });
    (names(), with_per, texts(1_024), 0..3_u8).prop_map(|(name, (rule, per, default, thresholds), description, archived)| {
        // Whose replacement it is, if any, is drawn once all names are known.
        let archived = (archived == 0).then(|| Archived { at: now(), replacement: None });
        LimitKey { name: p(&name), rule, per, default, thresholds, description, archived }
    })
}

/// A value of the right form, and at times what it changes to: in the past as well as to come.
fn limits_of(kind: Kind) -> impl Strategy<Value = Limit> {
    let steps = prop::collection::btree_map(-3..3_i64, values_of(kind), 0..4);
    (values_of(kind), prop_oneof![2 => Just(BTreeMap::new()), 1 => steps]).prop_map(|(value, steps)| {
        let step = |(days, to): (i64, Value)| Step { starts_at: now().plus_millis(days * 86_400_000), to };
        Limit { value, scheduled: Schedule::of(steps.into_iter().map(step).collect()).expect("in order") }
    })
}

/// Tiers with a value of the right form for some of the limit keys.
fn tiers(limit_keys: &BTreeMap<LimitKeyName, LimitKey>) -> impl Strategy<Value = BTreeMap<TierName, Tier>> + use<> {
    let values: Vec<_> = limit_keys
        .values()
        .map(|limit_key| (Just(limit_key.name.clone()), prop::option::of(limits_of(limit_key.kind()))))
        .collect();
    let tier = (texts(64), texts(1_024), values).prop_map(|(name, description, values)| {
        let limits = values.into_iter().filter_map(|(limit_key, value)| Some((limit_key, value?))).collect();
        Tier { name, description, limits }
    });
    prop::collection::btree_map(names().prop_map(|name| p(&name)), tier, 0..4)
}

fn plans() -> impl Strategy<Value = Plan> {
    let limit_keys = prop::collection::vec(limit_keys(), 0..7).prop_map(|limit_keys| {
        let mut limit_keys: BTreeMap<LimitKeyName, LimitKey> =
            limit_keys.into_iter().map(|limit_key| (limit_key.name.clone(), limit_key)).collect();
        // Each that is archived is replaced by the next, and the last by none: no circle.
        let names: Vec<LimitKeyName> = limit_keys.keys().cloned().collect();
        for (limit_key, next) in limit_keys.values_mut().zip(names.into_iter().skip(1)) {
            if let Some(archived) = &mut limit_key.archived {
                archived.replacement = Some(next);
            }
        }
        limit_keys
    });
    limit_keys.prop_flat_map(|limit_keys| {
        let tiers = tiers(&limit_keys);
        (Just(limit_keys), tiers).prop_map(|(limit_keys, tiers)| Plan { limit_keys, tiers })
    })
}

/// The catalogue in both forms of a file.
fn exported(plan: &Plan) -> [String; 2] {
    [yaml_serde::to_string(plan).expect("YAML"), serde_json::to_string_pretty(plan).expect("JSON")]
}

fn read(text: &str) -> Plan {
    let document: yaml_serde::Value = yaml_serde::from_str(text).expect(text);
    let document = serde_json::to_value(document).expect("JSON");
    PlanDocument::read(document, &Plan::default(), now()).expect(text)
}

/// Applies a catalogue in place of the last, looks at it, and applies what is exported.
async fn is_a_fixed_point(db: &Db, plan: &Plan) {
    let prune = |change: &Plan| ApplyPlan { change: change.clone(), prune: true, dry_run: false };
    let (before, revision) = db.store.catalogue().await.expect("read");
    let compared = db.store.plan_changes(plan.clone(), true, now()).await.expect("comparable");
    assert_eq!(db.store.catalogue().await, Ok((before, revision)), "looking changes nothing");
    let applied = db.run(prune(plan)).await.expect("applied");
    assert_eq!(applied.changes, compared.changes, "what was told is what is done");
    let (stored, _) = db.store.catalogue().await.expect("read");
    assert_eq!(stored.tiers, plan.tiers);
    for text in exported(&stored) {
        let again = read(&text);
        let compared = db.store.plan_changes(again.clone(), true, now()).await.expect("comparable");
        assert_eq!(compared.changes, [], "{text}");
        db.run(prune(&again)).await.expect("applied again");
    }
    assert_eq!(exported(&db.store.catalogue().await.expect("read").0), exported(&stored));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn export_diff_and_apply_have_a_fixed_point_for_500_random_catalogues() {
    let db = Db::new().await;
    let mut runner = TestRunner::new(Config { cases: CATALOGUES, failure_persistence: None, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    let outcome = runner.run(&plans(), |plan| {
        tokio::task::block_in_place(|| handle.block_on(is_a_fixed_point(&db, &plan)));
        Ok(())
    });
    outcome.expect("a fixed point");
}
