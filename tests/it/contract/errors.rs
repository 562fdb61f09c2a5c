//! Strict bodies, queries and paths: everything that is wrong is named at once.

use serde_json::json;

use crate::harness::{ADMIN_KEY, Actor, Plimsoll};

async fn refused(actor: &Actor, method: &str, path: &str, body: &str) -> crate::harness::Answer {
    let answer = actor.request(method, path).bytes("application/json", body).send().await;
    answer.is(400);
    answer
}

#[tokio::test]
async fn malformed_json_is_a_400_about_the_whole_body() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    for body in ["", "{", "{]", "nonsense", "{\"name\":\"x\"} {}", "{\"name\":\"\u{1}\"}", "\u{feff}{}"] {
        let answer = refused(&admin, "PUT", "/v1/admin/tiers/free", body).await;
        assert_eq!((answer.code(), answer.issues()), ("invalid_body", vec![""]), "{body:?}");
    }
    let invalid_utf8 = admin.request("PUT", "/v1/admin/tiers/free").bytes("application/json", [b'"', 0xff, b'"']);
    invalid_utf8.send().await.fails(400, "invalid_body");
    for body in ["null", "[]", "1", "\"x\"", "true"] {
        let answer = refused(&admin, "PUT", "/v1/admin/tiers/free", body).await;
        assert_eq!((answer.code(), answer.issues()), ("invalid_body", vec![""]), "{body}");
    }
    admin.get("/v1/admin/tiers/free").await.fails(404, "not_found");
}

#[tokio::test]
async fn a_deeply_nested_body_is_a_400_and_no_crash() {
    let server = Plimsoll::start().await;
    let deep = "[".repeat(500_000);
    refused(&server.admin(), "POST", "/v1/check/batch", &deep).await;
    let deep = format!(r#"{{"tier":"free","metadata":{}{}}}"#, r#"{"a":"#.repeat(60_000), "}".repeat(60_000));
    refused(&server.admin(), "PUT", "/v1/admin/orgs/acme", &deep).await;
    server.anonymous().get("/livez").await.is(200);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_body_is_named_at_once() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let body =
        json!({"name": 5, "org": "a b", "user": [], "scopes": ["read", 7, "Bad Scope"], "expiresAt": "tomorrow", "key": "x"});
    let answer = admin.create_key(&body).await;
    let mut issues = answer.fails(400, "invalid_body").issues();
    issues.sort_unstable();
    assert_eq!(issues, ["expiresAt", "key", "name", "org", "scopes[1]", "scopes[2]", "user"]);
    let nested = json!({"checks": [{"org": "acme", "limitKey": "seats", "amount": "one", "curent": 1}]});
    let batch = admin.post("/v1/check/batch", nested).await;
    let issues = batch.is(200).data()["results"][0]["meta"]["issues"].as_array().expect("issues").clone();
    let paths: Vec<_> = issues.iter().map(|issue| issue["path"].as_str().expect("a path")).collect();
    assert_eq!(paths, ["checks[0].amount", "checks[0].curent"]);
    assert!(answer.error().contains(" must "), "the sentence names the first: {}", answer.error());
}

#[tokio::test]
async fn a_key_that_is_given_twice_is_not_guessed_at() {
    let server = Plimsoll::start().await;
    let answer = server.admin().request("GET", "/v1/admin/tiers?limit=1&limit=2").send().await;
    assert_eq!(answer.fails(400, "invalid_query").issues(), ["limit"]);
}

#[tokio::test]
async fn a_field_that_is_given_twice_is_not_guessed_at() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let key = r#"{"name":"x","scopes":["read"],"scopes":["admin"]}"#;
    assert_eq!(refused(&admin, "POST", "/v1/admin/api-keys", key).await.issues(), ["scopes"]);
    let question = r#"{"org":"acme","limitKey":"seats","org":"other"}"#;
    assert_eq!(refused(&admin, "POST", "/v1/check", question).await.issues(), ["org"]);
    assert_eq!(refused(&admin, "POST", "/v1/consume", question).await.issues(), ["org"]);
    let nested = r#"{"tiers":{"free":{"limits":{},"limits":{}}}}"#;
    assert_eq!(refused(&admin, "PUT", "/v1/admin/catalog", nested).await.issues(), ["tiers.free.limits"]);
}

#[tokio::test]
async fn a_query_is_refused_by_every_operation_that_takes_none() {
    let server = Plimsoll::start().await;
    let mut probed = 0;
    for operation in server.document().operations() {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        let is_secured = operation.value["security"].as_array().is_some_and(|ways| ways.iter().any(|way| way != &json!({})));
        if is_secured && !parameters.iter().any(|parameter| parameter["in"] == "query") {
            let path = operation.template.replace(['{', '}'], "");
            let answer = server.admin().request(&operation.method, &format!("{path}?dryRun=true&x=1")).send().await;
            answer.is(400);
            // OpenFeature's errors are of its own form.
            if path.starts_with("/v1") {
                assert_eq!((answer.code(), answer.issues()), ("invalid_query", vec!["dryRun", "x"]), "{}", operation.id);
            }
            server.anonymous().request(&operation.method, &format!("{path}?x=1")).send().await.is(401);
            probed += 1;
        }
    }
    assert!(probed >= 30, "{probed}");
}

