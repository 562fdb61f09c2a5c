//! `ETag`, `If-Match` and `If-None-Match` on every resource that can be written conditionally.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Plimsoll};

/// What is put, in two forms that differ, and the operations on it: `PUT`, and `DELETE` where there is one.
struct Resource {
    operations: &'static [&'static str],
    path: &'static str,
    bodies: [Value; 2],
    has_get: bool,
}

fn resources() -> Vec<Resource> {
    let resource = |operations, path, bodies: [Value; 2], has_get| Resource { operations, path, bodies, has_get };
    let named = [json!({"name": "One"}), json!({"name": "Two"})];
    let described = [json!({"description": "One"}), json!({"description": "Two"})];
    let count = |max: u64| json!({"kind": "count", "default": {"max": max}});
    vec![
        resource(&["putLimitKey", "deleteLimitKey"], "/v1/admin/limit-keys/fresh", [count(1), count(2)], true),
        resource(&["putTier", "deleteTier"], "/v1/admin/tiers/fresh", named, true),
        resource(
            &["putTierLimit", "deleteTierLimit"],
            "/v1/admin/tiers/free/limits/seats",
            [json!({"max": 1}), json!({"max": 2})],
            false,
        ),
        resource(
            &["putRetentionWindow"],
            "/v1/admin/retention-windows/history/free",
            [json!({"days": 1}), json!({"days": 2})],
            false,
        ),
        resource(
            &["putOrg", "deleteOrg"],
            "/v1/admin/orgs/fresh",
            [json!({"tier": "free", "name": "One"}), json!({"tier": "free", "name": "Two"})],
            true,
        ),
        resource(&["putScope", "deleteScope"], "/v1/admin/scopes/fresh", described, false),
    ]
}

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.put_limit_key("history", json!({"kind": "retention", "default": {"days": 1}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    server
}

async fn on(actor: &Actor, method: &str, path: &str, (name, value): (&str, &str), body: &Value) -> Answer {
    let request = actor.request(method, path).header(name, value);
    if body.is_null() { request.send().await } else { request.json(body).send().await }
}

async fn holds_for(admin: &Actor, resource: &Resource) {
    let Resource { operations, path, bodies: [one, two], has_get } = resource;
    let put = async |header, body: &Value| on(admin, "PUT", path, header, body).await;
    put(("If-Match", "*"), one).await.fails(412, "precondition_failed");
    let created = put(("If-None-Match", "*"), one).await;
    let first = created.is(201).etag().to_owned();
    put(("If-None-Match", "*"), two).await.fails(412, "precondition_failed");
    put(("If-Match", "\"0\""), two).await.fails(412, "precondition_failed");
    let replaced = put(("If-Match", &first), two).await;
    let second = replaced.is(200).etag().to_owned();
    assert_ne!(first, second, "{path}");
    put(("If-Match", &first), one).await.fails(412, "precondition_failed");
    let (weak, several) = (format!("W/{second}"), format!("\"4711\", {second}"));
    put(("If-Match", &weak), one).await.fails(412, "precondition_failed");
    put(("If-Match", "nonsense"), one).await.fails(412, "precondition_failed");
    assert_eq!(put(("If-None-Match", &second), one).await.fails(400, "invalid_params").issues(), ["If-None-Match"]);
    if *has_get {
        let read = admin.get(path).await;
        assert_eq!((read.is(200).etag(), read.data()), (second.as_str(), replaced.data()), "{path}");
    }
    let listed = put(("If-Match", &several), one).await;
    let third = listed.is(200).etag().to_owned();
    let any = put(("If-Match", "*"), two).await;
    let fourth = any.is(200).etag().to_owned();
    if operations.len() == 2 {
        let delete = async |tag: &str| on(admin, "DELETE", path, ("If-Match", tag), &Value::Null).await;
        delete(&third).await.fails(412, "precondition_failed");
        delete(&fourth).await.is(200);
        delete(&fourth).await.fails(412, "precondition_failed");
        admin.delete(path).await.fails(404, "not_found");
    }
}

#[tokio::test]
async fn every_resource_is_created_replaced_and_deleted_under_its_conditions() {
    let server = product().await;
    for resource in resources() {
        holds_for(&server.admin(), &resource).await;
    }
}

#[tokio::test]
async fn what_has_an_id_is_changed_and_deleted_under_its_conditions() {
    let server = product().await;
    let admin = server.admin();
    let key = admin.create_key(&json!({"name": "One"})).await;
    let path = format!("/v1/admin/api-keys/{}", key.is(201).text_at("/data/id"));
    assert_eq!(admin.get(&path).await.etag(), key.etag());
    let renamed = on(&admin, "PATCH", &path, ("If-Match", key.etag()), &json!({"name": "Two"})).await;
    assert_ne!(renamed.is(200).etag(), key.etag());
    on(&admin, "PATCH", &path, ("If-Match", key.etag()), &json!({"name": "Three"})).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", key.etag()), &Value::Null).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", renamed.etag()), &Value::Null).await.is(200);
    admin.get(&path).await.fails(404, "not_found");

    let wanted = json!({"limitKey": "seats", "mode": "set", "value": {"max": 9}});
    let made = admin.create_override("acme", &wanted).await;
    let path = format!("/v1/admin/orgs/acme/overrides/{}", made.is(201).text_at("/data/id"));
    assert_eq!(admin.get(&path).await.etag(), made.etag());
    on(&admin, "DELETE", &path, ("If-Match", "\"0\""), &Value::Null).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", made.etag()), &Value::Null).await.is(200);

    let made = admin.post("/v1/admin/webhooks", json!({"url": "https://example.com/hook"})).await;
    let path = format!("/v1/admin/webhooks/{}", made.is(201).text_at("/data/id"));
    assert_eq!(admin.get(&path).await.etag(), made.etag());
    let patched = on(&admin, "PATCH", &path, ("If-Match", made.etag()), &json!({"description": "Billing"})).await;
    assert_ne!(patched.is(200).etag(), made.etag());
    on(&admin, "PATCH", &path, ("If-Match", made.etag()), &json!({"description": ""})).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", made.etag()), &Value::Null).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", patched.etag()), &Value::Null).await.is(200);

    let made = admin.post("/v1/admin/removed-endpoints", json!({"method": "GET", "path": "/x"})).await;
    let path = format!("/v1/admin/removed-endpoints/{}", made.is(201).text_at("/data/id"));
    on(&admin, "DELETE", &path, ("If-Match", "\"0\""), &Value::Null).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", &path, ("If-Match", made.etag()), &Value::Null).await.is(200);
}

