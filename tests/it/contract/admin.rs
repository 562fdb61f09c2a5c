//! Administering: tiers, limit keys, scopes, removed endpoints, the retention table.

use serde_json::{Value, json};

use crate::harness::Plimsoll;

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    server
}

#[tokio::test]
async fn every_kind_of_limit_key_is_answered_as_it_was_put() {
    let server = Plimsoll::start().await;
    let table = [
        json!({"kind": "count", "per": "project", "default": {"max": 3}, "description": "Campaigns"}),
        json!({"kind": "quota", "per": "org", "window": "month", "label": "export", "perRequest": false, "default": {"max": 1}, "description": ""}),
        json!({"kind": "rate", "per": "org", "windowSeconds": 60, "bucket": "v1Api", "perRequest": true, "default": {"unlimited": true}, "description": ""}),
        json!({"kind": "retention", "per": "org", "default": {"days": 0}, "description": "History"}),
        json!({"kind": "interval", "per": "org", "unit": "hours", "default": {"min": 6}, "description": ""}),
        json!({"kind": "feature", "per": "org", "default": {"enabled": true}, "description": ""}),
    ];
    for body in table {
        let name = body["kind"].as_str().expect("a kind").to_owned();
        let put = server.admin().put_limit_key(&name, body.clone()).await;
        let read = server.admin().get(&format!("/v1/admin/limit-keys/{name}")).await;
        assert_eq!(put.is(201).data(), read.data());
        for (field, value) in body.as_object().expect("an object") {
            assert_eq!(&read.data()[field], value, "{name}.{field}");
        }
        assert!(read.data()["archivedAt"].is_null() && read.data()["createdAt"].is_string());
    }
}

#[tokio::test]
async fn a_limit_key_takes_the_fields_of_its_kind_only() {
    let server = Plimsoll::start().await;
    let table = [
        (json!({"default": {"max": 1}}), vec!["kind"]),
        (json!({"kind": "number", "default": {"max": 1}}), vec!["kind"]),
        (json!({"kind": "count", "default": {"days": 1}}), vec!["default"]),
        (json!({"kind": "feature", "default": {"unlimited": true}}), vec!["default"]),
        (json!({"kind": "count", "default": {"max": 1}, "window": "day", "bucket": "x"}), vec!["window", "bucket"]),
        (json!({"kind": "quota", "default": {"max": 1}}), vec!["window"]),
        (json!({"kind": "quota", "window": "year", "default": {"max": 1}}), vec!["window"]),
        (json!({"kind": "rate", "default": {"max": 1}}), vec!["windowSeconds"]),
        (json!({"kind": "rate", "windowSeconds": 0, "default": {"max": 1}}), vec!["windowSeconds"]),
        (json!({"kind": "interval", "default": {"min": 1}}), vec!["unit"]),
        (json!({"kind": "count", "default": {"max": 1}, "per": "Not A Kind"}), vec!["per"]),
    ];
    for (body, paths) in table {
        let answer = server.admin().put_limit_key("x", body.clone()).await;
        let mut found = answer.fails(400, "invalid_body").issues();
        found.sort_unstable();
        let mut paths = paths;
        paths.sort_unstable();
        assert_eq!(found, paths, "{body}: {}", answer.text);
    }
    server.admin().get("/v1/admin/limit-keys/x").await.fails(404, "not_found");
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let server = product().await;
    let admin = server.admin();
    admin.delete("/v1/admin/tiers/free").await.fails(409, "state_conflict");
    admin.put_value("free", "seats", json!({"max": 2})).await.is(201);
    admin.delete("/v1/admin/limit-keys/seats").await.fails(409, "state_conflict");
    admin.delete("/v1/admin/tiers/free/limits/seats").await.is(200);
    let made = admin.create_override("acme", &json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}})).await;
    admin.delete("/v1/admin/limit-keys/seats").await.fails(409, "state_conflict");
    admin.delete(&format!("/v1/admin/orgs/acme/overrides/{}", made.text_at("/data/id"))).await.is(200);
    admin.put_limit_key("older", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.post("/v1/admin/limit-keys/older/archive", json!({"replacement": "seats"})).await.is(200);
    admin.delete("/v1/admin/limit-keys/seats").await.fails(409, "state_conflict");
    admin.delete("/v1/admin/limit-keys/older").await.is(200);
    admin.delete("/v1/admin/limit-keys/seats").await.is(200);
    admin.delete("/v1/admin/orgs/acme").await.is(200);
    admin.delete("/v1/admin/tiers/free").await.is(200);
    admin.delete("/v1/admin/tiers/free").await.fails(404, "not_found");
}

