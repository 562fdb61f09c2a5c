//! A whole plan at once.

use super::super::commands::{ApplyPlan, CreateOverride};
use super::*;
use crate::domain::effective::Mode;
use crate::domain::limit_key::Archived;
use crate::domain::plan::{Plan, Tier};
use crate::domain::value::Value;

fn document(limit_keys: Vec<LimitKey>, values: &[(&str, &str, Value)]) -> Plan {
    let mut plan = Plan::default();
    plan.limit_keys.extend(limit_keys.into_iter().map(|limit_key| (limit_key.name.clone(), limit_key)));
    for (tier, limit_key, value) in values {
        let tier: &mut Tier = plan.tiers.entry(p(tier)).or_default();
        tier.limits.insert(p(limit_key), *value);
    }
    plan
}

fn apply(change: &Plan) -> ApplyPlan {
    ApplyPlan { change: change.clone(), dry_run: false }
}

fn archived(name: &str, replacement: &str) -> LimitKey {
    let archived = Some(Archived { at: now(), replacement: Some(p(replacement)) });
    LimitKey { archived, ..limit_key(name, Rule::Count) }
}

#[tokio::test]
async fn a_document_is_applied_once_with_a_revision_for_each_change() {
    let db = Db::new().await;
    let seats = limit_key("seats", Rule::Count);
    let plan = document(vec![seats, archived("a_old", "b_old"), archived("b_old", "seats")], &[("free", "seats", max(5))]);
    let preview = db.run(ApplyPlan { dry_run: true, ..apply(&plan) }).await.expect("a preview");
    assert_eq!((preview.len(), db.store.revision().await), (5, Ok(0)));
    let applied = db.store.run(context(), apply(&plan)).await.expect("applied");
    assert_eq!((applied.output, applied.revision), (preview, 5));
    assert_eq!(db.store.plan().await, Ok((plan.clone(), 5)));
    let again = db.store.run(context(), apply(&plan)).await.expect("applied again");
    assert_eq!((again.output, again.revision), (vec![], 5));
    assert_eq!(db.run_expecting(revisions(&[4]), apply(&plan)).await, Err(StoreError::PreconditionFailed));
    db.run_expecting(revisions(&[5]), apply(&plan)).await.expect("as expected");
}

#[tokio::test]
async fn a_document_that_contradicts_itself_changes_nothing() {
    let db = Db::furnished().await;
    let circle = document(vec![archived("a", "b"), archived("b", "a")], &[]);
    assert_eq!(paths(db.run(apply(&circle)).await), ["limitKeys.a.replacement", "limitKeys.b.replacement"]);
    let unknown = document(vec![archived("a", "none")], &[("free", "none", max(1)), ("free", "seats", Value::Enabled(true))]);
    let expected = ["limitKeys.a.replacement", "tiers.free.limits.none", "tiers.free.limits.seats"];
    assert_eq!(paths(db.run(apply(&unknown)).await), expected);
    assert_eq!(db.store.revision().await, Ok(3));
}

#[tokio::test]
async fn a_kind_changes_together_with_all_values_of_its_old_form() {
    let db = Db::furnished().await;
    db.max("free", "seats", 5).await.expect("a value");
    let feature = || limit_key("seats", Rule::Feature);
    assert_eq!(paths(db.run(apply(&document(vec![feature()], &[]))).await), ["tiers.free.limits.seats"]);
    let whole = document(vec![feature()], &[("free", "seats", Value::Enabled(true))]);
    let changes = db.run(apply(&whole)).await.expect("applied");
    let after = db.store.tier_limit(&p("free"), &p("seats")).await.expect("a value");
    assert_eq!((after.value.value, after.revision), (Value::Enabled(true), 4 + u64::try_from(changes.len()).expect("few")));
    let given = CreateOverride {
        org: p("acme"),
        limit_key: p("seats"),
        mode: Mode::Set,
        value: WrittenValue { enabled: Some(false), ..WrittenValue::default() },
        reason: "A test".to_owned(),
        starts_at: None,
        expires_at: None,
    };
    db.run(given).await.expect("an override");
    let back = document(vec![limit_key("seats", Rule::Count)], &[("free", "seats", max(5))]);
    assert_eq!(paths(db.run(apply(&back)).await), ["limitKeys.seats.kind"]);
}

fn max(number: u64) -> Value {
    Value::Max(crate::domain::bound::Bound::Limited(Quantity::saturating(number)))
}
