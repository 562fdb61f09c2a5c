//! Running it: probes, metrics, logs, secrets, stopping, crashing, and callers that are too many, too slow or not who they say.

mod backup;
mod connections;
mod crash;
mod doctor;
mod guard;
mod load;
mod logs;
mod secrets;
mod slow;
mod slowhttp;
mod stop;

use serde_json::json;

use crate::harness::{Actor, Plimsoll};

/// A tier, a limit key with room for five, and an org.
async fn set_up(admin: &Actor) {
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
}

#[tokio::test]
async fn probes_answer_in_plain_words_without_a_credential() {
    let server = Plimsoll::start().await;
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let answer = server.anonymous().get(path).await;
        assert_eq!(answer.is(200).text, text);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        server.bearer("nonsense").get(path).await.is(200);
    }
}

/// The value of one sample.
fn sample(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn metrics_count_what_was_answered_and_decided() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    set_up(&admin).await;
    for current in [4, 5, 6] {
        admin.check(json!({"org": "acme", "limitKey": "seats", "current": current})).await.is(200);
    }
    let batch = json!({"checks": [{"org": "acme", "limitKey": "seats", "current": 5}]});
    admin.post("/v1/check/batch", batch).await.is(200);
    admin.check(json!({})).await.is(400);
    let metrics = server.anonymous().get("/metrics").await;
    let value = |name: &str| sample(&metrics.text, name).unwrap_or_else(|| panic!("no {name} in\n{}", metrics.text));
    assert_eq!(value(r#"plimsoll_decisions_total{kind="count",outcome="allowed"}"#), 1.0);
    assert_eq!(value(r#"plimsoll_decisions_total{kind="count",outcome="limit_reached"}"#), 3.0);
    assert_eq!(value(r#"plimsoll_decisions_total{kind="retention",outcome="retention_exceeded"}"#), 0.0);
    // The document itself was asked for first.
    assert_eq!(value(r#"plimsoll_http_responses_total{status="2xx"}"#), 8.0);
    assert_eq!(value(r#"plimsoll_http_responses_total{status="4xx"}"#), 1.0);
    assert_eq!(value("plimsoll_http_request_duration_seconds_count"), 9.0);
    assert_eq!(value(r#"plimsoll_http_request_duration_seconds_bucket{le="+Inf"}"#), 9.0);
    assert!(value("plimsoll_database_statements_total") > 0.0);
    let revision = admin.put_tier("starter").await.revision();
    let metrics = server.anonymous().get("/metrics").await.text;
    assert_eq!(
        sample(&metrics, "plimsoll_snapshot_revision"),
        Some(f64::from(u32::try_from(revision).expect("a small number")))
    );
    let described = [
        "plimsoll_decisions_total counter",
        "plimsoll_http_request_duration_seconds histogram",
        "plimsoll_snapshot_revision gauge",
    ];
    assert!(described.iter().all(|kind| metrics.contains(&format!("# TYPE {kind}\n"))), "{metrics}");
}