#[tokio::test]
async fn values_have_their_form_and_their_range() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    let bad = [
        json!({}),
        json!({"max": null}),
        json!({"max": -1}),
        json!({"max": 1.5}),
        json!({"max": "5"}),
        json!({"max": 9_007_199_254_740_992_u64}),
        json!({"unlimited": false}),
        json!({"unlimited": true, "max": 5}),
        json!({"days": 5}),
        json!({"enabled": true}),
        json!({"max": 5, "days": 5}),
        json!({"maximum": 5}),
    ];
    for value in bad {
        admin.put_value("free", "seats", value).await.fails(400, "invalid_body");
    }
    for value in [json!({"max": 0}), json!({"max": 9_007_199_254_740_991_u64}), json!({"unlimited": true})] {
        let answer = admin.put_value("free", "seats", value.clone()).await;
        assert_eq!(answer.data()["value"], value);
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_a_400_on_every_operation_that_has_a_query() {
    let server = Plimsoll::start().await;
    let mut probed = 0;
    for operation in server.document().operations() {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        if operation.method == "GET" && parameters.iter().any(|parameter| parameter["in"] == "query") {
            let path = operation.template.replace(['{', '}'], "");
            let answer = server.admin().get(&format!("{path}?surprise=1&limit=0&cursor=!")).await;
            answer.fails(400, "invalid_query");
            assert_eq!(answer.issues(), ["surprise", "limit", "cursor"], "{}", operation.id);
            probed += 1;
        }
    }
    assert!(probed >= 9, "{probed}");
    let question = json!({"org": "acme", "limitKey": "seats"});
    server.admin().post("/v1/check?enforce=yes", question.clone()).await.fails(400, "invalid_query");
    server.admin().post("/v1/check?enforced=true", question).await.fails(400, "invalid_query");
    server.admin().put("/v1/admin/catalog?dryrun=true", json!({})).await.fails(400, "invalid_query");
}

#[tokio::test]
async fn a_bad_path_parameter_is_a_400_that_names_it() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let long = "x".repeat(129);
    let table = [
        ("/v1/admin/tiers/Free".to_owned(), "tier"),
        ("/v1/admin/tiers/1st".to_owned(), "tier"),
        (format!("/v1/admin/limit-keys/{}", "x".repeat(65)), "limitKey"),
        ("/v1/admin/orgs/a%20b".to_owned(), "org"),
        ("/v1/admin/orgs/caf%C3%A9".to_owned(), "org"),
        (format!("/v1/admin/orgs/{long}"), "org"),
        ("/v1/admin/orgs/a%00b".to_owned(), "org"),
        ("/v1/admin/orgs/a%2Fb".to_owned(), "org"),
        ("/v1/admin/users/a%20b".to_owned(), "user"),
        ("/v1/admin/api-keys/a%20b".to_owned(), "id"),
        ("/v1/orgs/a%20b/entitlements".to_owned(), "org"),
        ("/v1/admin/orgs/acme/overrides/a%20b".to_owned(), "id"),
        ("/v1/admin/orgs/a%20b/overrides/ovr_1".to_owned(), "org"),
    ];
    for (path, name) in table {
        let answer = admin.get(&path).await;
        assert_eq!(answer.fails(400, "invalid_params").issues(), [name], "{path}");
    }
}

#[tokio::test]
async fn a_missing_or_bad_credential_is_a_401_that_says_how() {
    let server = Plimsoll::start().await;
    let unknown = format!("plm_{}", "0".repeat(64));
    let missing = server.anonymous().get("/v1/admin/tiers").await;
    assert_eq!(missing.fails(401, "invalid_api_key").error(), "Missing API key");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"plimsoll\""));
    for bearer in [unknown.as_str(), "x", "plm_", &unknown.to_uppercase(), "plm_zz", &"x".repeat(10_000)] {
        let answer = server.bearer(bearer).get("/v1/admin/tiers").await;
        answer.fails(401, "invalid_api_key");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"plimsoll\", error=\"invalid_token\""));
    }
    for header in ["Basic YTpi", "Bearer", "bearer", ADMIN_KEY] {
        let answer = server.anonymous().request("GET", "/v1/admin/tiers").header("Authorization", header).send().await;
        answer.fails(401, "invalid_api_key");
    }
    let twice = server.admin().request("GET", "/v1/admin/tiers").header("Authorization", "Bearer x");
    twice.send().await.fails(401, "invalid_api_key");
    let lowercase = format!("bearer {ADMIN_KEY}");
    server.anonymous().request("GET", "/v1/admin/tiers").header("Authorization", lowercase).send().await.is(200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_no_longer_than_its_deadline() {
    let server = Plimsoll::start().await;
    let head = format!(
        "PUT /v1/admin/tiers/free HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"
    );
    server.raw(head).await.fails(408, "request_timeout");
    server.admin().get("/v1/admin/tiers/free").await.fails(404, "not_found");
}