#[tokio::test]
async fn what_is_scheduled_is_put_and_taken_back_under_the_condition_of_its_value() {
    let server = product().await;
    let admin = server.admin();
    let value = admin.put_value("free", "seats", json!({"max": 1})).await;
    let path = "/v1/admin/tiers/free/limits/seats/scheduled";
    assert_eq!(admin.get(path).await.etag(), value.etag());
    let body = json!({"scheduled": [{"startsAt": "2999-01-01T00:00:00Z", "value": {"max": 2}}]});
    on(&admin, "PUT", path, ("If-Match", "\"0\""), &body).await.fails(412, "precondition_failed");
    let put = on(&admin, "PUT", path, ("If-Match", value.etag()), &body).await;
    assert_ne!(put.is(200).etag(), value.etag());
    on(&admin, "DELETE", path, ("If-Match", value.etag()), &Value::Null).await.fails(412, "precondition_failed");
    on(&admin, "DELETE", path, ("If-Match", put.etag()), &Value::Null).await.is(200);
}

#[tokio::test]
async fn the_catalogue_is_put_under_the_condition_that_nothing_changed_since() {
    let server = product().await;
    let admin = server.admin();
    let read = admin.get("/v1/admin/catalog").await;
    let change = json!({"tiers": {"pro": {"name": "Pro"}}});
    let put = async |tag: &str| on(&admin, "PUT", "/v1/admin/catalog", ("If-Match", tag), &change).await;
    put("\"0\"").await.fails(412, "precondition_failed");
    put(read.etag()).await.is(200);
    put(read.etag()).await.fails(412, "precondition_failed");
    put(admin.get("/v1/admin/catalog").await.etag()).await.is(200);
}

#[tokio::test]
async fn every_conditional_operation_of_the_document_is_looked_at() {
    let server = Plimsoll::start().await;
    let is_conditional = |operation: &&crate::harness::Operation| {
        let is_write = ["PUT", "PATCH", "DELETE"].contains(&operation.method.as_str());
        is_write && operation.template.starts_with("/v1/admin/")
    };
    let documented: BTreeSet<&str> =
        server.document().operations().iter().filter(is_conditional).map(|operation| operation.id.as_str()).collect();
    let with_ids = [
        "putScheduledTierLimit",
        "deleteScheduledTierLimit",
        "patchApiKey",
        "deleteApiKey",
        "deleteOverride",
        "deleteRemovedEndpoint",
        "patchWebhook",
        "deleteWebhook",
        "putCatalog",
    ];
    let known = resources().into_iter().flat_map(|resource| resource.operations).copied().chain(with_ids).collect();
    assert_eq!(documented, known);
    for operation in server.document().operations().iter().filter(is_conditional) {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "If-Match"), "{}", operation.id);
    }
}

#[tokio::test]
async fn of_many_who_write_under_the_same_condition_one_wins() {
    let server = product().await;
    let admin = server.admin();
    let tag = admin.get("/v1/admin/tiers/free").await.etag().to_owned();
    let writers = (0..16).map(|n| {
        let (admin, tag) = (admin.clone(), tag.clone());
        tokio::spawn(async move {
            let body = json!({"name": format!("Writer {n}")});
            on(&admin, "PUT", "/v1/admin/tiers/free", ("If-Match", &tag), &body).await.status
        })
    });
    let mut statuses = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        statuses.push(writer.await.expect("a status"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses[1..], [412; 15]);
}
