//! Limit keys, tiers and what they say.

use super::super::commands::{
    ArchiveLimitKey, CreateOverride, DeleteLimitKey, DeleteTier, DeleteTierLimit, PutLimitKey, PutTier, PutTierLimit,
};
use super::super::{Created, Object, StoreError};
use super::*;
use crate::domain::bound::Bound;
use crate::domain::effective::Mode;
use crate::domain::value::Value;

#[tokio::test]
async fn limit_keys_of_every_kind_are_read_as_they_were_written() {
    let db = Db::new().await;
    for rule in rules() {
        let name = format!("a_{}", rule.kind());
        let (made, created) = db.limit_key(&name, rule).await;
        assert_eq!(created, Created(true));
        assert_eq!(db.store.limit_key(&made.value.name).await, Ok(made));
    }
    let per_project = LimitKey { per: p("project"), ..limit_key("per_project", Rule::Count) };
    let unlimited = LimitKey { default: Value::Max(Bound::Unlimited), ..per_project };
    let (made, _) = db.run(PutLimitKey { limit_key: unlimited.clone() }).await.expect("a limit key");
    assert_eq!(made.value, unlimited);
    assert_eq!(db.store.limit_key(&unlimited.name).await, Ok(made));
}

#[tokio::test]
async fn a_put_that_changes_nothing_keeps_the_revision() {
    let db = Db::new().await;
    let (first, _) = db.limit_key("seats", Rule::Count).await;
    assert_eq!(db.limit_key("seats", Rule::Count).await, (first.clone(), Created(false)));
    let other = LimitKey { description: "Other".to_owned(), ..first.value.clone() };
    let (second, created) = db.run(PutLimitKey { limit_key: other }).await.expect("replaced");
    assert_eq!((second.revision, second.created_at, created), (2, first.created_at, Created(false)));
    assert_eq!(db.store.revision().await, Ok(2));
}

#[tokio::test]
async fn a_kind_that_values_depend_on_does_not_change() {
    let db = Db::furnished().await;
    let quota = rules()[1].clone();
    db.limit_key("seats", quota.clone()).await;
    db.max("free", "seats", 5).await.expect("a value");
    assert!(is_conflict(&db.run(PutLimitKey { limit_key: limit_key("seats", Rule::Count) }).await));
    db.run(DeleteTierLimit { tier: p("free"), limit_key: p("seats") }).await.expect("deleted");
    db.run(an_override("seats", 5)).await.expect("an override");
    assert!(is_conflict(&db.run(PutLimitKey { limit_key: limit_key("seats", Rule::Feature) }).await));
    let relabelled = LimitKey { description: "Same kind".to_owned(), ..limit_key("seats", quota) };
    db.run(PutLimitKey { limit_key: relabelled }).await.expect("the same kind");
}

#[tokio::test]
async fn archiving_names_a_replacement_and_putting_revives() {
    let db = Db::furnished().await;
    db.limit_key("places", Rule::Count).await;
    let archive = |replacement: Option<&str>| ArchiveLimitKey { name: p("seats"), replacement: replacement.map(p) };
    assert_eq!(paths(db.run(archive(Some("none"))).await), ["replacement"]);
    assert_eq!(paths(db.run(archive(Some("seats"))).await), ["replacement"]);
    let archived = db.run(archive(Some("places"))).await.expect("archived");
    assert_eq!(archived.value.archived.as_ref().map(|archived| archived.at), Some(now()));
    assert_eq!(db.run(archive(Some("places"))).await, Ok(archived));
    let gone = Err(StoreError::Gone { replacement: Some("places".to_owned()) });
    assert_eq!(db.max("free", "seats", 1).await, gone);
    assert_eq!(db.run(an_override("seats", 1)).await.map(|_| ()), gone);
    assert!(is_conflict(&db.run(DeleteLimitKey { name: p("places") }).await));
    let (revived, _) = db.limit_key("seats", Rule::Count).await;
    assert_eq!(revived.value.archived, None);
    db.run(DeleteLimitKey { name: p("places") }).await.expect("no longer named");
    let unknown = ArchiveLimitKey { name: p("none"), replacement: None };
    assert_eq!(db.run(unknown).await, Err(StoreError::NotFound(Object::LimitKey)));
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let db = Db::furnished().await;
    db.max("free", "seats", 5).await.expect("a value");
    assert!(is_conflict(&db.run(DeleteLimitKey { name: p("seats") }).await));
    assert!(is_conflict(&db.run(DeleteTier { name: p("free") }).await));
    db.tier("ultra").await;
    db.max("ultra", "seats", 9).await.expect("a value");
    let before = db.store.revision().await.expect("a revision");
    db.run(DeleteTier { name: p("ultra") }).await.expect("deleted with its values");
    let changes = db.store.changes_since(before, 10).await.expect("changes");
    let changed: Vec<_> = changes.iter().map(|change| (change.object.expect("a kind"), change.object_id.as_str())).collect();
    assert_eq!(changed, [(Object::TierLimit, "ultra/seats"), (Object::Tier, "ultra")]);
    assert_eq!(db.run(DeleteTier { name: p("ultra") }).await, Err(StoreError::NotFound(Object::Tier)));
    assert_eq!(db.run(DeleteLimitKey { name: p("none") }).await, Err(StoreError::NotFound(Object::LimitKey)));
}

