//! The life of an API key.

use std::time::{Duration, Instant};

use plimsoll::clock;
use plimsoll::domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

const KEYS: &str = "/v1/admin/api-keys";

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    server
}

async fn status(actor: &Actor) -> u16 {
    actor.get("/v1/orgs/acme/entitlements").await.status
}

/// Asks until the key is refused: not before its end, and on the first call after it.
async fn ends_at(actor: &Actor, end: UtcMillis) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let begun = clock::now();
        if status(actor).await == 401 {
            assert!(clock::now() >= end, "not before");
            return;
        }
        assert!(begun < end, "a call that began at or after its end was answered");
        assert!(Instant::now() < deadline, "it never ends");
    }
}

#[tokio::test]
async fn the_secret_is_shown_once_and_the_key_is_listed_by_its_prefix() {
    let server = product().await;
    let admin = server.admin();
    let made = admin.create_key(&json!({"name": "billing", "org": "acme", "user": "jane"})).await;
    let secret = made.is(201).text_at("/data/key").to_owned();
    let digits = secret.strip_prefix("plm_").expect("the prefix");
    assert!(digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{secret}");
    let path = format!("{KEYS}/{}", made.text_at("/data/id"));
    let (one, list) = (admin.get(&path).await, admin.get(KEYS).await);
    let audit = admin.get("/v1/admin/audit?object=apiKey").await;
    for answer in [&one, &list, &audit] {
        assert!(!answer.is(200).text.contains(&digits[9..]), "{} shows the secret", answer.asked);
    }
    assert!(secret.starts_with(one.text_at("/data/prefix")) && one.text_at("/data/prefix").len() < 16);
    assert_eq!(list.items(), [one.data().clone()]);
    assert_eq!(one.data()["scopes"], json!(["read", "write"]), "the scopes of a key that says nothing");
    assert_eq!(one.data()["org"], "acme");
    assert_eq!(one.data()["user"], "jane");
    assert_eq!(status(&server.bearer(&secret)).await, 200);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_new_key_is_a_400() {
    let server = product().await;
    let admin = server.admin();
    let table = [
        (json!({"name": "x", "scopes": ["nothing"]}), vec!["scopes[0]"]),
        (json!({"name": "x", "scopes": ["read", "nothing"], "org": "nobody"}), vec!["scopes[1]", "org"]),
        (json!({"name": "x", "org": "acme", "scopes": ["admin"]}), vec!["scopes[0]"]),
        (json!({"name": "x", "org": "acme", "scopes": ["read", "admin"]}), vec!["scopes[1]"]),
        (json!({"name": "x", "expiresAt": "2020-01-01T00:00:00Z"}), vec!["expiresAt"]),
        (json!({"name": "x", "expiresAt": "2099-01-01"}), vec!["expiresAt"]),
        (json!({"name": "x", "expiresAt": "2099-01-01T00:00:00+01:00"}), vec!["expiresAt"]),
        (json!({}), vec!["name"]),
        (json!({"name": "x".repeat(65)}), vec!["name"]),
    ];
    for (body, paths) in table {
        assert_eq!(admin.create_key(&body).await.fails(400, "invalid_body").issues(), paths, "{body}");
    }
    assert_eq!(admin.get(KEYS).await.items().len(), 0);
}

#[tokio::test]
async fn a_key_of_an_org_never_comes_to_hold_admin() {
    let server = product().await;
    let key = server.key(&["read"], Some("acme")).await;
    let patch = server.admin().patch(&format!("{KEYS}/{}", key.id), json!({"scopes": ["read", "admin"]})).await;
    assert_eq!(patch.fails(400, "invalid_body").issues(), ["scopes[1]"]);
    key.get("/v1/admin/tiers").await.fails(403, "insufficient_scope");
    // A platform key is not made an org's, and so cannot take its scopes along.
    let moved = server.admin().patch(&format!("{KEYS}/{}", key.id), json!({"org": null})).await;
    assert_eq!(moved.fails(400, "invalid_body").issues(), ["org"]);
}

#[tokio::test]
async fn a_key_ends_at_its_expiry() {
    let server = product().await;
    let end = clock::now().plus_millis(1_500);
    let made = server.admin().create_key(&json!({"name": "short", "expiresAt": end.to_string()})).await;
    let key = server.bearer(made.is(201).text_at("/data/key"));
    assert_eq!(status(&key).await, 200);
    ends_at(&key, end).await;
    let path = format!("{KEYS}/{}", made.text_at("/data/id"));
    let rotated = server.admin().post(&format!("{path}/rotate"), json!({})).await;
    rotated.fails(409, "state_conflict");
    server.admin().patch(&path, json!({"expiresAt": null})).await.is(200);
    assert_eq!(status(&key).await, 200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_request_on() {
    let server = product().await;
    let key = server.key(&["read"], Some("acme")).await;
    let path = format!("{KEYS}/{}", key.id);
    assert_eq!(status(&key).await, 200);
    let revoked = server.admin().patch(&path, json!({"revoked": true})).await;
    assert!(revoked.is(200).data()["revokedAt"].is_string());
    assert_eq!(status(&key).await, 401);
    assert_eq!(server.admin().patch(&path, json!({"revoked": false})).await.fails(400, "invalid_body").issues(), ["revoked"]);
    server.admin().post(&format!("{path}/rotate"), json!({})).await.fails(409, "state_conflict");
    assert_eq!(status(&key).await, 401);
    server.admin().get(&path).await.is(200);
}

#[tokio::test]
async fn a_deleted_key_is_refused_and_forgotten() {
    let server = product().await;
    let key = server.key(&["read"], Some("acme")).await;
    assert_eq!(status(&key).await, 200);
    server.admin().delete(&format!("{KEYS}/{}", key.id)).await.is(200);
    assert_eq!(status(&key).await, 401);
    server.admin().get(&format!("{KEYS}/{}", key.id)).await.fails(404, "not_found");
    server.admin().delete(&format!("{KEYS}/{}", key.id)).await.fails(404, "not_found");
    server.admin().patch(&format!("{KEYS}/{}", key.id), json!({})).await.fails(404, "not_found");
    server.admin().post(&format!("{KEYS}/{}/rotate", key.id), json!({})).await.fails(404, "not_found");
}

#[tokio::test]
async fn a_rotation_without_overlap_ends_the_old_secret_at_once() {
    let server = product().await;
    let key = server.key(&["read"], Some("acme")).await;
    assert_eq!(status(&key).await, 200);
    let rotated = server.admin().request("POST", &format!("{KEYS}/{}/rotate", key.id)).send().await;
    assert_eq!(rotated.is(201).text_at("/data/id"), key.id);
    assert_eq!(rotated.data()["overlapping"], json!([]));
    assert_eq!(status(&key).await, 401);
    let renewed = server.bearer(rotated.text_at("/data/key"));
    assert_eq!(status(&renewed).await, 200);
    renewed.get("/v1/orgs/other/entitlements").await.fails(404, "not_found");
}

#[tokio::test]
async fn a_rotation_with_an_overlap_keeps_the_old_secret_until_it_ends() {
    let server = product().await;
    let key = server.key(&["read"], None).await;
    let path = format!("{KEYS}/{}", key.id);
    let rotated = server.admin().post(&format!("{path}/rotate"), json!({"overlapSeconds": 2})).await;
    let renewed = server.bearer(rotated.is(201).text_at("/data/key"));
    assert_eq!((status(&key).await, status(&renewed).await), (200, 200));
    let old: Vec<Value> = vec![json!(key.secret()[..12])];
    assert_eq!(server.admin().get(&path).await.data()["overlapping"].as_array(), Some(&old));
    let end = UtcMillis::parse(key.get("/v1/whoami").await.text_at("/data/expiresAt")).expect("the end of the overlap");
    ends_at(&key, end).await;
    assert_eq!(status(&renewed).await, 200);
    assert_eq!(server.admin().get(&path).await.data()["overlapping"], json!([]));
    let long = server.admin().post(&format!("{path}/rotate"), json!({"overlapSeconds": 2_592_001})).await;
    assert_eq!(long.fails(400, "invalid_body").issues(), ["overlapSeconds"]);
}

#[tokio::test]
async fn a_change_of_scopes_holds_from_the_next_request_on() {
    let server = product().await;
    let key = server.key(&["read"], None).await;
    assert_eq!(status(&key).await, 200);
    let path = format!("{KEYS}/{}", key.id);
    server.admin().patch(&path, json!({"scopes": ["write"]})).await.is(200);
    key.get("/v1/orgs/acme/entitlements").await.fails(403, "insufficient_scope");
    server.admin().patch(&path, json!({"scopes": []})).await.is(200);
    let none = key.get("/v1/orgs/acme/entitlements").await;
    assert_eq!(none.fails(403, "insufficient_scope").error(), "This action requires the 'read' scope. Granted: []");
    server.admin().patch(&path, json!({"scopes": ["read"], "name": "new"})).await.is(200);
    assert_eq!(status(&key).await, 200);
    assert_eq!(server.admin().get(&path).await.data()["name"], "new");
}

#[tokio::test]
async fn keys_are_listed_by_org_and_by_user() {
    let server = product().await;
    let admin = server.admin();
    let make = async |body: Value| admin.create_key(&body).await.text_at("/data/id").to_owned();
    let platform = make(json!({"name": "a"})).await;
    let of_org = make(json!({"name": "b", "org": "acme"})).await;
    let of_user = make(json!({"name": "c", "org": "acme", "user": "jane"})).await;
    let list = async |query: &str| {
        let answer = admin.get(&format!("{KEYS}{query}")).await;
        answer.each("id").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [platform.clone(), of_org.clone(), of_user.clone()]);
    assert_eq!(list("?org=acme").await, [of_org, of_user.clone()]);
    assert_eq!(list("?user=jane").await, [of_user]);
    assert_eq!(list("?org=nobody").await, [""; 0]);
}

#[tokio::test]
async fn an_org_takes_its_keys_along_when_it_is_deleted() {
    let server = product().await;
    let key = server.key(&["read"], Some("acme")).await;
    assert_eq!(status(&key).await, 200);
    let rotated = server.admin().post(&format!("{KEYS}/{}/rotate", key.id), json!({"overlapSeconds": 3600})).await;
    let renewed = server.bearer(rotated.is(201).text_at("/data/key"));
    assert_eq!((status(&key).await, status(&renewed).await), (200, 200));
    server.admin().delete("/v1/admin/orgs/acme").await.is(200);
    assert_eq!((status(&key).await, status(&renewed).await), (401, 401), "at once, with every secret that was still good");
    server.admin().get(&format!("{KEYS}/{}", key.id)).await.fails(404, "not_found");
    let orphan = server.admin().create_key(&json!({"name": "late", "org": "acme"})).await;
    assert_eq!(orphan.fails(400, "invalid_body").issues(), ["org"], "nor can a key be made for it now");
    server.admin().put_org("acme", "free").await.is(201);
    assert_eq!((status(&key).await, status(&renewed).await), (401, 401), "a new org of the same name has none of its keys");
}
