//! Who is calling, and when an API key was last used.

use plimsoll::clock;
use plimsoll::domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::harness::{ADMIN_KEY, Actor, Plimsoll, Setup};
use crate::jwt::forge::{AUDIENCE, ISSUER, SECRET, SHARED, claims, claims_with, claims_without};

const KEYS: &str = "/v1/admin/api-keys";

async fn product() -> Plimsoll {
    let setup = Setup::new().variable("PLIMSOLL_JWT_SECRET", SECRET);
    let server = Plimsoll::on(setup.variable("PLIMSOLL_JWT_ISSUER", ISSUER).variable("PLIMSOLL_JWT_AUDIENCE", AUDIENCE)).await;
    server.admin().put_tier("free").await.is(201);
    server.admin().put_org("acme", "free").await.is(201);
    server
}

async fn whoami(actor: &Actor) -> Value {
    actor.get("/v1/whoami").await.is(200).data().clone()
}

fn moment(value: &Value) -> UtcMillis {
    UtcMillis::parse(value.as_str().expect("a timestamp")).expect("a timestamp")
}

#[tokio::test]
async fn every_kind_of_credential_is_told_who_it_is() {
    let server = product().await;
    let body = json!({"name": "billing", "org": "acme", "user": "jane", "scopes": [], "expiresAt": "2099-01-01T00:00:00Z"});
    let made = server.admin().create_key(&body).await;
    let secret = made.is(201).text_at("/data/key").to_owned();
    let expected = json!({
        "kind": "apiKey", "id": made.data()["id"], "name": "billing", "prefix": &secret[..12], "subject": null, "org": "acme",
        "user": "jane", "scopes": [], "expiresAt": "2099-01-01T00:00:00Z", "lastUsedAt": null,
    });
    assert_eq!(whoami(&server.bearer(&secret)).await, expected, "it needs no scope");
    let expected = json!({
        "kind": "bootstrap", "id": null, "name": null, "prefix": &ADMIN_KEY[..12], "subject": null, "org": null, "user": null,
        "scopes": ["read", "write", "admin"], "expiresAt": null, "lastUsedAt": null,
    });
    assert_eq!(whoami(&server.admin()).await, expected);
    let mut claims = claims_with("org", "acme");
    claims["scope"] = json!("read");
    let answer = whoami(&server.bearer(&SHARED.token(&claims))).await;
    let end = claims["exp"].as_i64().expect("seconds") * 1_000;
    let expected = json!({
        "kind": "token", "id": null, "name": null, "prefix": null, "subject": "user-1", "org": "acme", "user": null,
        "scopes": ["read"], "expiresAt": UtcMillis::new(end).to_string(), "lastUsedAt": null,
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn only_who_is_known_and_not_banned_is_told_anything() {
    let server = product().await;
    let ask = async |actor: &Actor, status, code| {
        actor.get("/v1/whoami").await.fails(status, code);
    };
    ask(&server.anonymous(), 401, "invalid_api_key").await;
    ask(&server.bearer(&format!("plm_{}", "e".repeat(64))), 401, "invalid_api_key").await;
    ask(&server.bearer(&SHARED.token(&claims_with("aud", "other"))), 401, "invalid_token").await;
    ask(&server.bearer(&SHARED.token(&claims_without("exp"))), 401, "invalid_token").await;
    let made = server.admin().create_key(&json!({"name": "k", "org": "acme", "user": "jane"})).await;
    let key = server.bearer(made.is(201).text_at("/data/key"));
    server.admin().post("/v1/admin/users/jane/ban", json!({})).await.is(200);
    ask(&key, 403, "user_banned").await;
    server.admin().post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    ask(&key, 403, "org_banned").await;
    ask(&server.bearer(&SHARED.token(&claims_with("org", "acme"))), 403, "org_banned").await;
    whoami(&server.bearer(&SHARED.token(&claims()))).await;
}

#[tokio::test]
async fn while_a_rotation_overlaps_each_secret_is_told_which_it_is_and_when_it_ends() {
    let server = product().await;
    let key = server.key(&["read"], None).await;
    let rotated = server.admin().post(&format!("{KEYS}/{}/rotate", key.id), json!({"overlapSeconds": 600})).await;
    let renewed = server.bearer(rotated.is(201).text_at("/data/key"));
    let (old, new) = (whoami(&key).await, whoami(&renewed).await);
    assert_eq!((&old["id"], &new["id"]), (&json!(key.id), &json!(key.id)));
    assert_eq!((&old["prefix"], &new["prefix"]), (&json!(key.secret()[..12]), &rotated.data()["prefix"]));
    assert!(moment(&old["expiresAt"]) > clock::now() && new["expiresAt"].is_null());
}

#[tokio::test]
async fn the_last_use_outlives_the_process_and_is_no_change_of_the_key() {
    let server = product().await;
    let (used, unused) = (server.key(&[], Some("acme")).await, server.key(&["read"], None).await);
    let revoked = server.key(&["read"], None).await;
    let path = |key: &Actor| format!("{KEYS}/{}", key.id);
    server.admin().patch(&path(&revoked), json!({"revoked": true})).await.is(200);
    let before = server.admin().get(&path(&used)).await;
    assert!(before.is(200).data()["lastUsedAt"].is_null());
    let begun = clock::now();
    used.get("/v1/orgs/acme/usage").await.fails(403, "insufficient_scope");
    revoked.get("/v1/whoami").await.is(401);
    let ended = clock::now();
    let revision = server.admin().get("/v1/admin/audit?limit=1").await.items()[0]["revision"].clone();

    let stopped = server.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
    let server = Plimsoll::on(stopped.setup).await;
    let after = server.admin().get(&path(&used)).await;
    let at = moment(&after.data()["lastUsedAt"]);
    assert!(begun <= at && at <= ended, "{begun} <= {at} <= {ended}: a refusal for want of a scope is a use too");
    assert_eq!((after.etag(), &after.data()["updatedAt"]), (before.etag(), &before.data()["updatedAt"]));
    for never in [&unused, &revoked] {
        assert!(server.admin().get(&path(never)).await.data()["lastUsedAt"].is_null(), "a key that is not good is not used");
    }
    assert_eq!(server.admin().get("/v1/admin/audit?limit=1").await.items()[0]["revision"], revision);
    let me = whoami(&server.bearer(used.secret())).await;
    assert_eq!(moment(&me["lastUsedAt"]), at);
    let listed = server.admin().get(KEYS).await;
    let of_used = listed.items().iter().find(|key| key["id"] == used.id).expect("listed").clone();
    assert_eq!(&of_used, after.data());
}
