//! Scopes, API keys, removed endpoints.

use super::super::commands::{
    BanOrg, BanUser, CreateRemovedEndpoint, DeleteApiKey, DeleteRemovedEndpoint, DeleteScope, PatchApiKey, PutScope,
    RotateApiKey,
};
use super::super::{ApiKeyFilter, Object, StoreError};
use super::*;
use crate::domain::names::RecordId;

fn put_scope(name: &str) -> PutScope {
    PutScope { name: p(name), description: "For tests".to_owned() }
}

fn patch(id: &RecordId) -> PatchApiKey {
    PatchApiKey { id: id.clone(), name: None, user: None, scopes: None, expires_at: None, rates: None, revoked: None }
}

#[tokio::test]
async fn the_products_own_scopes_come_and_go_and_the_built_in_ones_stay() {
    let db = Db::new().await;
    assert!(is_conflict(&db.run(put_scope("read")).await));
    assert!(is_conflict(&db.run(DeleteScope { name: p("admin") }).await));
    db.run(put_scope("reports:read")).await.expect("a scope");
    let names: Vec<_> = db.store.scope_names().await.expect("names").iter().map(ToString::to_string).collect();
    assert_eq!(names, ["read", "write", "admin", "reports:read"]);
    assert!(db.store.scope(&p("write")).await.expect("a scope").value.built_in);
    let key = db.api_key(1, None, &["reports:read"]).await;
    assert!(is_conflict(&db.run(DeleteScope { name: p("reports:read") }).await));
    db.run(DeleteApiKey { id: key.value.id }).await.expect("deleted");
    db.run(DeleteScope { name: p("reports:read") }).await.expect("deleted");
    assert_eq!(db.run(DeleteScope { name: p("reports:read") }).await, Err(StoreError::NotFound(Object::Scope)));
}

#[tokio::test]
async fn an_api_key_names_what_exists_and_one_of_an_org_never_administers() {
    let db = Db::furnished().await;
    let past = CreateApiKey { expires_at: Some(now()), ..create_key(1, Some("none"), &["read", "none"]) };
    assert_eq!(paths(db.run(past).await), ["scopes[1]", "org", "expiresAt"]);
    assert_eq!(paths(db.run(create_key(1, Some("acme"), &["read", "admin"])).await), ["scopes[1]"]);
    assert_eq!(db.store.has_api_keys().await, Ok(false));
    let platform = db.api_key(1, None, &["write", "admin"]).await;
    assert_eq!(platform.value.scopes.to_string(), "[write, admin]");
    assert!(matches!(db.run(create_key(1, None, &[])).await, Err(StoreError::Duplicate(_))));
    assert_eq!(db.store.api_key(&platform.value.id, now()).await, Ok(platform));
    assert_eq!(db.store.has_api_keys().await, Ok(true));
    let own = db.api_key(2, Some("acme"), &["read"]).await;
    let promoted = PatchApiKey { scopes: Some(vec![p("admin")]), ..patch(&own.value.id) };
    assert_eq!(paths(db.run(promoted).await), ["scopes[0]"]);
    let of_acme = ApiKeyFilter { org: Some(p("acme")), user: None };
    assert_eq!(db.store.api_keys(&page(10), &of_acme, now()).await.map(|keys| keys.items), Ok(vec![own]));
}

