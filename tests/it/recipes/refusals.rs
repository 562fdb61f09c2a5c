//! Each refusal through a proxy, as the customer gets it.

use serde_json::json;

use super::BOTH;
use super::front::{Front, answer};
use crate::harness::Answer;

/// That a refusal through a proxy says what Plimsoll says: status, body and headers.
fn is_told(through: &Answer, told: &Answer) {
    assert_eq!((through.status, &through.text), (told.status, &told.text), "{}", through.asked);
    for name in ["content-type", "cache-control", "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy"] {
        assert_eq!(through.header(name), told.header(name), "{name} of {}", through.asked);
        assert!(through.headers.get_all(name).iter().count() < 2, "{name} of {}", through.asked);
    }
    for name in ["x-plimsoll-status", "x-plimsoll-body"] {
        assert_eq!(through.header(name), None, "{name} is between the proxy and Plimsoll");
    }
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("a time to wait").parse().expect("seconds")
}

#[tokio::test]
async fn sixty_requests_a_minute_pass_and_the_next_is_refused_to_the_letter() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        for nth in 1..=60 {
            let passed = front.call(&customer, "GET", "/api/v1/creators").await;
            let left = format!(r#""v1Api";r={};t="#, 60 - nth);
            assert!(passed.is(200).header("ratelimit").is_some_and(|value| value.starts_with(&left)), "{kind:?} {nth}");
            let policy = passed.header("ratelimit-policy");
            assert_eq!(policy, Some(r#""v1Api";q=60;w=60, "requests";q=1000;w=86400"#), "{kind:?} {nth}");
        }
        let refused = front.call(&customer, "GET", "/api/v1/creators").await;
        let wait = seconds(&refused);
        let body = format!(
            r#"{{"data":null,"error":"Rate limit exceeded","meta":{{"code":"rate_limit_exceeded","bucket":"v1Api","retryAfter":{wait}}}}}"#
        );
        assert_eq!((refused.status, refused.text), (429, body), "{kind:?}");
        assert!((1..=60).contains(&wait), "{kind:?}: {wait}");
        assert_eq!(refused.headers["ratelimit"], format!(r#""v1Api";r=0;t={wait}"#), "{kind:?}");
        assert_eq!(refused.headers["content-type"], "application/json", "{kind:?}");
        assert_eq!(front.product.requests(), 60, "{kind:?}");
        // The window is the key's: another of the same org is not held up.
        front.call(&front.customer(&["read"]).await, "GET", "/").await.is(200);
    }
}

#[tokio::test]
async fn of_two_hundred_requests_at_once_exactly_sixty_pass() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        let sent: Vec<_> = (0..200).map(|_| tokio::spawn(answer(front.request(&customer, "GET", "/")))).collect();
        let mut statuses = Vec::new();
        for request in sent {
            statuses.push(request.await.expect("an answer").status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200; 60], vec![429; 140]].concat(), "{kind:?}");
        assert_eq!(front.product.requests(), 60, "{kind:?}");
    }
}

