//! The feed of events: what happened, in one order.

mod followed;
mod killed;
mod stream;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

/// The longest that an event may take to be told.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server with a plan, of which `acme` is on the tier `free`.
async fn planned() -> (Plimsoll, Actor) {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let plan = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "calls": {"kind": "quota", "window": "day", "default": {"max": 10}},
        },
        "tiers": {"free": {}, "pro": {"limits": {"seats": {"max": 50}}}},
    });
    admin.put_catalog(&plan).await.is(200);
    admin.put_org("acme", "free").await.is(201);
    (server, admin)
}

async fn take(admin: &Actor, limit_key: &str, amount: u64) -> bool {
    let body = json!({"org": "acme", "limitKey": limit_key, "amount": amount});
    admin.post("/v1/consume", body).await.is(200).data()["allowed"].as_bool().expect("a decision")
}

async fn events(actor: &Actor, query: &str) -> Vec<Value> {
    actor.get(&format!("/v1/admin/events?limit=100&{query}")).await.is(200).items().to_vec()
}

/// The types of what happened, in order.
async fn types(actor: &Actor, query: &str) -> Vec<String> {
    events(actor, query).await.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

/// Waits until there are so many of a type.
async fn wait_for(actor: &Actor, kind: &str, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = events(actor, &format!("type={kind}")).await;
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{kind} is not told: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn usage_that_crosses_a_threshold_is_told_once_for_each_crossing() {
    let (_server, admin) = planned().await;
    for (amount, told) in [(3, 0), (1, 1), (1, 2)] {
        assert!(take(&admin, "seats", amount).await);
        assert_eq!(events(&admin, "type=usage.threshold_crossed").await.len(), told);
    }
    let found = events(&admin, "type=usage.threshold_crossed").await;
    assert_eq!(found[0]["data"], json!({"threshold": 80, "limitKey": "seats", "current": 4, "max": 5}));
    assert_eq!(found[1]["data"], json!({"threshold": 100, "limitKey": "seats", "current": 5, "max": 5}));
    assert_eq!((&found[0]["org"], found[0]["id"].as_str().map(|id| &id[..4])), (&json!("acme"), Some("evt_")));
    admin.post("/v1/release", json!({"org": "acme", "limitKey": "seats", "amount": 2})).await.is(200);
    assert_eq!(events(&admin, "type=usage.threshold_crossed").await.len(), 2, "not on the way down");
    assert!(take(&admin, "seats", 1).await);
    assert_eq!(events(&admin, "type=usage.threshold_crossed").await.len(), 3, "and again on the way up");
}

#[tokio::test]
async fn a_limit_key_may_have_thresholds_of_its_own_or_none() {
    let (_server, admin) = planned().await;
    let seats = |thresholds: &Value| json!({"kind": "count", "default": {"max": 5}, "thresholds": thresholds});
    let told = async || {
        let found = events(&admin, "type=usage.threshold_crossed").await;
        found.iter().filter_map(|event| event["data"]["threshold"].as_u64()).collect::<Vec<_>>()
    };
    let put = admin.put_limit_key("seats", seats(&json!([100, 20, 60]))).await;
    assert_eq!(put.is(200).data()["thresholds"], json!([20, 60, 100]));
    assert!(take(&admin, "seats", 4).await && take(&admin, "seats", 1).await);
    assert_eq!(told().await, [20, 60, 100]);
    let document = admin.get("/v1/admin/catalog").await.is(200).data().clone();
    assert_eq!(document["limitKeys"]["seats"]["thresholds"], json!([20, 60, 100]));
    let again = admin.put_catalog(&document).await;
    assert_eq!(again.is(200).data()["changes"], json!([]), "what is exported and applied changes nothing");
    admin.put_limit_key("seats", seats(&json!([]))).await.is(200);
    admin.put("/v1/orgs/acme/usage/seats", json!({"current": 0})).await.is(200);
    assert!(take(&admin, "seats", 5).await);
    assert_eq!(told().await, [20, 60, 100], "none are told where there are none");
    let usual = admin.put_limit_key("seats", seats(&Value::Null)).await;
    assert!(usual.is(200).data().get("thresholds").is_none());
    admin.put("/v1/orgs/acme/usage/seats", json!({"current": 0})).await.is(200);
    assert!(take(&admin, "seats", 5).await);
    assert_eq!(told().await, [20, 60, 100, 80, 100]);
    let audit = admin.get("/v1/admin/audit?object=limitKey&objectId=seats&limit=2").await.is(200).items().to_vec();
    assert_eq!((&audit[0]["before"]["thresholds"], &audit[0]["after"]["thresholds"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn thresholds_are_different_percents_of_what_is_counted() {
    let (_server, admin) = planned().await;
    for bad in [json!([0]), json!([101]), json!([50, 50]), json!((1..=17).collect::<Vec<_>>())] {
        let answer = admin.put_limit_key("seats", json!({"kind": "count", "thresholds": bad})).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), ["thresholds"], "{bad}");
    }
    let answer = admin.put_limit_key("history", json!({"kind": "retention", "thresholds": [50]})).await;
    assert_eq!(answer.fails(400, "invalid_body").issues(), ["thresholds"]);
    let answer = admin.put_limit_key("seats", json!({"kind": "count", "thresholds": [50.5]})).await;
    assert_eq!(answer.fails(400, "invalid_body").issues(), ["thresholds[0]"]);
}

#[tokio::test]
async fn what_is_held_crosses_a_threshold_too_and_a_quota_names_its_window() {
    let (_server, admin) = planned().await;
    let held = admin.post("/v1/reservations", json!({"org": "acme", "limitKey": "calls", "amount": 8})).await;
    let id = held.is(201).text_at("/data/id").to_owned();
    let found = events(&admin, "type=usage.threshold_crossed").await;
    assert_eq!((found.len(), &found[0]["data"]["threshold"], &found[0]["data"]["current"]), (1, &json!(80), &json!(8)));
    assert!(found[0]["data"]["windowStart"].is_string() && found[0]["data"]["resetsAt"].is_string(), "{found:?}");
    admin.post(&format!("/v1/reservations/{id}/confirm"), json!({})).await.is(200);
    assert_eq!(events(&admin, "type=usage.threshold_crossed").await.len(), 1, "what was held is used: nothing has grown");
}

#[tokio::test]
async fn a_limit_that_is_reached_is_told_once_until_there_is_room_again() {
    let (_server, admin) = planned().await;
    assert!(!take(&admin, "seats", 6).await);
    assert_eq!(events(&admin, "type=limit.reached").await.len(), 0, "nothing is used: more was asked for than there ever is");
    assert!(take(&admin, "seats", 5).await);
    for _ in 0..3 {
        assert!(!take(&admin, "seats", 1).await);
        let held = admin.post("/v1/reservations", json!({"org": "acme", "limitKey": "seats"})).await;
        assert_eq!(held.is(200).data()["allowed"], false);
    }
    let found = events(&admin, "type=limit.reached").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["data"], json!({"requested": 1, "limitKey": "seats", "current": 5, "max": 5}));
    admin.post("/v1/release", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    assert!(!take(&admin, "seats", 2).await);
    assert_eq!(events(&admin, "type=limit.reached").await.len(), 2, "there was room, and now there is not enough");
    admin.put_org("acme", "pro").await.is(200);
    assert!(take(&admin, "seats", 46).await);
    assert!(!take(&admin, "seats", 1).await);
    assert_eq!(events(&admin, "type=limit.reached").await.len(), 3, "a higher cap is room as well");
}

#[tokio::test]
async fn a_reached_limit_is_not_told_again_after_a_restart() {
    let (server, admin) = planned().await;
    assert!(take(&admin, "seats", 5).await && !take(&admin, "seats", 1).await);
    let setup = server.kill().setup;
    let server = Plimsoll::on(setup).await;
    assert!(!take(&server.admin(), "seats", 1).await);
    assert_eq!(events(&server.admin(), "type=limit.reached").await.len(), 1);
}

#[tokio::test]
async fn admin_changes_are_told_with_their_cause_and_in_order() {
    let (server, admin) = planned().await;
    let key = server.key(&["read"], Some("acme")).await;
    admin.put_org("acme", "free").await.is(200);
    admin.put_org("acme", "pro").await.is(200);
    admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "abuse"})).await.is(200);
    admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "more of it"})).await.is(200);
    admin.post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
    admin.post("/v1/admin/users/jane/ban", json!({})).await.is(200);
    admin.post("/v1/admin/users/jane/unban", json!({})).await.is(200);
    admin.post("/v1/admin/users/jane/unban", json!({})).await.is(200);
    admin.post(&format!("/v1/admin/api-keys/{}/rotate", key.id), json!({"overlapSeconds": 60})).await.is(201);
    admin.put("/v1/orgs/acme/usage/seats", json!({"current": 45, "dryRun": true})).await.is(200);
    admin.put("/v1/orgs/acme/usage/seats", json!({"current": 45})).await.is(200);
    admin.put("/v1/orgs/acme/usage/seats", json!({"current": 45})).await.is(200);
    admin.put_org("acme", "nothing").await.is(400);
    let expected = [
        "org.tier_changed",
        "org.banned",
        "org.unbanned",
        "user.banned",
        "user.unbanned",
        "api_key.rotated",
        "usage.drift_repaired",
        "usage.threshold_crossed",
    ];
    assert_eq!(types(&admin, "").await, expected);
    let found = events(&admin, "").await;
    assert_eq!(found[0]["data"], json!({"from": "free", "to": "pro"}));
    assert_eq!(found[1]["data"], json!({"reason": "abuse"}));
    assert_eq!((&found[3]["org"], &found[3]["data"]["user"]), (&Value::Null, &json!("jane")));
    assert_eq!((&found[5]["org"], &found[5]["data"]["apiKey"]), (&json!("acme"), &json!(key.id)));
    assert_eq!(found[6]["data"], json!({"limitKey": "seats", "recorded": 0, "actual": 45}));
    let numbers: Vec<u64> = found.iter().map(|event| event["sequence"].as_u64().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(types(&admin, "org=acme").await.len(), 6);
    assert_eq!(types(&admin, "type=org.banned&org=globex").await.len(), 0);
}

