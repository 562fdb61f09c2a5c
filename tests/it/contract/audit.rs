//! The audit log: who changed what, when, before and after.

use plimsoll::clock;
use plimsoll::domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

async fn entries(actor: &Actor, query: &str) -> Vec<Value> {
    actor.get(&format!("/v1/admin/audit?{query}")).await.is(200).items().to_vec()
}

#[tokio::test]
async fn a_change_is_logged_with_who_did_what_before_and_after() {
    let server = Plimsoll::start().await;
    let key = server.key(&["admin"], None).await;
    let before = clock::now();
    let put = key.request("PUT", "/v1/admin/tiers/free").header("X-Request-Id", "req-1").json(&json!({"description": "One"}));
    let first = put.send().await.is(201).revision();
    let second = server.admin().put("/v1/admin/tiers/free", json!({"description": "Two"})).await.is(200).revision();
    let third = key.delete("/v1/admin/tiers/free").await.is(200).revision();
    let after = clock::now();
    let found = entries(&key, "object=tier").await;
    let of = |at: usize, field: &str| found[at][field].clone();
    assert_eq!([of(0, "revision"), of(1, "revision"), of(2, "revision")], [json!(third), json!(second), json!(first)]);
    assert_eq!([of(0, "action"), of(1, "action"), of(2, "action")], [json!("delete"), json!("update"), json!("create")]);
    assert_eq!(of(2, "actor"), json!({"kind": "apiKey", "id": key.id}));
    assert_eq!(of(1, "actor"), json!({"kind": "bootstrap", "id": null}));
    assert_eq!((of(2, "requestId"), of(2, "objectId"), of(2, "org")), (json!("req-1"), json!("free"), Value::Null));
    assert_eq!((of(2, "before"), &of(2, "after")["description"]), (Value::Null, &json!("One")));
    assert_eq!((&of(1, "before")["description"], &of(1, "after")["description"]), (&json!("One"), &json!("Two")));
    assert_eq!((&of(0, "before")["description"], of(0, "after")), (&json!("Two"), Value::Null));
    for entry in &found {
        let at = UtcMillis::parse(entry["at"].as_str().expect("a time")).expect("a time");
        assert!(before <= at && at <= after, "{before} {at} {after}");
    }
}

#[tokio::test]
async fn every_kind_of_write_is_logged() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.put_value("free", "seats", json!({"max": 2})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.create_override("acme", &json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}})).await.is(201);
    admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "abuse"})).await.is(200);
    admin.post("/v1/admin/users/jane/ban", json!({})).await.is(200);
    admin.put("/v1/admin/scopes/reports", json!({})).await.is(201);
    let key = admin.create_key(&json!({"name": "x", "org": "acme"})).await;
    let path = format!("/v1/admin/api-keys/{}", key.is(201).text_at("/data/id"));
    admin.post(&format!("{path}/rotate"), json!({})).await.is(201);
    admin.patch(&path, json!({"revoked": true})).await.is(200);
    admin.post("/v1/admin/removed-endpoints", json!({"method": "GET", "path": "/x"})).await.is(201);
    admin.post("/v1/admin/limit-keys/seats/archive", json!({})).await.is(200);
    admin.post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
    let logged = entries(&admin, "limit=100").await;
    let mut logged: Vec<String> =
        logged.iter().map(|entry| format!("{} {}", entry["action"], entry["object"]).replace('"', "")).collect();
    logged.reverse();
    let expected = [
        "create tier",
        "create limitKey",
        "create tierLimit",
        "create org",
        "create override",
        "ban org",
        "ban user",
        "create scope",
        "create apiKey",
        "rotate apiKey",
        "revoke apiKey",
        "create removedEndpoint",
        "archive limitKey",
        "unban org",
    ];
    assert_eq!(logged, expected);
}

#[tokio::test]
async fn what_changes_nothing_or_is_refused_is_not_logged() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    let count = entries(&admin, "").await.len();
    admin.put_tier("free").await.is(200);
    admin.put_org("acme", "nothing").await.is(400);
    admin.delete("/v1/admin/tiers/nothing").await.is(404);
    admin.put("/v1/admin/catalog?dryRun=true", json!({"tiers": {"pro": {}}})).await.is(200);
    server.anonymous().put_tier("other").await.is(401);
    assert_eq!(entries(&admin, "").await.len(), count);
}

#[tokio::test]
async fn the_log_is_filtered() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    for org in ["acme", "globex"] {
        admin.put_org(org, "free").await.is(201);
    }
    let key = server.key(&["admin"], None).await;
    key.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let middle = entries(&admin, "limit=1").await[0]["at"].as_str().expect("a time").to_owned();
    let table = [
        ("object=org", 3),
        ("object=org&objectId=acme", 2),
        ("org=acme", 2),
        ("org=globex", 1),
        ("org=nobody", 0),
        (&format!("actor={}", key.id), 1),
        ("actor=bootstrap", 4),
        ("action=ban", 1),
        ("action=create&object=org", 2),
        (&format!("to={middle}&object=org&action=ban"), 0),
        (&format!("from={middle}&action=ban"), 1),
        ("from=2099-01-01T00:00:00Z", 0),
        ("to=2020-01-01T00:00:00Z", 0),
    ];
    for (query, count) in table {
        assert_eq!(entries(&admin, query).await.len(), count, "{query}");
    }
    for (query, path) in
        [("object=nothing", "object"), ("org=a%20b", "org"), ("from=yesterday", "from"), ("to=2026-01-01", "to")]
    {
        let answer = admin.get(&format!("/v1/admin/audit?{query}")).await;
        assert_eq!(answer.fails(400, "invalid_query").issues(), [path]);
    }
}
