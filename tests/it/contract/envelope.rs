//! Every response is an envelope, also those that the framework makes.

use serde_json::json;

use crate::harness::Plimsoll;

#[tokio::test]
async fn a_new_server_answers_and_stops() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    let reader = server.key(&["read"], Some("acme")).await;
    let answer = reader.check(json!({"org": "acme", "limitKey": "seats", "current": 5})).await;
    answer.is(200);
    assert_eq!(answer.data()["decision"], "limit_reached");
    server.anonymous().get("/livez").await.is(200);
    server.anonymous().get("/nowhere").await.fails(404, "not_found");
    let raw = server.raw("PATCH /v1/admin/tiers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(raw.header("allow"), Some("GET"));
    let stopped = server.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
}