#[tokio::test]
async fn an_override_is_told_before_it_lapses_and_when_it_has_once_each() {
    let (_server, admin) = planned().await;
    let ends = |seconds: u64| plimsoll::clock::now().plus_seconds(seconds).to_string();
    let wanted = |seconds| json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}, "expiresAt": ends(seconds)});
    let short = admin.create_override("acme", &wanted(2)).await.is(201).text_at("/data/id").to_owned();
    let long = admin.create_override("acme", &wanted(3600)).await.is(201).text_at("/data/id").to_owned();
    admin.create_override("acme", &wanted(90_000)).await.is(201);
    let lapsing = wait_for(&admin, "override.lapsing", 2).await;
    let of = |event: &Value| event["data"]["override"].as_str().expect("an id").to_owned();
    assert_eq!(lapsing.iter().map(of).collect::<Vec<_>>(), [short.clone(), long]);
    let lapsed = wait_for(&admin, "override.lapsed", 1).await;
    assert_eq!(of(&lapsed[0]), short);
    assert_eq!(types(&admin, "").await.len(), 3);
}

#[tokio::test]
async fn the_feed_is_read_on_from_where_a_consumer_was() {
    let (_server, admin) = planned().await;
    let mut read: Vec<Value> = Vec::new();
    let mut next = 0;
    for round in 0..4 {
        for _ in 0..round {
            admin.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
            admin.post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
        }
        loop {
            let answer = admin.get(&format!("/v1/admin/events?limit=2&after={next}")).await;
            next = answer.is(200).body["meta"]["next"].as_u64().expect("where to go on");
            read.extend(answer.items().to_vec());
            if answer.items().is_empty() {
                break;
            }
        }
    }
    assert_eq!(read.len(), 12);
    assert_eq!(read, events(&admin, "").await, "without a gap and without a repetition");
    for (query, path) in [("after=x", "after"), ("type=nothing", "type"), ("org=a%20b", "org"), ("limit=0", "limit")] {
        let answer = admin.get(&format!("/v1/admin/events?{query}")).await;
        assert_eq!(answer.fails(400, "invalid_query").issues(), [path]);
    }
}
