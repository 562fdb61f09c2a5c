//! The responses to a product's customer, to the letter.

use super::*;
use crate::domain::testing::*;

struct Expected {
    refusal: Refusal,
    code: &'static str,
    status: u16,
    rung: u8,
    headers: &'static str,
    body: &'static str,
}

const INVALID_TOKEN: &str = r#"{"WWW-Authenticate":"Bearer realm=\"plimsoll\", error=\"invalid_token\""}"#;

fn unauthenticated() -> Vec<Expected> {
    vec![
        Expected {
            refusal: Refusal::InvalidApiKey(Presented::Nothing),
            code: "invalid_api_key",
            status: 401,
            rung: 0,
            headers: r#"{"WWW-Authenticate":"Bearer realm=\"plimsoll\""}"#,
            body: r#"{"data":null,"error":"Missing API key","meta":{"code":"invalid_api_key"}}"#,
        },
        Expected {
            refusal: Refusal::InvalidApiKey(Presented::Something),
            code: "invalid_api_key",
            status: 401,
            rung: 0,
            headers: INVALID_TOKEN,
            body: r#"{"data":null,"error":"Invalid or expired API key","meta":{"code":"invalid_api_key"}}"#,
        },
        Expected {
            refusal: Refusal::InvalidToken,
            code: "invalid_token",
            status: 401,
            rung: 0,
            headers: INVALID_TOKEN,
            body: r#"{"data":null,"error":"Invalid or expired token","meta":{"code":"invalid_token"}}"#,
        },
    ]
}

fn forbidden() -> Vec<Expected> {
    let required = named("write");
    let granted = Scopes::built_in(&["read"]);
    vec![
        Expected {
            refusal: Refusal::OrgBanned,
            code: "org_banned",
            status: 403,
            rung: 1,
            headers: "{}",
            body: r#"{"data":null,"error":"This organization is banned","meta":{"code":"org_banned"}}"#,
        },
        Expected {
            refusal: Refusal::UserBanned,
            code: "user_banned",
            status: 403,
            rung: 1,
            headers: "{}",
            body: r#"{"data":null,"error":"This user is banned","meta":{"code":"user_banned"}}"#,
        },
        Expected {
            refusal: Refusal::InsufficientScope { required, granted },
            code: "insufficient_scope",
            status: 403,
            rung: 3,
            headers: "{}",
            body: r#"{"data":null,"error":"This action requires the 'write' scope. Granted: [read]","meta":{"code":"insufficient_scope","required":"write","granted":["read"]}}"#,
        },
    ]
}

fn gone() -> Vec<Expected> {
    vec![
        Expected {
            refusal: Refusal::Gone { what: Removed::Endpoint, replacement: None },
            code: "gone",
            status: 410,
            rung: 2,
            headers: "{}",
            body: r#"{"data":null,"error":"This endpoint has been removed","meta":{"code":"gone"}}"#,
        },
        Expected {
            refusal: Refusal::Gone { what: Removed::LimitKey, replacement: Some("max_members".to_owned()) },
            code: "gone",
            status: 410,
            rung: 2,
            headers: "{}",
            body: r#"{"data":null,"error":"This limit key is archived","meta":{"code":"gone","replacement":"max_members"}}"#,
        },
    ]
}

fn too_many() -> Vec<Expected> {
    vec![
        Expected {
            refusal: Refusal::RateExceeded { bucket: "v1Api".to_owned(), retry_after: 7 },
            code: "rate_limit_exceeded",
            status: 429,
            rung: 4,
            headers: r#"{"Retry-After":"7"}"#,
            body: r#"{"data":null,"error":"Rate limit exceeded","meta":{"code":"rate_limit_exceeded","bucket":"v1Api","retryAfter":7}}"#,
        },
        Expected {
            refusal: Refusal::QuotaExceeded { window: Window::Day, label: "API request".to_owned(), retry_after: 24_847 },
            code: "rate_limit_exceeded",
            status: 429,
            rung: 5,
            headers: r#"{"Retry-After":"24847"}"#,
            body: r#"{"data":null,"error":"Daily API request limit exceeded","meta":{"code":"rate_limit_exceeded"}}"#,
        },
    ]
}

