//! What the log says, and what it never says.

use serde_json::{Value, json};

use super::set_up;
use crate::harness::{ADMIN_KEY, Plimsoll, Setup};
use crate::jwt::forge::{AUDIENCE, ISSUER, SECRET, SHARED, claims_with};

#[tokio::test]
async fn every_line_of_a_json_log_is_json() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_LOG_FORMAT", "json").variable("PLIMSOLL_LOG", "debug")).await;
    set_up(&server.admin()).await;
    server.admin().put_tier("\u{1b}[31m").await.is(400);
    server.anonymous().get("/no\u{ad}where").await.is(404);
    let stopped = server.terminate();
    for line in stopped.stderr.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string() && entry["level"].is_string() && entry["fields"].is_object(), "{line}");
    }
    assert!(stopped.stderr.lines().count() > 5);
}

#[tokio::test]
async fn request_ids_are_in_the_log_at_debug_and_requests_are_not_at_info() {
    for (level, format, is_logged) in [("debug", "human", true), ("debug", "json", true), ("info", "human", false)] {
        let server =
            Plimsoll::with(|setup| setup.variable("PLIMSOLL_LOG", level).variable("PLIMSOLL_LOG_FORMAT", format)).await;
        let request = server.anonymous().request("GET", "/v1/admin/tiers").header("X-Request-Id", "trace-me-1");
        let answer = request.send().await;
        assert_eq!(answer.is(401).header("x-request-id"), Some("trace-me-1"));
        let made = server.admin().get("/v1/admin/tiers").await.header("x-request-id").expect("an id").to_owned();
        let log = server.terminate().stderr;
        for id in ["trace-me-1", &made] {
            let line = log.lines().find(|line| line.contains(id));
            assert_eq!(line.is_some(), is_logged, "{level} {format}: {log}");
            assert!(line.is_none_or(|line| line.contains("/v1/admin/tiers")), "{log}");
        }
    }
}

#[tokio::test]
async fn a_human_log_has_no_colours_when_nobody_looks() {
    let server = Plimsoll::start().await;
    let log = server.terminate().stderr;
    assert!(log.contains("INFO") && !log.contains('\u{1b}'), "{log}");
}

#[tokio::test]
async fn forged_lines_do_not_come_into_the_log() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_LOG", "trace")).await;
    server.anonymous().get("/x%0Aforged%20line").await.is(404);
    let request = server.anonymous().request("GET", "/livez").header("X-Request-Id", "a b\tforged");
    assert_ne!(request.send().await.header("x-request-id"), Some("a b\tforged"));
    let log = server.terminate().stderr;
    assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
}

/// What must be nowhere: the part that makes a credential work.
fn core(secret: &str) -> String {
    let start = secret.len() - 24;
    secret[start..].to_owned()
}

fn with_secrets() -> Setup {
    let setup = Setup::new();
    let setup = setup.variable("PLIMSOLL_LOG", "trace").variable("PLIMSOLL_JWT_SECRET", SECRET);
    setup.variable("PLIMSOLL_JWT_ISSUER", ISSUER).variable("PLIMSOLL_JWT_AUDIENCE", AUDIENCE)
}

#[tokio::test]
async fn no_secret_is_in_the_output_the_metrics_the_audit_or_the_database() {
    let server = Plimsoll::on(with_secrets()).await;
    let admin = server.admin();
    set_up(&admin).await;
    let mut secrets = vec![core(ADMIN_KEY), SECRET.to_owned()];

    let once = || admin.request("POST", "/v1/admin/api-keys").header("Idempotency-Key", "only-this-once");
    let made = once().json(&json!({"name": "planted", "org": "acme"})).send().await;
    let replayed = once().json(&json!({"name": "planted", "org": "acme"})).send().await;
    assert_eq!(made.is(201).text, replayed.is(201).text, "the replayed answer was kept, and sealed");
    let key = server.bearer(made.text_at("/data/key"));
    key.check(json!({"org": "acme", "limitKey": "seats", "current": 1})).await.is(200);
    let rotated =
        admin.post(&format!("/v1/admin/api-keys/{}/rotate", made.text_at("/data/id")), json!({"overlapSeconds": 60})).await;
    secrets.extend([core(made.text_at("/data/key")), core(rotated.is(201).text_at("/data/key"))]);

    let token = SHARED.token(&claims_with("scope", "read write admin"));
    server.bearer(&token).put_tier("by-token").await.is(201);
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 12..forged.len() - 8, "AAAA");
    server.bearer(&forged).get("/v1/admin/tiers").await.fails(401, "invalid_token");
    let unknown = format!("plm_{}", "7c".repeat(32));
    server.bearer(&unknown).get("/v1/admin/tiers").await.fails(401, "invalid_api_key");
    server.bearer(SECRET).get("/v1/admin/tiers").await.is(401);
    secrets.extend([core(&token), core(&forged), core(&unknown)]);

    let mut audit = admin.get("/v1/admin/audit?limit=100").await.is(200).text.clone();
    audit.push_str(&admin.get("/v1/admin/api-keys").await.is(200).text);
    let metrics = server.anonymous().get("/metrics").await.text;
    let stopped = server.kill();
    let mut kept = String::new();
    for entry in std::fs::read_dir(stopped.setup.folder()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        kept.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(stopped.stderr.contains("TRACE"), "the log is to say everything that it can");
    assert!(kept.contains("planted") && audit.contains("planted"), "the search is to look at the right places");
    let places =
        [("log", &stopped.stderr), ("output", &stopped.stdout), ("metrics", &metrics), ("audit", &audit), ("database", &kept)];
    for (place, text) in places {
        for secret in &secrets {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "the {place} holds {secret}");
        }
    }
}