#[tokio::test]
async fn a_presented_key_is_found_with_all_that_says_whether_it_is_good() {
    let db = Db::furnished().await;
    let ann = CreateApiKey { user: Some(p("ann")), ..create_key(1, Some("acme"), &["write", "read"]) };
    let made = db.run(ann).await.expect("an API key").value;
    let found = async || db.store.api_key_by_hash(&[1; 32], now()).await.expect("read").expect("found");
    let key = found().await;
    assert_eq!((&key.id, key.org.as_ref(), key.user.as_ref()), (&made.id, made.org.as_ref(), made.user.as_ref()));
    assert_eq!(key.scopes.to_string(), "[read, write]");
    assert_eq!(key.admit(now()), Ok(()));
    db.run(BanUser { id: p("ann"), reason: None }).await.expect("banned");
    assert!(found().await.user_banned);
    db.run(BanOrg { id: p("acme"), reason: None }).await.expect("banned");
    assert!(found().await.org_banned);
    db.run(PatchApiKey { revoked: Some(true), ..patch(&made.id) }).await.expect("revoked");
    assert!(found().await.revoked);
    assert_eq!(db.store.api_key_by_hash(&[9; 32], now()).await, Ok(None));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_a_revocation_is_final() {
    let db = Db::new().await;
    let made = db.api_key(1, None, &["read"]).await;
    let id = &made.value.id;
    let same = db.run(patch(id)).await.expect("nothing to change");
    assert_eq!(same, made);
    let later = at("2027-01-01T00:00:00Z");
    let change = PatchApiKey {
        name: Some("Other".to_owned()),
        user: Some(Some(p("ann"))),
        scopes: Some(vec![p("write")]),
        expires_at: Some(Some(later)),
        ..patch(id)
    };
    let changed = db.run(change).await.expect("patched");
    assert_eq!(db.store.api_key(id, now()).await, Ok(changed.clone()));
    assert_eq!((changed.value.name.as_str(), changed.value.scopes.to_string().as_str()), ("Other", "[write]"));
    let found = db.store.api_key_by_hash(&[1; 32], now()).await.expect("read").expect("found");
    assert_eq!((found.expires_at, found.scopes.to_string().as_str()), (Some(later), "[write]"));
    let bad = PatchApiKey { expires_at: Some(Some(now())), revoked: Some(false), ..patch(id) };
    assert_eq!(paths(db.run(bad).await), ["expiresAt", "revoked"]);
    let revoked = db.run(PatchApiKey { revoked: Some(true), ..patch(id) }).await.expect("revoked");
    assert_eq!(revoked.value.revoked_at, Some(now()));
    let rotate = RotateApiKey { id: id.clone(), overlap_seconds: 0, secret: secret(2) };
    assert!(is_conflict(&db.run(rotate).await));
    assert_eq!(db.run(patch(&p("key_none"))).await, Err(StoreError::NotFound(Object::ApiKey)));
}

#[tokio::test]
async fn a_rotation_lets_the_older_secrets_end_after_the_overlap() {
    let db = Db::new().await;
    let id = db.api_key(1, None, &["read"]).await.value.id;
    let rotate = |byte: u8, overlap_seconds| RotateApiKey { id: id.clone(), overlap_seconds, secret: secret(byte) };
    let end = now().plus_seconds(60);
    let rotated = db.run(rotate(2, 60)).await.expect("rotated");
    assert_eq!((rotated.revision, &rotated.value.shown), (2, &vec![secret(2).shown, secret(1).shown]));
    assert_eq!(db.store.api_key(&id, now()).await, Ok(rotated));
    let expires =
        async |byte: u8, moment| db.store.api_key_by_hash(&[byte; 32], moment).await.expect("read").map(|key| key.expires_at);
    assert_eq!((expires(1, now()).await, expires(1, end).await), (Some(Some(end)), None));
    assert_eq!(expires(2, end).await, Some(None));
    db.run(rotate(3, 3_600)).await.expect("rotated again");
    assert_eq!(expires(1, now()).await, Some(Some(end)), "an overlap is never prolonged");
    assert_eq!(db.run(rotate(4, 0)).await.expect("rotated at once").value.shown, [secret(4).shown]);
    assert_eq!((expires(3, now()).await, expires(4, now()).await), (None, Some(None)));
    assert!(matches!(db.run(rotate(4, 0)).await, Err(StoreError::Duplicate(_))));
    assert_eq!(expires(4, now()).await, Some(None), "a refused rotation changes nothing");
    for byte in 5..14 {
        db.run(rotate(byte, 60)).await.expect("rotated");
    }
    assert!(is_conflict(&db.run(rotate(14, 60)).await), "too many secrets are still good");
}

#[tokio::test]
async fn an_endpoint_is_removed_once() {
    let db = Db::new().await;
    let create = || CreateRemovedEndpoint {
        method: "GET".to_owned(),
        path: "/creators/{id}/stats".to_owned(),
        replacement: Some("/v2/stats".to_owned()),
    };
    let made = db.run(create()).await.expect("listed");
    assert!(matches!(db.run(create()).await, Err(StoreError::Duplicate(_))));
    assert_eq!(db.store.all_removed_endpoints().await, Ok(vec![made.value.clone()]));
    let id = &made.value.id;
    assert_eq!(db.store.removed_endpoint(id).await, Ok(made.clone()));
    db.run(DeleteRemovedEndpoint { id: id.clone() }).await.expect("deleted");
    assert_eq!(db.store.removed_endpoint(id).await, Err(StoreError::NotFound(Object::RemovedEndpoint)));
}