fn out_of_plan() -> Vec<Expected> {
    let creators = named("max_creators_per_org");
    let history = named("stats_history_retention_days");
    let earliest = day("2026-10-23");
    vec![
        Expected {
            refusal: Refusal::LimitReached { limit_key: creators, current: quantity(5), max: quantity(5) },
            code: "limit_reached",
            status: 402,
            rung: 6,
            headers: "{}",
            body: r#"{"data":null,"error":"Limit reached: max_creators_per_org","meta":{"code":"limit_reached","limitKey":"max_creators_per_org","current":5,"max":5}}"#,
        },
        Expected {
            refusal: Refusal::RetentionExceeded { limit_key: history, retention_days: quantity(30), earliest },
            code: "retention_exceeded",
            status: 402,
            rung: 6,
            headers: "{}",
            body: r#"{"data":null,"error":"Date range exceeds history retention: stats_history_retention_days","meta":{"code":"retention_exceeded","limitKey":"stats_history_retention_days","retentionDays":30,"earliest":"2026-10-23"}}"#,
        },
        Expected {
            refusal: Refusal::FeatureUnavailable { limit_key: named("sso") },
            code: "feature_unavailable",
            status: 402,
            rung: 6,
            headers: "{}",
            body: r#"{"data":null,"error":"Feature not in plan: sso","meta":{"code":"feature_unavailable","limitKey":"sso"}}"#,
        },
    ]
}

fn every_refusal() -> Vec<Expected> {
    [unauthenticated(), forbidden(), gone(), too_many(), out_of_plan()].into_iter().flatten().collect()
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

#[test]
fn every_refusal_is_answered_to_the_letter() {
    for Expected { refusal, code, status, rung, headers, body } in every_refusal() {
        let denial = refusal.denial();
        assert_eq!(written(&denial.body), body);
        assert_eq!(written(&denial.headers), headers, "{body}");
        assert_eq!((denial.status, refusal.status()), (status, status), "{body}");
        assert_eq!((refusal.code(), refusal.rung()), (code, rung), "{body}");
        assert_eq!(written(&denial), format!(r#"{{"status":{status},"headers":{headers},"body":{body}}}"#));
    }
}

#[test]
fn the_ladder_descends_from_who_you_are_to_what_you_bought() {
    let mut codes = every_refusal();
    codes.sort_by_key(|expected| expected.refusal.rung());
    let mut codes: Vec<&str> = codes.iter().map(|expected| expected.refusal.code()).collect();
    codes.dedup();
    let expected = [
        "invalid_api_key",
        "invalid_token",
        "org_banned",
        "user_banned",
        "gone",
        "insufficient_scope",
        "rate_limit_exceeded",
        "limit_reached",
        "retention_exceeded",
        "feature_unavailable",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn the_sentence_of_a_quota_starts_with_its_window() {
    let sentence = |window| Refusal::QuotaExceeded { window, label: "manual update".to_owned(), retry_after: 1 }.sentence();
    let expected = ["Per-minute", "Hourly", "Daily", "Weekly", "Monthly"];
    for (window, adjective) in Window::ALL.into_iter().zip(expected) {
        assert_eq!(sentence(window), format!("{adjective} manual update limit exceeded"));
    }
}

#[test]
fn scopes_are_listed_built_in_first_and_once() {
    let granted = ["reports", "admin", "read", "billing", "read", "write"].into_iter().map(named).collect::<Scopes>();
    let refusal = granted.require("export").expect_err("not granted");
    let sentence = "This action requires the 'export' scope. Granted: [read, write, admin, billing, reports]";
    assert_eq!(refusal.sentence(), sentence);
    assert_eq!(granted.require("billing"), Ok(()));
    let nothing = Scopes::default().require("read").expect_err("not granted");
    assert_eq!(nothing.sentence(), "This action requires the 'read' scope. Granted: []");
}