#[tokio::test]
async fn a_tiers_value_fits_its_limit_key() {
    let db = Db::furnished().await;
    let put = |tier: &str, limit_key: &str, value| PutTierLimit { tier: p(tier), limit_key: p(limit_key), value };
    let days = WrittenValue { days: Some(Quantity::ONE), ..WrittenValue::default() };
    assert_eq!(paths(db.run(put("free", "seats", days)).await), [""]);
    assert_eq!(db.run(put("none", "seats", written_max(1))).await, Err(StoreError::NotFound(Object::Tier)));
    assert_eq!(db.run(put("free", "none", written_max(1))).await, Err(StoreError::NotFound(Object::LimitKey)));
    let (made, created) = db.run(put("free", "seats", written_max(1))).await.expect("a value");
    assert_eq!(created, Created(true));
    assert_eq!(db.store.tier_limit(&p("free"), &p("seats")).await, Ok(made));
    let (plan, revision) = db.store.plan().await.expect("a plan");
    let value = plan.tiers["free"].limits["seats"].at(now());
    assert_eq!((value, revision), (Value::Max(Bound::Limited(Quantity::ONE)), 4));
    let delete = || DeleteTierLimit { tier: p("free"), limit_key: p("seats") };
    db.run(delete()).await.expect("deleted");
    assert_eq!(db.run(delete()).await, Err(StoreError::NotFound(Object::TierLimit)));
}

#[tokio::test]
async fn a_change_is_refused_when_the_record_is_not_as_the_caller_expects() {
    let db = Db::new().await;
    let put = |name: &str| PutTier { tier: TierInfo { name: p("free"), display_name: name.to_owned(), ..tier("free") } };
    let refused = Err(StoreError::PreconditionFailed);
    assert_eq!(db.run_expecting(revisions(&[1]), put("A")).await, refused);
    let absent = || Expected { if_match: None, absent: true };
    let made = db.run_expecting(absent(), put("A")).await.expect("absent");
    assert_eq!(made.revision, 1);
    assert_eq!(db.run_expecting(absent(), put("B")).await, refused);
    assert_eq!(db.run_expecting(revisions(&[7]), put("B")).await, refused);
    assert_eq!(db.run_expecting(revisions(&[7, 1]), put("B")).await.map(|written| written.revision), Ok(2));
    let delete = || DeleteTier { name: p("free") };
    assert_eq!(db.run_expecting(revisions(&[1]), delete()).await, Err(StoreError::PreconditionFailed));
    db.run_expecting(revisions(&[2]), delete()).await.expect("deleted");
    assert_eq!(db.run_expecting(revisions(&[2]), delete()).await, Err(StoreError::PreconditionFailed));
}

fn an_override(limit_key: &str, max: u64) -> CreateOverride {
    let (starts_at, expires_at) = (None, None);
    let (org, limit_key, value) = (p("acme"), p(limit_key), written_max(max));
    CreateOverride { org, limit_key, mode: Mode::Set, value, reason: "A test".to_owned(), starts_at, expires_at }
}
