//! Rates that an API key has of its own.

use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Plimsoll};

const KEYS: &str = "/v1/admin/api-keys";

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let plan = json!({
        "limitKeys": {
            "per_minute": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "default": {"max": 60}},
            "per_hour": {"kind": "rate", "windowSeconds": 3600, "default": {"max": 1000}},
            "seats": {"kind": "count", "default": {"max": 5}},
        },
        "tiers": {"free": {"limits": {"per_minute": {"max": 30}}}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    for org in ["acme", "globex"] {
        server.admin().put_org(org, "free").await.is(201);
    }
    server
}

async fn made(server: &Plimsoll, body: Value) -> Answer {
    let made = server.admin().create_key(&body).await;
    made.is(201);
    made
}

/// The limit that a check shows for an API key, and where it came from.
async fn shown(actor: &Actor, org: &str, key: &str) -> (Value, Value) {
    let answer = actor.check(json!({"org": org, "limitKey": "per_minute", "keyId": key})).await;
    (answer.is(200).data()["limit"].clone(), answer.data()["source"].clone())
}

#[tokio::test]
async fn a_keys_own_rate_is_shown_kept_replaced_and_cleared() {
    let server = product().await;
    let admin = server.admin();
    let rates = json!({"per_minute": {"max": 600}, "per_hour": {"unlimited": true}});
    let key = made(&server, json!({"name": "importer", "org": "acme", "rateLimits": rates})).await;
    let path = format!("{KEYS}/{}", key.text_at("/data/id"));
    assert_eq!(key.data()["rateLimits"], rates);
    assert_eq!(admin.get(&path).await.data()["rateLimits"], rates);
    assert_eq!(admin.get(KEYS).await.items()[0]["rateLimits"], rates);
    let kept = admin.patch(&path, json!({"name": "other"})).await;
    assert_eq!(kept.is(200).data()["rateLimits"], rates, "what is left out stays");
    let replaced = admin.patch(&path, json!({"rateLimits": {"per_minute": {"max": 5}}})).await;
    assert_eq!(replaced.is(200).data()["rateLimits"], json!({"per_minute": {"max": 5}}), "all of them are replaced");
    let same = admin.patch(&path, json!({"rateLimits": {"per_minute": {"max": 5}}})).await;
    assert_eq!(same.is(200).etag(), replaced.etag(), "what stays as it is is no change");
    for (cleared, nothing) in [(json!(null), json!({})), (json!({}), json!({}))] {
        let answer = admin.patch(&path, json!({"rateLimits": cleared})).await;
        assert_eq!(answer.is(200).data()["rateLimits"], nothing);
    }
    let audit = admin.get("/v1/admin/audit?object=apiKey&action=update").await;
    let rates_of = |entry: &Value| (entry["before"]["rateLimits"].clone(), entry["after"]["rateLimits"].clone());
    let changes: Vec<_> = audit.items().iter().map(rates_of).collect();
    assert!(changes.contains(&(rates.clone(), json!({"per_minute": {"max": 5}}))), "{changes:?}");
    assert_eq!(made(&server, json!({"name": "plain"})).await.data()["rateLimits"], json!({}));
}

#[tokio::test]
async fn a_rate_of_what_is_no_rate_is_a_400_that_names_it() {
    let server = product().await;
    let many: serde_json::Map<_, _> = (0..65).map(|number| (format!("k{number}"), json!({"max": 1}))).collect();
    let table = [
        (json!({"nothing": {"max": 1}}), vec!["rateLimits.nothing"]),
        (json!({"seats": {"max": 1}, "per_minute": {"max": 1}}), vec!["rateLimits.seats"]),
        (json!({"per_minute": {"days": 1}}), vec!["rateLimits.per_minute"]),
        (
            json!({"per_minute": {}, "per_hour": {"max": 1, "unlimited": true}}),
            vec!["rateLimits.per_hour", "rateLimits.per_minute"],
        ),
        (json!({"per_minute": {"max": -1}}), vec!["rateLimits.per_minute.max"]),
        (json!({"per_minute": null}), vec!["rateLimits.per_minute"]),
        (json!({"Per Minute": {"max": 1}}), vec!["rateLimits.Per Minute"]),
        (json!([]), vec!["rateLimits"]),
        (json!(5), vec!["rateLimits"]),
        (Value::Object(many), vec!["rateLimits"]),
    ];
    let key = made(&server, json!({"name": "k", "org": "acme"})).await;
    let path = format!("{KEYS}/{}", key.text_at("/data/id"));
    for (rates, paths) in table {
        let create = server.admin().create_key(&json!({"name": "k", "org": "acme", "rateLimits": rates})).await;
        let patch = server.admin().patch(&path, json!({"rateLimits": rates})).await;
        for answer in [create, patch] {
            let mut found = answer.fails(400, "invalid_body").issues();
            found.sort_unstable();
            assert_eq!(found, paths, "{rates}");
        }
    }
    assert_eq!(server.admin().get(KEYS).await.items().len(), 1);
}

#[tokio::test]
async fn a_platform_key_has_no_windows_and_so_no_rates() {
    let server = product().await;
    let rates = json!({"per_minute": {"max": 600}});
    let refused = server.admin().create_key(&json!({"name": "k", "rateLimits": rates})).await;
    assert_eq!(refused.fails(400, "invalid_body").issues(), ["rateLimits"]);
    let platform = made(&server, json!({"name": "k", "rateLimits": {}})).await;
    let path = format!("{KEYS}/{}", platform.text_at("/data/id"));
    let refused = server.admin().patch(&path, json!({"rateLimits": rates})).await;
    assert_eq!(refused.fails(400, "invalid_body").issues(), ["rateLimits"]);
    server.admin().patch(&path, json!({"rateLimits": null})).await.is(200);
}

#[tokio::test]
async fn a_check_shows_the_keys_own_rate_from_the_next_call_on() {
    let server = product().await;
    let admin = server.admin();
    let key = made(&server, json!({"name": "k", "org": "acme"})).await;
    let id = key.text_at("/data/id");
    let path = format!("{KEYS}/{id}");
    let (of_org, own) = ((json!(30), json!("tier")), (json!(600), json!("override")));
    assert_eq!(shown(&admin, "acme", id).await, of_org);
    admin.patch(&path, json!({"rateLimits": {"per_minute": {"max": 600}}})).await.is(200);
    assert_eq!(shown(&admin, "acme", id).await, own);
    assert_eq!(shown(&admin, "globex", id).await, of_org, "a key of another org has no rate there");
    assert_eq!(shown(&admin, "acme", "key_of_nobody").await, of_org);
    let wanted = json!({"limitKey": "per_minute", "mode": "set", "value": {"max": 1}, "reason": "slower"});
    admin.create_override("acme", &wanted).await.is(201);
    assert_eq!(shown(&admin, "acme", id).await, own, "it replaces what the org has, overrides and all");
    assert_eq!(shown(&admin, "acme", "key_of_nobody").await, (json!(1), json!("override")));
    admin.patch(&path, json!({"rateLimits": null})).await.is(200);
    assert_eq!(shown(&admin, "acme", id).await, (json!(1), json!("override")));
}

#[tokio::test]
async fn a_limit_key_that_an_api_key_names_is_in_use() {
    let server = product().await;
    let admin = server.admin();
    let key = made(&server, json!({"name": "k", "org": "acme", "rateLimits": {"per_hour": {"max": 5}}})).await;
    let id = key.text_at("/data/id").to_owned();
    let refused = admin.delete("/v1/admin/limit-keys/per_hour").await;
    assert!(refused.fails(409, "state_conflict").error().contains(&id), "{}", refused.text);
    let to_count = json!({"kind": "count", "default": {"max": 5}});
    admin.put_limit_key("per_hour", to_count.clone()).await.fails(409, "state_conflict");
    let plan = json!({"limitKeys": {"per_hour": to_count}});
    assert_eq!(admin.put_catalog(&plan).await.fails(400, "invalid_body").issues(), ["limitKeys.per_hour.kind"]);
    admin.post("/v1/admin/limit-keys/per_hour/archive", json!({})).await.is(200);
    let new = json!({"name": "n", "rateLimits": {"per_hour": {"max": 5}}});
    assert_eq!(admin.create_key(&new).await.fails(400, "invalid_body").issues(), ["rateLimits.per_hour"]);
    admin.delete(&format!("{KEYS}/{id}")).await.is(200);
    admin.delete("/v1/admin/limit-keys/per_hour").await.is(200);
}
