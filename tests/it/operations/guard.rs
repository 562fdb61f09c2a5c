//! Sources that fail to authenticate again and again, or keep the admin API busy, are made to wait; nobody else is.

use serde_json::json;

use super::{sample, set_up};
use crate::harness::{Actor, Answer, Plimsoll, Setup};
use crate::jwt::forge::{AUDIENCE, ISSUER, SECRET};

const ADMIN_PATH: &str = "/v1/admin/tiers";

fn unknown_key() -> String {
    format!("plm_{}", "7c".repeat(32))
}

/// A request as it comes from this source through the proxy.
async fn from(actor: &Actor, source: &str) -> Answer {
    actor.request("GET", ADMIN_PATH).header("X-Forwarded-For", source).send().await
}

/// Behind a proxy that is believed.
fn behind_a_proxy(setup: Setup) -> Setup {
    setup.variable("PLIMSOLL_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
}

#[track_caller]
fn is_limited(answer: &Answer, bucket: &str) {
    answer.fails(429, "rate_limit_exceeded");
    let wait = answer.body["meta"]["retryAfter"].as_u64().expect("a wait");
    assert!((1..=60).contains(&wait), "{wait}");
    let expected = json!({"data": null, "error": "Rate limit exceeded",
        "meta": {"code": "rate_limit_exceeded", "bucket": bucket, "retryAfter": wait}});
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("retry-after"), Some(wait.to_string().as_str()));
}

/// How often the log speaks of a source.
fn lines_about(log: &str, source: &str) -> usize {
    log.lines().filter(|line| line.contains("WARN") && line.contains(&format!("source={source} "))).count()
}

#[tokio::test]
async fn a_source_that_fails_too_often_is_answered_429_and_its_good_keys_go_on() {
    let limited = |setup| behind_a_proxy(setup).variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "3");
    let server = Plimsoll::with(limited).await;
    let stranger = server.bearer(&unknown_key());
    for _ in 0..3 {
        from(&stranger, "203.0.113.1").await.fails(401, "invalid_api_key");
    }
    for _ in 0..2 {
        is_limited(&from(&stranger, "203.0.113.1").await, "failedAuthentication");
    }
    // Every operation counts together, and a refused one is not held to have been the right key.
    let elsewhere = stranger.request("POST", "/v1/check").header("X-Forwarded-For", "203.0.113.1").send().await;
    is_limited(&elsewhere, "failedAuthentication");
    from(&server.admin(), "203.0.113.1").await.is(200);
    from(&server.anonymous(), "203.0.113.1").await.fails(401, "invalid_api_key");
    from(&stranger, "203.0.113.2").await.fails(401, "invalid_api_key");
    from(&stranger, "2001:db8::1").await.fails(401, "invalid_api_key");
    let metrics = server.anonymous().get("/metrics").await.text;
    assert_eq!(sample(&metrics, r#"plimsoll_sources_limited_total{bucket="failedAuthentication"}"#), Some(3.0));
    assert_eq!(sample(&metrics, r#"plimsoll_sources_limited_total{bucket="adminApi"}"#), Some(0.0));
    let log = server.terminate().stderr;
    assert_eq!((lines_about(&log, "203.0.113.1"), lines_about(&log, "203.0.113.2")), (1, 0), "{log}");
}

#[tokio::test]
async fn whoever_has_sent_no_credential_has_not_failed() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "1")).await;
    for _ in 0..5 {
        server.anonymous().get(ADMIN_PATH).await.fails(401, "invalid_api_key");
    }
    server.bearer(&unknown_key()).get(ADMIN_PATH).await.fails(401, "invalid_api_key");
    is_limited(&server.bearer(&unknown_key()).get(ADMIN_PATH).await, "failedAuthentication");
}

#[tokio::test]
async fn tokens_malformed_bearers_and_revoked_keys_count_like_unknown_keys() {
    let limited = |setup: Setup| {
        let setup = setup.variable("PLIMSOLL_JWT_SECRET", SECRET).variable("PLIMSOLL_JWT_ISSUER", ISSUER);
        setup.variable("PLIMSOLL_JWT_AUDIENCE", AUDIENCE).variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "4")
    };
    let server = Plimsoll::with(limited).await;
    let revoked = server.key(&["read"], None).await;
    server.admin().delete(&format!("/v1/admin/api-keys/{}", revoked.id)).await.is(200);
    revoked.get(ADMIN_PATH).await.fails(401, "invalid_api_key");
    server.bearer("nonsense").get(ADMIN_PATH).await.fails(401, "invalid_api_key");
    server.bearer("a.b.c").get(ADMIN_PATH).await.fails(401, "invalid_token");
    let twice = server.admin().request("GET", ADMIN_PATH).header("Authorization", "Bearer x").send().await;
    twice.fails(401, "invalid_api_key");
    is_limited(&server.bearer("a.b.c").get(ADMIN_PATH).await, "failedAuthentication");
}

#[tokio::test]
async fn a_forwarded_address_is_not_believed_from_who_is_not_a_trusted_proxy() {
    let limited = |setup: Setup| {
        let setup = setup.variable("PLIMSOLL_TRUSTED_PROXIES", "10.0.0.0/8");
        setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "2")
    };
    let server = Plimsoll::with(limited).await;
    let stranger = server.bearer(&unknown_key());
    from(&stranger, "203.0.113.1").await.fails(401, "invalid_api_key");
    from(&stranger, "203.0.113.2").await.fails(401, "invalid_api_key");
    is_limited(&from(&stranger, "203.0.113.3").await, "failedAuthentication");
    assert_eq!(lines_about(&server.terminate().stderr, "127.0.0.1"), 1);
}

#[tokio::test]
async fn a_source_that_keeps_the_admin_api_busy_is_answered_429_before_its_body_is_read() {
    let limited = |setup| behind_a_proxy(setup).variable("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "8");
    let server = Plimsoll::with(limited).await;
    let admin = server.admin();
    set_up(&admin).await;
    let reader = server.key(&["read"], None).await;
    // Without the scope it is no request to the admin API that would keep it busy.
    for _ in 0..10 {
        reader.get(ADMIN_PATH).await.fails(403, "insufficient_scope");
    }
    for _ in 0..4 {
        admin.get(ADMIN_PATH).await.is(200);
    }
    is_limited(&admin.get(ADMIN_PATH).await, "adminApi");
    let without_its_body = format!(
        "POST /v1/admin/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 20\r\n\r\n",
        admin.secret()
    );
    is_limited(&server.raw(without_its_body).await, "adminApi");
    reader.get(ADMIN_PATH).await.fails(403, "insufficient_scope");
    from(&admin, "203.0.113.1").await.is(200);
    admin.check(json!({"org": "acme", "limitKey": "seats", "current": 1})).await.is(200);
    let metrics = server.anonymous().get("/metrics").await.text;
    assert_eq!(sample(&metrics, r#"plimsoll_sources_limited_total{bucket="adminApi"}"#), Some(2.0));
    assert_eq!(lines_about(&server.terminate().stderr, "127.0.0.1"), 1);
}

#[tokio::test]
async fn zero_is_no_limit() {
    let unlimited = |setup: Setup| {
        setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "0").variable("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "0")
    };
    let server = Plimsoll::with(unlimited).await;
    let (stranger, admin) = (server.bearer(&unknown_key()).unjudged(), server.admin().unjudged());
    // More than the limits' defaults would take too long for the admin API; one more than none is enough.
    for _ in 0..1_100 {
        stranger.get(ADMIN_PATH).await.fails(401, "invalid_api_key");
    }
    admin.get(ADMIN_PATH).await.is(200);
}
