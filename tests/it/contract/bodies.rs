//! The customer-facing bodies, to the letter.

use plimsoll::clock;
use plimsoll::domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

const DAY_SECONDS: i64 = 86_400;

async fn product() -> (Plimsoll, Actor) {
    let server = Plimsoll::start().await;
    let plan = json!({
        "limitKeys": {
            "max_creators_per_org": {"kind": "count", "default": {"max": 5}},
            "stats_history_retention_days": {"kind": "retention", "default": {"days": 30}},
            "sso": {"kind": "feature", "default": {"enabled": false}},
            "v1": {"kind": "rate", "windowSeconds": 7, "bucket": "v1Api", "default": {"max": 0}},
            "api_requests": {"kind": "quota", "window": "day", "label": "API request", "default": {"max": 0}},
            "exports": {"kind": "quota", "window": "hour", "label": "export", "default": {"max": 2}},
            "old": {"kind": "count", "default": {"max": 5}, "archived": true, "replacement": "sso"},
        },
        "tiers": {"free": {}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    let reader = server.key(&["read"], None).await;
    (server, reader)
}

fn days_ago(now: UtcMillis, days: i64) -> String {
    now.plus_millis(-days * DAY_SECONDS * 1_000).day().to_string()
}

/// Seconds until the next UTC midnight, or until the next whole hour.
fn seconds_left(now: UtcMillis, of: i64) -> i64 {
    of - now.get().div_euclid(1_000).rem_euclid(of)
}

#[tokio::test]
async fn a_full_count_is_the_402_of_the_contract() {
    let (_server, reader) = product().await;
    let question = json!({"org": "acme", "limitKey": "max_creators_per_org", "current": 5});
    let answer = reader.enforce(question.clone()).await;
    let body = r#"{"data":null,"error":"Limit reached: max_creators_per_org","meta":{"code":"limit_reached","limitKey":"max_creators_per_org","current":5,"max":5}}"#;
    assert_eq!(answer.is(402).text, body);
    // The question answered carries the same bytes, for those who relay it themselves.
    let asked = reader.check(question).await;
    assert!(
        asked.is(200).text.contains(&format!(r#""denial":{{"status":402,"headers":{{}},"body":{body}}}"#)),
        "{}",
        asked.text
    );
}

#[tokio::test]
async fn a_range_beyond_the_history_is_the_402_of_the_contract() {
    let (_server, reader) = product().await;
    let before = days_ago(clock::now(), 30);
    let answer = reader.enforce(json!({"org": "acme", "limitKey": "stats_history_retention_days", "from": "2020-01-01"})).await;
    let after = days_ago(clock::now(), 30);
    let body = |earliest: &str| {
        format!(
            r#"{{"data":null,"error":"Date range exceeds history retention: stats_history_retention_days","meta":{{"code":"retention_exceeded","limitKey":"stats_history_retention_days","retentionDays":30,"earliest":"{earliest}"}}}}"#
        )
    };
    // Midnight may pass between the two.
    assert!([body(&before), body(&after)].contains(&answer.is(402).text), "{}", answer.text);
}

#[tokio::test]
async fn a_feature_that_is_not_in_the_plan_is_the_402_of_the_contract() {
    let (_server, reader) = product().await;
    let answer = reader.enforce(json!({"org": "acme", "limitKey": "sso"})).await;
    let body = r#"{"data":null,"error":"Feature not in plan: sso","meta":{"code":"feature_unavailable","limitKey":"sso"}}"#;
    assert_eq!(answer.is(402).text, body);
}

#[tokio::test]
async fn a_missing_scope_is_the_403_of_the_contract() {
    let (server, reader) = product().await;
    let body = r#"{"data":null,"error":"This action requires the 'admin' scope. Granted: [read]","meta":{"code":"insufficient_scope","required":"admin","granted":["read"]}}"#;
    assert_eq!(reader.get("/v1/admin/tiers").await.is(403).text, body);
    let both = server.key(&["write", "admin"], None).await;
    let body = r#"{"data":null,"error":"This action requires the 'read' scope. Granted: [write, admin]","meta":{"code":"insufficient_scope","required":"read","granted":["write","admin"]}}"#;
    assert_eq!(both.check(json!({"org": "acme", "limitKey": "sso"})).await.is(403).text, body);
}

#[tokio::test]
async fn a_full_sliding_window_is_the_429_of_the_contract() {
    let (_server, reader) = product().await;
    let question = json!({"org": "acme", "limitKey": "v1", "keyId": "key_1"});
    let answer = reader.enforce(question.clone()).await;
    let body =
        r#"{"data":null,"error":"Rate limit exceeded","meta":{"code":"rate_limit_exceeded","bucket":"v1Api","retryAfter":7}}"#;
    assert_eq!(answer.is(429).text, body);
    assert_eq!(answer.header("retry-after"), Some("7"));
    let asked = reader.check(question).await;
    assert!(asked.text.contains(&format!(r#""denial":{{"status":429,"headers":{{"Retry-After":"7"}},"body":{body}}}"#)));
}

async fn quota_refusal(reader: &Actor, question: Value, sentence: &str, window: i64) {
    let latest = seconds_left(clock::now(), window);
    let answer = reader.enforce(question).await;
    let earliest = seconds_left(clock::now(), window);
    let body = format!(r#"{{"data":null,"error":"{sentence}","meta":{{"code":"rate_limit_exceeded"}}}}"#);
    assert_eq!(answer.is(429).text, body);
    let seconds: i64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("whole seconds");
    // The window may end between the two moments; else the answer lies between them.
    let is_between =
        (earliest..=latest).contains(&seconds) || (earliest > latest && (seconds >= earliest || seconds <= latest));
    assert!(is_between, "{seconds} is not between {earliest} and {latest}");
}

#[tokio::test]
async fn a_used_up_quota_is_the_429_of_the_contract() {
    let (_server, reader) = product().await;
    let daily = json!({"org": "acme", "limitKey": "api_requests"});
    quota_refusal(&reader, daily, "Daily API request limit exceeded", DAY_SECONDS).await;
    let hourly = json!({"org": "acme", "limitKey": "exports", "current": 2});
    quota_refusal(&reader, hourly, "Hourly export limit exceeded", 3_600).await;
}

#[tokio::test]
async fn an_archived_limit_key_is_a_410_that_names_its_replacement() {
    let (_server, reader) = product().await;
    let answer = reader.check(json!({"org": "acme", "limitKey": "old"})).await;
    let body = r#"{"data":null,"error":"This limit key is archived","meta":{"code":"gone","replacement":"sso"}}"#;
    assert_eq!(answer.is(410).text, body);
}

#[tokio::test]
async fn what_is_allowed_is_answered_the_same_with_enforce() {
    let (_server, reader) = product().await;
    let question = json!({"org": "acme", "limitKey": "max_creators_per_org", "current": 4});
    let asked = reader.check(question.clone()).await;
    let enforced = reader.enforce(question.clone()).await;
    assert_eq!(asked.is(200).text, enforced.is(200).text);
    let unforced = reader.post("/v1/check?enforce=false", json!({"org": "acme", "limitKey": "sso"})).await;
    assert_eq!(unforced.is(200).data()["decision"], "feature_unavailable");
}