#[tokio::test]
async fn a_used_up_day_is_refused_in_its_own_words() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let one = json!({"limitKey": "requests", "mode": "set", "value": {"max": 1}});
        front.server.admin().create_override("acme", &one).await.is(201);
        let customer = front.customer(&["read"]).await;
        front.call(&customer, "GET", "/").await.is(200);
        let refused = front.call(&customer, "GET", "/").await;
        let body = r#"{"data":null,"error":"Daily API request limit exceeded","meta":{"code":"rate_limit_exceeded"}}"#;
        assert_eq!((refused.status, &*refused.text), (429, body), "{kind:?}");
        assert!((1..=86_400).contains(&seconds(&refused)), "{kind:?}");
        assert_eq!(front.product.requests(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_good_key_is_told_how_to_authenticate() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let keyless = front.call(&front.server.anonymous(), "GET", "/").await;
        let body = r#"{"data":null,"error":"Missing API key","meta":{"code":"invalid_api_key"}}"#;
        assert_eq!((keyless.status, &*keyless.text), (401, body), "{kind:?}");
        assert_eq!(keyless.headers["www-authenticate"], r#"Bearer realm="plimsoll""#, "{kind:?}");
        for customer in [front.server.anonymous(), front.server.bearer("nonsense")] {
            let told = front.told(&customer, "GET", "/page.html").await;
            is_told(&front.call(&customer, "GET", "/page.html").await, &told);
        }
        assert_eq!(front.call(&front.server.anonymous(), "HEAD", "/").await.text, "", "{kind:?}");
        assert_eq!(front.product.requests(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_key_that_only_reads_may_not_write_with_any_method() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let reader = front.customer(&["read"]).await;
        let body = concat!(
            r#"{"data":null,"error":"This action requires the 'write' scope. Granted: [read]","#,
            r#""meta":{"code":"insufficient_scope","required":"write","granted":["read"]}}"#
        );
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let refused = front.call(&reader, method, "/api/v1/creators").await;
            assert_eq!((refused.status, &*refused.text), (403, body), "{kind:?} {method}");
        }
        let with_body = answer(front.request(&reader, "POST", "/").body("x".repeat(10_000))).await;
        assert_eq!((with_body.status, &*with_body.text), (403, body), "{kind:?}");
        // What the customer says about its request is not asked.
        let forged = front.request(&reader, "POST", "/").header("X-Forwarded-Method", "GET").header("X-Original-Method", "GET");
        let forged = answer(forged.header("X-Forwarded-Uri", "/x").header("X-Original-URI", "/x")).await;
        assert_eq!((forged.status, &*forged.text), (403, body), "{kind:?}");
        assert_eq!(front.product.requests(), 0, "{kind:?}");
        front.call(&reader, "HEAD", "/").await.is(200);
    }
}

#[tokio::test]
async fn a_banned_org_and_a_removed_endpoint_are_refused_in_their_own_words() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let admin = front.server.admin();
        let removed = json!({"method": "GET", "path": "/creators/{id}/stats", "replacement": "/v2/creators/{id}/stats"});
        admin.post("/v1/admin/removed-endpoints", removed).await.is(201);
        let customer = front.customer(&["read"]).await;
        let gone = front.call(&customer, "GET", "/creators/7/stats?from=2026-01-01").await;
        let body = concat!(
            r#"{"data":null,"error":"This endpoint has been removed","#,
            r#""meta":{"code":"gone","replacement":"/v2/creators/{id}/stats"}}"#
        );
        assert_eq!((gone.status, &*gone.text), (410, body), "{kind:?}");
        admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "chargeback"})).await.is(200);
        let banned = front.call(&customer, "GET", "/").await;
        let body = r#"{"data":null,"error":"This organization is banned","meta":{"code":"org_banned"}}"#;
        assert_eq!((banned.status, &*banned.text), (403, body), "{kind:?}");
        is_told(&banned, &front.told(&customer, "GET", "/").await);
        assert_eq!(front.product.requests(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn the_longest_refusals_come_whole() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let admin = front.server.admin();
        let scopes: Vec<String> = (0..63).map(|nth| format!("{:a<64}", format!("s{nth}"))).collect();
        for scope in &scopes {
            admin.put(&format!("/v1/admin/scopes/{scope}"), json!({})).await.is(201);
        }
        let granted: Vec<&str> = scopes.iter().map(String::as_str).chain(["read"]).collect();
        let customer = front.customer(&granted).await;
        let told = front.told(&customer, "POST", "/").await;
        assert!(told.fails(403, "insufficient_scope").text.len() > 8_192, "{}", told.text.len());
        is_told(&front.call(&customer, "POST", "/").await, &told);
        // Not of this alphabet, so that in a header it takes more room than anywhere else.
        let replacement = "\u{1f6a2}".repeat(1_024);
        let removed = json!({"method": "GET", "path": "/old", "replacement": replacement});
        admin.post("/v1/admin/removed-endpoints", removed).await.is(201);
        let gone = front.call(&customer, "GET", "/old").await;
        assert_eq!(gone.fails(410, "gone").body["meta"]["replacement"], json!(replacement), "{kind:?}");
        assert_eq!(gone.body, front.told(&customer, "GET", "/old").await.body, "{kind:?}");
    }
}
