//! `Plimsoll-At-Least`: a question that demands a revision is answered from it or not at all.

use serde_json::{Value, json};

use crate::harness::{Answer, Plimsoll};

async fn ask(server: &Plimsoll, at_least: &str) -> Answer {
    let question = json!({"org": "acme", "limitKey": "seats", "current": 0});
    let request = server.admin().request("POST", "/v1/check").header("Plimsoll-At-Least", at_least);
    request.json(&question).send().await
}

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 0}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    server
}

#[tokio::test]
async fn a_check_that_demands_a_write_sees_it() {
    let server = product().await;
    for max in 1..=50_u64 {
        let revision = server.admin().put_value("free", "seats", json!({"max": max})).await.revision();
        let answer = ask(&server, &revision.to_string()).await;
        assert_eq!(answer.is(200).data()["max"], max);
        assert!(answer.data()["revision"].as_u64().is_some_and(|known| known >= revision), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_revision_that_no_write_was_answered_with_is_a_400_at_once() {
    let server = product().await;
    let revision = server.admin().put_tier("more").await.revision();
    for never in [revision + 1, revision + 1_000, 9_007_199_254_740_991] {
        let answer = ask(&server, &never.to_string()).await;
        assert_eq!(answer.fails(400, "invalid_params").issues(), ["Plimsoll-At-Least"], "{never}");
    }
    let entitlements = server.admin().request("GET", "/v1/orgs/acme/entitlements").header("Plimsoll-At-Least", "4711");
    entitlements.send().await.fails(400, "invalid_params");
    ask(&server, &revision.to_string()).await.is(200);
}

#[tokio::test]
async fn a_malformed_revision_is_a_400() {
    let server = product().await;
    for text in ["", "x", "-1", "+1", "1.0", "1 ", "0x1", "9007199254740992", "99999999999999999999999", "\"1\""] {
        let answer = ask(&server, text).await;
        if text == "1 " {
            // The space is no part of a header's value.
            answer.is(200);
        } else {
            assert_eq!(answer.fails(400, "invalid_params").issues(), ["Plimsoll-At-Least"], "{text:?}");
        }
    }
}

#[tokio::test]
async fn every_write_answers_with_a_later_revision() {
    let server = product().await;
    let admin = server.admin();
    let post = |path: &'static str, body: Value| admin.post(path, body);
    let mut revisions = vec![
        admin.put_tier("pro").await.revision(),
        admin.put_value("pro", "seats", json!({"max": 5})).await.revision(),
        admin.put_org("globex", "pro").await.revision(),
        post("/v1/admin/orgs/globex/ban", json!({})).await.revision(),
        post("/v1/admin/orgs/globex/unban", json!({})).await.revision(),
        post("/v1/admin/users/jane/ban", json!({})).await.revision(),
        post("/v1/admin/users/jane/unban", json!({})).await.revision(),
        post("/v1/admin/orgs/globex/overrides", json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}}))
            .await
            .revision(),
        admin.put("/v1/admin/scopes/reports", json!({})).await.revision(),
        post("/v1/admin/api-keys", json!({"name": "x"})).await.revision(),
        post("/v1/admin/removed-endpoints", json!({"method": "GET", "path": "/x"})).await.revision(),
        admin.put_catalog(&json!({"tiers": {"max": {}}})).await.revision(),
        admin.delete("/v1/admin/orgs/globex").await.revision(),
        post("/v1/admin/limit-keys/seats/archive", json!({})).await.revision(),
    ];
    let written = revisions.clone();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions, written);
}
