//! A body may come long after its head: what was changed meanwhile counts.

use serde_json::json;

use crate::harness::{ADMIN_KEY, Plimsoll};

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 0}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_value("free", "seats", json!({"max": 50})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    server
}

#[tokio::test]
async fn a_question_is_judged_by_what_holds_when_its_body_is_there() {
    let server = product().await;
    let question = json!({"org": "acme", "limitKey": "seats", "current": 5}).to_string();
    let held = server.begin(&format!("POST /v1/check HTTP/1.1\r\nAuthorization: Bearer {ADMIN_KEY}"), question.len()).await;
    let revision = server.admin().put_value("free", "seats", json!({"max": 1})).await.revision();
    let answer = held.finish(&question).await;
    assert_eq!(answer.is(200).data()["allowed"], false);
    assert_eq!(answer.data()["max"], 1);
    assert!(answer.data()["revision"].as_u64().is_some_and(|known| known >= revision), "{}", answer.text);
}

#[tokio::test]
async fn an_org_that_moves_to_a_new_tier_meanwhile_is_never_unknown() {
    let server = product().await;
    let question = json!({"org": "acme", "limitKey": "seats", "current": 5}).to_string();
    let held = server.begin(&format!("POST /v1/check HTTP/1.1\r\nAuthorization: Bearer {ADMIN_KEY}"), question.len()).await;
    server.admin().put_tier("gold").await.is(201);
    server.admin().put_org("acme", "gold").await.is(200);
    let answer = held.finish(&question).await;
    assert_eq!(answer.is(200).data()["tier"], "gold");
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_writes_nothing() {
    let server = product().await;
    let made = server.admin().create_key(&json!({"name": "short-lived", "scopes": ["admin"]})).await;
    let (id, secret) = (made.is(201).text_at("/data/id").to_owned(), made.text_at("/data/key").to_owned());
    let body = json!({"name": "Evil"}).to_string();
    let held = server.begin(&format!("PUT /v1/admin/tiers/evil HTTP/1.1\r\nAuthorization: Bearer {secret}"), body.len()).await;
    server.admin().delete(&format!("/v1/admin/api-keys/{id}")).await.is(200);
    held.finish(&body).await.fails(401, "invalid_api_key");
    server.admin().get("/v1/admin/tiers/evil").await.fails(404, "not_found");
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_is_answered_nothing_either() {
    let server = product().await;
    let question = json!({"org": "acme", "limitKey": "seats"}).to_string();
    let batch = json!({"checks": [{"org": "acme", "limitKey": "seats"}]}).to_string();
    let request = json!({"apiKey": "nonsense", "consume": [{"limitKey": "nothing"}]}).to_string();
    for (path, body) in [("check", &question), ("check/batch", &batch), ("consume", &question), ("authorize", &request)] {
        let made = server.admin().create_key(&json!({"name": "short-lived"})).await;
        let (id, secret) = (made.is(201).text_at("/data/id").to_owned(), made.text_at("/data/key").to_owned());
        let held = server.begin(&format!("POST /v1/{path} HTTP/1.1\r\nAuthorization: Bearer {secret}"), body.len()).await;
        server.admin().delete(&format!("/v1/admin/api-keys/{id}")).await.is(200);
        held.finish(body).await.fails(401, "invalid_api_key");
    }
}

#[tokio::test]
async fn a_post_on_a_resource_that_has_changed_is_refused() {
    let server = product().await;
    let stale = server.admin().get("/v1/admin/orgs/acme").await.etag().to_owned();
    server.admin().put("/v1/admin/orgs/acme", json!({"tier": "free", "name": "Acme"})).await.is(200);
    let ban =
        |etag: String| server.admin().request("POST", "/v1/admin/orgs/acme/ban").header("If-Match", etag).json(&json!({}));
    ban(stale).send().await.fails(412, "precondition_failed");
    let current = server.admin().get("/v1/admin/orgs/acme").await.etag().to_owned();
    ban(current).send().await.is(200);
}
