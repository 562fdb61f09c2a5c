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
        tier.limits.insert(p(limit_key), (*value).into());
    }
    plan
}

fn apply(change: &Plan) -> ApplyPlan {
    ApplyPlan { change: change.clone(), prune: false, dry_run: false }
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
    assert_eq!((preview.changes.len(), db.store.revision().await), (5, Ok(0)));
    let applied = db.store.run(context(), apply(&plan)).await.expect("applied");
    assert_eq!((applied.output.changes, applied.output.revision, applied.revision), (preview.changes, 5, 5));
    assert_eq!(db.store.plan().await, Ok((plan.clone(), 5)));
    let again = db.store.run(context(), apply(&plan)).await.expect("applied again");
    assert_eq!((again.output.changes, again.revision), (vec![], 5));
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
    assert_eq!(
        (after.value.limit.value, after.revision),
        (Value::Enabled(true), 4 + u64::try_from(changes.changes.len()).expect("few"))
    );
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

#[tokio::test]
async fn what_a_document_does_not_name_is_deleted_only_when_it_is_asked_for() {
    let db = Db::furnished().await;
    db.tier("pro").await;
    db.max("pro", "seats", 9).await.expect("a value");
    let before = document(vec![limit_key("seats", Rule::Count), archived("a_old", "b_old"), archived("b_old", "seats")], &[]);
    db.run(apply(&before)).await.expect("applied");
    let mut free = document(vec![limit_key("other", Rule::Count)], &[("free", "other", max(1))]);
    free.tiers.get_mut("free").expect("there").name = "FREE".to_owned();
    let prune = |plan: &Plan, dry_run| ApplyPlan { prune: true, dry_run, ..apply(plan) };
    let preview = db.run(prune(&free, true)).await.expect("a preview");
    let named: Vec<String> = preview.changes.iter().map(crate::domain::plan::Change::path).collect();
    let expected = [
        "limitKeys.a_old",
        "limitKeys.b_old",
        "limitKeys.other",
        "limitKeys.seats",
        "tiers.free.limits.other",
        "tiers.pro",
        "tiers.pro.limits.seats",
    ];
    assert_eq!(named, expected);
    assert_eq!(db.store.plan_changes(free.clone(), true, now()).await.expect("looked at").changes, preview.changes);
    db.run(prune(&free, false)).await.expect("applied");
    assert_eq!(db.store.catalogue().await, Ok((free.clone(), db.store.revision().await.expect("a revision"))));
    assert_eq!(db.run(prune(&free, false)).await.expect("again").changes, []);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_all_of_it_is_named() {
    let db = Db::furnished().await;
    for name in ["overridden", "used"] {
        db.limit_key(name, Rule::Count).await;
    }
    let given = CreateOverride {
        org: p("acme"),
        limit_key: p("overridden"),
        mode: Mode::Set,
        value: written_max(1),
        reason: String::new(),
        starts_at: None,
        expires_at: None,
    };
    db.run(given).await.expect("an override");
    let lane = db.store.lane().await.expect("a turn");
    lane.db().execute_unprepared("INSERT INTO limit_key_use (limit_key) VALUES ('used')").await.expect("written");
    lane.commit().await.expect("committed");
    let before = db.store.catalogue().await;
    let prune = |plan: Plan| ApplyPlan { change: plan, prune: true, dry_run: false };
    let Err(StoreError::InUse(issues)) = db.run(prune(Plan::default())).await else { panic!("it is in use") };
    let named: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(named, ["limitKeys.overridden", "limitKeys.used", "tiers.free"]);
    assert_eq!(db.store.plan_changes(Plan::default(), true, now()).await, Err(StoreError::InUse(issues)));
    // Beside contradictions, these come with them.
    let wrong = document(vec![], &[("pro", "seats", max(1))]);
    let expected = ["tiers.pro.limits.seats", "limitKeys.overridden", "limitKeys.used", "tiers.free"];
    assert_eq!(paths(db.run(prune(wrong)).await), expected);
    assert_eq!(db.store.catalogue().await, before);
}

#[tokio::test]
async fn a_kind_changes_while_values_of_its_old_form_are_pruned() {
    let db = Db::furnished().await;
    db.max("free", "seats", 5).await.expect("a value");
    let mut feature = document(vec![limit_key("seats", Rule::Feature)], &[]);
    feature.tiers.insert(p("free"), Tier { name: "FREE".to_owned(), ..Tier::default() });
    let applied = db.run(ApplyPlan { change: feature.clone(), prune: true, dry_run: false }).await.expect("applied");
    let named: Vec<String> = applied.changes.iter().map(crate::domain::plan::Change::path).collect();
    assert_eq!(named, ["limitKeys.seats", "tiers.free.limits.seats"]);
    assert_eq!(db.store.plan().await.map(|(plan, _)| plan), Ok(feature));
    let log = db.store.audit(&page(1), &crate::store::AuditFilter::default()).await.expect("the log");
    let actions: Vec<&str> = log.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["update"], "the value was logged as deleted before");
}

#[tokio::test]
async fn the_revision_of_the_catalogue_moves_with_it_alone_and_never_back() {
    let db = Db::furnished().await;
    let version = async || db.store.catalogue().await.expect("read").1;
    let first = version().await;
    db.org("globex").await;
    assert_eq!(version().await, first, "an org is no part of the catalogue");
    db.run_expecting(revisions(&[first]), apply(&Plan::default())).await.expect("as expected");
    db.tier("pro").await;
    let second = version().await;
    db.run(crate::store::commands::DeleteTier { name: p("pro") }).await.expect("deleted");
    let third = version().await;
    assert!(first < second && second < third, "{first} {second} {third}");
    let org = db.run(put_org("globex", "free")).await.map(|_| ());
    org.expect("as it was");
    db.run(crate::store::commands::BanOrg { id: p("globex"), reason: None }).await.expect("banned");
    // Where the log was swept, the last change is taken for the newest that it may have been.
    let known = db.store.revision().await.expect("a revision");
    while db.store.sweep_audit(at("2999-01-01T00:00:00Z"), 1).await.expect("swept") > 0 {}
    let swept = version().await;
    assert!((third..=known).contains(&swept), "{third} {swept} {known}");
}
