//! Orgs, overrides, users.

use super::super::commands::{BanOrg, BanUser, CreateOverride, DeleteOrg, DeleteOverride, UnbanOrg, UnbanUser};
use super::super::{Ban, Object, OrgFilter, StoreError};
use super::*;
use crate::domain::effective::Mode;

#[tokio::test]
async fn an_org_needs_a_tier_and_keeps_its_ban() {
    let db = Db::new().await;
    assert_eq!(paths(db.run(put_org("acme", "free")).await), ["tier"]);
    db.tier("free").await;
    db.org("acme").await;
    let ban = |reason: &str| BanOrg { id: p("acme"), reason: Some(reason.to_owned()) };
    db.run(ban("fraud")).await.expect("banned");
    let banned = db.run(ban("chargeback")).await.expect("banned again");
    assert_eq!(banned.value.ban, Some(Ban { at: now(), reason: Some("chargeback".to_owned()) }));
    assert_eq!(db.run(ban("chargeback")).await, Ok(banned.clone()));
    let renamed = PutOrg { name: "Acme Ltd".to_owned(), ..put_org("acme", "free") };
    let (renamed, _) = db.run(renamed).await.expect("replaced");
    assert_eq!(renamed.value.ban, banned.value.ban);
    let facts = db.store.org_facts(&p("acme"), now()).await.expect("read").expect("facts");
    assert!(facts.banned);
    db.run(UnbanOrg { id: p("acme") }).await.expect("unbanned");
    assert_eq!(db.store.org(&p("acme")).await.map(|org| org.value.ban), Ok(None));
    assert_eq!(db.run(UnbanOrg { id: p("none") }).await, Err(StoreError::NotFound(Object::Org)));
    assert_eq!(db.store.org_facts(&p("none"), now()).await, Ok(None));
}

#[tokio::test]
async fn orgs_are_filtered_by_tier_and_ban() {
    let db = Db::furnished().await;
    db.tier("ultra").await;
    db.run(put_org("big", "ultra")).await.expect("an org");
    db.run(BanOrg { id: p("big"), reason: None }).await.expect("banned");
    let ids = async |filter: OrgFilter| {
        let found = db.store.orgs(&page(10), &filter).await.expect("orgs");
        found.items.iter().map(|org| org.value.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(OrgFilter::default()).await, ["acme", "big"]);
    assert_eq!(ids(OrgFilter { tier: Some((p("free"), now())), banned: None }).await, ["acme"]);
    assert_eq!(ids(OrgFilter { tier: None, banned: Some(true) }).await, ["big"]);
    assert_eq!(ids(OrgFilter { tier: Some((p("ultra"), now())), banned: Some(false) }).await, Vec::<String>::new());
}

fn an_override() -> CreateOverride {
    CreateOverride {
        org: p("acme"),
        limit_key: p("seats"),
        mode: Mode::Add,
        value: written_max(3),
        reason: "A favour".to_owned(),
        starts_at: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn an_override_names_what_exists_and_ends_after_it_starts() {
    let db = Db::furnished().await;
    let unknown_org = CreateOverride { org: p("none"), ..an_override() };
    assert_eq!(db.run(unknown_org).await, Err(StoreError::NotFound(Object::Org)));
    assert_eq!(paths(db.run(CreateOverride { limit_key: p("none"), ..an_override() }).await), ["limitKey"]);
    let past = CreateOverride { starts_at: Some(at("2020-01-01T00:00:00Z")), expires_at: Some(now()), ..an_override() };
    assert_eq!(paths(db.run(past).await), ["expiresAt"]);
    let tomorrow = at("2026-11-23T12:00:00Z");
    let backwards = CreateOverride { starts_at: Some(tomorrow), expires_at: Some(tomorrow), ..an_override() };
    let backwards = CreateOverride { value: WrittenValue::default(), ..backwards };
    assert_eq!(paths(db.run(backwards).await), ["value", "expiresAt"]);
    let made = db.run(CreateOverride { expires_at: Some(tomorrow), ..an_override() }).await.expect("an override");
    assert_eq!(made.value.inner.starts_at, now());
    assert_eq!(db.store.override_(&p("acme"), &made.value.inner.id).await, Ok(made.clone()));
    let facts = async |moment| db.store.org_facts(&p("acme"), moment).await.expect("read").expect("facts").overrides;
    assert_eq!(facts(now()).await, vec![made.value.inner.clone()]);
    assert_eq!(facts(tomorrow).await, []);
    let delete = || DeleteOverride { org: p("acme"), id: made.value.inner.id.clone() };
    db.run(delete()).await.expect("deleted");
    assert_eq!(db.run(delete()).await, Err(StoreError::NotFound(Object::Override)));
}

#[tokio::test]
async fn an_org_goes_with_all_that_it_has_and_each_is_logged() {
    let db = Db::furnished().await;
    let given = db.run(an_override()).await.expect("an override").value.inner.id;
    let key = db.api_key(1, Some("acme"), &["read"]).await.value.id;
    let before = db.store.revision().await.expect("a revision");
    db.run(DeleteOrg { id: p("acme") }).await.expect("deleted");
    let changes = db.store.changes_since(before, 10).await.expect("changes");
    let changed: Vec<_> = changes.iter().map(|change| (change.object.expect("a kind"), change.object_id.clone())).collect();
    let expected = [(Object::Override, given.to_string()), (Object::ApiKey, key.to_string()), (Object::Org, "acme".to_owned())];
    assert_eq!(changed, expected);
    assert!(changes.iter().all(|change| change.org == Some(p("acme"))));
    assert_eq!(db.store.api_key_by_hash(&[1; 32], now()).await, Ok(None));
    assert_eq!(db.store.overrides(&p("acme"), &page(1)).await, Err(StoreError::NotFound(Object::Org)));
}

#[tokio::test]
async fn a_user_is_known_only_for_being_banned() {
    let db = Db::new().await;
    let never = db.store.user(&p("ann")).await.expect("a user");
    assert_eq!((never.value.ban.clone(), never.revision), (None, 0));
    assert_eq!(db.run(UnbanUser { id: p("ann") }).await, Ok(never));
    let ban = || BanUser { id: p("ann"), reason: None };
    assert_eq!(db.run_expecting(revisions(&[3]), ban()).await, Err(StoreError::PreconditionFailed));
    let banned = db.run_expecting(revisions(&[0]), ban()).await.expect("banned").output;
    assert_eq!(db.store.user(&p("ann")).await, Ok(banned));
    let unbanned = db.run(UnbanUser { id: p("ann") }).await.expect("unbanned");
    assert_eq!((unbanned.value.ban, unbanned.revision), (None, 2));
}
