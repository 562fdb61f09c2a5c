//! Sliding windows over HTTP: per key, per tier, and under many callers.

use serde_json::json;
use tokio::task::JoinSet;

use super::{customer, decision, product};

#[tokio::test]
async fn sixty_pass_and_the_sixty_first_waits_as_long_as_it_is_told() {
    let product = product().await;
    for left in (0..60).rev() {
        let answer = product.authorize(json!({})).await;
        assert_eq!((decision(&answer), &answer.data()["decisions"][0]["remaining"]), ("allowed", &json!(left)));
    }
    let refused = product.authorize(json!({})).await;
    let window = &refused.is(200).data()["decisions"][0];
    let wait = window["retryAfter"].as_u64().expect("seconds");
    assert!((1..=60).contains(&wait), "{window}");
    let body = json!({"data": null, "error": "Rate limit exceeded", "meta": {"code": "rate_limit_exceeded", "bucket": "v1Api", "retryAfter": wait}});
    let denial = json!({"status": 429, "headers": {"Retry-After": wait.to_string()}, "body": body});
    assert_eq!(refused.data()["denial"], denial);
    assert_eq!(refused.data()["decisions"].as_array().map(Vec::len), Some(1), "nothing behind the window was judged");
    assert_eq!(product.used("requests").await, 60);
}

#[tokio::test]
async fn every_key_has_its_own_window_and_every_tier_its_own_limit() {
    let product = product().await;
    product.limit("calls", json!({"max": 1})).await;
    let (second, _) = customer(&product.server, &json!({"org": "acme"})).await;
    assert_eq!(decision(&product.authorize(json!({})).await), "allowed");
    assert_eq!(decision(&product.authorize(json!({})).await), "rate_limit_exceeded");
    assert_eq!(decision(&product.authorize(json!({"apiKey": second})).await), "allowed");
    assert_eq!(decision(&product.authorize(json!({"apiKey": second})).await), "rate_limit_exceeded");
    product.server.admin().put_org("big", "ultra").await.is(201);
    let (big, _) = customer(&product.server, &json!({"org": "big"})).await;
    let answer = product.authorize(json!({"apiKey": big})).await;
    let window = &answer.is(200).data()["decisions"][0];
    assert_eq!((&window["limit"], &window["source"]), (&json!(600), &json!("tier")));
    // The org's quota is unlimited, so only the window is spoken of; it is counted all the same.
    assert_eq!(answer.data()["headers"]["RateLimit-Policy"], r#""v1Api";q=600;w=60"#);
    assert_eq!(answer.data()["decisions"][1]["current"], 1);
}

#[tokio::test]
async fn a_check_sees_the_window_and_counts_nothing_in_it() {
    let product = product().await;
    product.authorize(json!({})).await.is(200);
    let admin = product.server.admin();
    for _ in 0..2 {
        let seen = admin.check(json!({"org": "acme", "limitKey": "calls", "keyId": product.id})).await;
        let data = seen.is(200).data();
        assert_eq!((&data["remaining"], &data["limit"], &data["retryAfter"]), (&json!(59), &json!(60), &json!(null)));
        assert!(data["resetsAt"].is_string());
    }
    product.limit("calls", json!({"max": 1})).await;
    let full = admin.check(json!({"org": "acme", "limitKey": "calls", "keyId": product.id})).await;
    assert_eq!(full.is(200).text_at("/data/decision"), "rate_limit_exceeded");
    // A key of another org has no window here, as a key that does not exist.
    admin.put_org("globex", "free").await.is(201);
    let other = admin.check(json!({"org": "globex", "limitKey": "calls", "keyId": product.id})).await;
    assert_eq!((&other.is(200).data()["remaining"], &other.data()["resetsAt"]), (&json!(60), &json!(null)));
}

#[tokio::test]
async fn a_window_that_is_asked_about_in_passing_is_that_of_the_key_and_is_not_taken() {
    let product = product().await;
    for _ in 0..2 {
        let answer = product.authorize(json!({"check": [{"limitKey": "exports"}]})).await;
        let asked = answer.is(200).data()["decisions"].as_array().expect("decisions").last().expect("one").clone();
        assert_eq!((&asked["limitKey"], &asked["remaining"]), (&json!("exports"), &json!(1)));
    }
}

#[tokio::test]
async fn thirty_two_callers_at_once_pass_exactly_as_often_as_the_limit_says() {
    let product = product().await;
    product.limit("calls", json!({"max": 100})).await;
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let asks = product.asks.clone();
        let body = json!({"apiKey": product.customer, "method": "POST", "path": "/", "consume": [{"limitKey": "seats"}]});
        callers.spawn(async move {
            let mut decisions = Vec::new();
            for _ in 0..8 {
                decisions.push(decision(&asks.post("/v1/authorize", body.clone()).await).to_owned());
            }
            decisions
        });
    }
    let decisions: Vec<String> = callers.join_all().await.concat();
    let count = |code: &str| decisions.iter().filter(|decision| *decision == code).count();
    assert_eq!((count("rate_limit_exceeded"), count("limit_reached"), count("allowed")), (256 - 100, 95, 5));
    assert_eq!((product.used("seats").await, product.used("requests").await), (5, 5));
}