#[tokio::test]
async fn a_limit_key_keeps_its_kind_while_a_value_depends_on_it() {
    let server = product().await;
    let admin = server.admin();
    admin.put_value("free", "seats", json!({"max": 2})).await.is(201);
    let feature = json!({"kind": "feature", "default": {"enabled": true}});
    admin.put_limit_key("seats", feature.clone()).await.fails(409, "state_conflict");
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 9}})).await.is(200);
    admin.delete("/v1/admin/tiers/free/limits/seats").await.is(200);
    admin.put_limit_key("seats", feature).await.is(200);
}

#[tokio::test]
async fn an_archived_limit_key_is_gone_until_it_is_put_again() {
    let server = product().await;
    let admin = server.admin();
    let ask = async || admin.check(json!({"org": "acme", "limitKey": "seats", "current": 0})).await;
    ask().await.is(200);
    let archived = admin.post("/v1/admin/limit-keys/seats/archive", json!({})).await;
    assert!(archived.is(200).data()["archivedAt"].is_string() && archived.data()["replacement"].is_null());
    assert_eq!(ask().await.fails(410, "gone").body["meta"], json!({"code": "gone"}));
    admin.put_limit_key("chairs", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.post("/v1/admin/limit-keys/seats/archive", json!({"replacement": "chairs"})).await.is(200);
    assert_eq!(ask().await.fails(410, "gone").body["meta"]["replacement"], "chairs");
    for value in ["free"] {
        let put = admin.put_value(value, "seats", json!({"max": 3})).await;
        assert_eq!(put.fails(410, "gone").body["meta"]["replacement"], "chairs");
    }
    let unknown = admin.post("/v1/admin/limit-keys/chairs/archive", json!({"replacement": "nothing"})).await;
    assert_eq!(unknown.fails(400, "invalid_body").issues(), ["replacement"]);
    let itself = admin.post("/v1/admin/limit-keys/chairs/archive", json!({"replacement": "chairs"})).await;
    assert_eq!(itself.fails(400, "invalid_body").issues(), ["replacement"]);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(200);
    ask().await.is(200);
    admin.post("/v1/admin/limit-keys/nothing/archive", json!({})).await.fails(404, "not_found");
}

#[tokio::test]
async fn what_a_value_names_must_exist() {
    let server = product().await;
    let admin = server.admin();
    admin.put_value("nothing", "seats", json!({"max": 1})).await.fails(404, "not_found");
    admin.put_value("free", "nothing", json!({"max": 1})).await.fails(404, "not_found");
    admin.get("/v1/admin/tiers/nothing/limits").await.fails(404, "not_found");
    assert_eq!(admin.put_org("globex", "nothing").await.fails(400, "invalid_body").issues(), ["tier"]);
    admin.get("/v1/admin/orgs/nobody/overrides").await.fails(404, "not_found");
    let wanted = json!({"limitKey": "nothing", "mode": "set", "value": {"max": 1}});
    assert_eq!(admin.create_override("acme", &wanted).await.fails(400, "invalid_body").issues(), ["limitKey"]);
    admin.create_override("nobody", &wanted).await.fails(404, "not_found");
    admin.get("/v1/admin/orgs/acme/overrides/ovr_1").await.fails(404, "not_found");
}

#[tokio::test]
async fn an_override_is_checked_and_belongs_to_its_org() {
    let server = product().await;
    let admin = server.admin();
    let table = [
        (json!({"limitKey": "seats", "mode": "replace", "value": {"max": 1}}), vec!["mode"]),
        (json!({"limitKey": "seats", "mode": "set", "value": {"days": 1}}), vec!["value"]),
        (json!({"limitKey": "seats", "mode": "set"}), vec!["value"]),
        (json!({"mode": "set", "value": {"max": 1}}), vec!["limitKey"]),
        (
            json!({"limitKey": "seats", "mode": "set", "value": {"max": 1}, "expiresAt": "2020-01-01T00:00:00Z"}),
            vec!["expiresAt"],
        ),
        (
            json!({"limitKey": "seats", "mode": "set", "value": {"max": 1}, "startsAt": "2099-01-02T00:00:00Z", "expiresAt": "2099-01-01T00:00:00Z"}),
            vec!["expiresAt"],
        ),
        (json!({"limitKey": "seats", "mode": "set", "value": {"max": 1}, "reason": "x".repeat(513)}), vec!["reason"]),
    ];
    for (body, paths) in table {
        assert_eq!(admin.create_override("acme", &body).await.fails(400, "invalid_body").issues(), paths, "{body}");
    }
    admin.put_org("globex", "free").await.is(201);
    let made = admin
        .create_override("acme", &json!({"limitKey": "seats", "mode": "set", "value": {"max": 9}, "reason": "a deal"}))
        .await;
    let id = made.is(201).text_at("/data/id");
    assert_eq!(
        (made.text_at("/data/reason"), &made.data()["value"], &made.data()["expiresAt"]),
        ("a deal", &json!({"max": 9}), &Value::Null)
    );
    admin.get(&format!("/v1/admin/orgs/globex/overrides/{id}")).await.fails(404, "not_found");
    admin.delete(&format!("/v1/admin/orgs/globex/overrides/{id}")).await.fails(404, "not_found");
    assert_eq!(admin.get("/v1/admin/orgs/acme/overrides").await.each("id"), [id]);
}

#[tokio::test]
async fn removed_endpoints_are_entered_once_and_taken_out() {
    let server = product().await;
    let admin = server.admin();
    let path = "/v1/admin/removed-endpoints";
    let body = json!({"method": "GET", "path": "/creators/{id}/stats", "replacement": "/creators/{id}/metrics"});
    let made = admin.post(path, body.clone()).await;
    for (field, value) in body.as_object().expect("an object") {
        assert_eq!(&made.is(201).data()[field], value);
    }
    admin.post(path, body).await.fails(409, "duplicate");
    admin.post(path, json!({"method": "POST", "path": "/creators/{id}/stats"})).await.is(201);
    assert_eq!(admin.get(path).await.items().len(), 2);
    admin.delete(&format!("{path}/{}", made.text_at("/data/id"))).await.is(200);
    admin.delete(&format!("{path}/{}", made.text_at("/data/id"))).await.fails(404, "not_found");
    let wrong = admin.post(path, json!({"method": "get", "path": "creators"})).await;
    assert_eq!(wrong.fails(400, "invalid_body").issues(), ["method", "path"]);
}

#[tokio::test]
async fn built_in_scopes_are_fixed_and_own_ones_are_held_or_free() {
    let server = product().await;
    let admin = server.admin();
    let path = "/v1/admin/scopes";
    assert_eq!(admin.get(path).await.each("scope"), ["read", "write", "admin"]);
    for scope in ["read", "write", "admin"] {
        admin.put(&format!("{path}/{scope}"), json!({"description": "mine"})).await.fails(409, "state_conflict");
        admin.delete(&format!("{path}/{scope}")).await.fails(409, "state_conflict");
    }
    admin.put(&format!("{path}/reports"), json!({"description": "Monthly"})).await.is(201);
    let again = admin.put(&format!("{path}/reports"), json!({})).await;
    assert_eq!((again.is(200).text_at("/data/description"), &again.data()["builtIn"]), ("", &json!(false)));
    let key = admin.create_key(&json!({"name": "x", "scopes": ["reports", "read"]})).await;
    assert_eq!(key.is(201).data()["scopes"], json!(["read", "reports"]), "the built-in ones stand first");
    admin.delete(&format!("{path}/reports")).await.fails(409, "state_conflict");
    admin.delete(&format!("/v1/admin/api-keys/{}", key.text_at("/data/id"))).await.is(200);
    admin.delete(&format!("{path}/reports")).await.is(200);
    admin.delete(&format!("{path}/reports")).await.fails(404, "not_found");
}

#[tokio::test]
async fn the_retention_keys_are_a_table_of_tiers_and_days() {
    let server = product().await;
    let admin = server.admin();
    for (name, days) in [("stats", 30), ("events", 7)] {
        admin.put_limit_key(name, json!({"kind": "retention", "default": {"days": days}})).await.is(201);
    }
    admin.put_tier("ultra").await.is(201);
    let path = "/v1/admin/retention-windows";
    let put = admin.put(&format!("{path}/stats/ultra"), json!({"unlimited": true})).await;
    let set =
        |value: Value| json!({"tier": "ultra", "limitKey": "stats", "value": value, "assignedValue": value, "scheduled": []});
    assert_eq!(put.is(201).data(), &set(json!({"unlimited": true})));
    let table = admin.get(path).await;
    assert_eq!(table.each("limitKey"), ["events", "stats"]);
    let tiers = json!([
        {"tier": "free", "days": 30, "unlimited": false, "source": "default"},
        {"tier": "ultra", "days": null, "unlimited": true, "source": "tier"},
    ]);
    assert_eq!(table.items()[1]["tiers"], tiers);
    admin.put(&format!("{path}/stats/ultra"), json!({"days": 365})).await.is(200);
    let limits = admin.get("/v1/admin/tiers/ultra/limits").await;
    assert_eq!(limits.items(), [set(json!({"days": 365}))]);
    admin.put(&format!("{path}/stats/nothing"), json!({"days": 1})).await.fails(404, "not_found");
    admin.put(&format!("{path}/nothing/free"), json!({"days": 1})).await.fails(404, "not_found");
    admin.put(&format!("{path}/seats/free"), json!({"days": 1})).await.fails(404, "not_found");
    admin.put(&format!("{path}/stats/free"), json!({"max": 1})).await.fails(400, "invalid_body");
}

#[tokio::test]
async fn an_org_keeps_what_its_owner_says_about_it() {
    let server = product().await;
    let admin = server.admin();
    let body = json!({"tier": "free", "name": "Globex", "metadata": {"crmId": "42", "nested": {"list": [1, null, "ü"]}}});
    let put = admin.put("/v1/admin/orgs/globex@example.com:1", body.clone()).await;
    let read = admin.get("/v1/admin/orgs/globex@example.com:1").await;
    assert_eq!(put.is(201).data(), read.is(200).data());
    for (field, value) in body.as_object().expect("an object") {
        assert_eq!(&read.data()[field], value);
    }
    let bare = admin.put("/v1/admin/orgs/globex@example.com:1", json!({"tier": "free"})).await;
    assert_eq!((bare.text_at("/data/name"), &bare.data()["metadata"]), ("globex@example.com:1", &json!({})));
    for (body, path) in [
        (json!({"tier": "free", "metadata": []}), "metadata"),
        (json!({"tier": "free", "metadata": {"x": "y".repeat(8_192)}}), "metadata"),
        (json!({"tier": "free", "name": "a\u{7}b"}), "name"),
        (json!({"name": "x"}), "tier"),
    ] {
        assert_eq!(admin.put("/v1/admin/orgs/bad", body).await.fails(400, "invalid_body").issues(), [path]);
    }
}
