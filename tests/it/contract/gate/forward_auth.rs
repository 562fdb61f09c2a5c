//! What reverse proxies ask and are told.

use serde_json::json;

use super::{Product, customer, product};
use crate::harness::{Actor, Answer};

async fn ask(actor: &Actor, query: &str, method: &str, uri: &str) -> Answer {
    let request = actor.request("GET", &format!("/v1/forward-auth{query}"));
    request.header("X-Forwarded-Method", method).header("X-Forwarded-Uri", uri).send().await
}

#[tokio::test]
async fn a_request_that_may_pass_is_200_with_who_it_is() {
    let Product { server, customer: secret, id, .. } = product().await;
    let answer = ask(&server.bearer(&secret), "", "POST", "/api/v1/creators?x=y").await;
    assert_eq!(answer.is(200).header("x-plimsoll-org"), Some("acme"));
    assert_eq!(
        (answer.header("x-plimsoll-key-id"), answer.header("x-plimsoll-scopes")),
        (Some(id.as_str()), Some("read write"))
    );
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""v1Api";q=60;w=60, "requests";q=1000;w=86400"#));
    assert_eq!((answer.header("x-plimsoll-status"), answer.header("x-plimsoll-body")), (None, None));
    assert_eq!((&answer.data()["allowed"], &answer.data()["decisions"][0]["remaining"]), (&json!(true), &json!(59)));
    let (platform, _) = customer(&server, &json!({})).await;
    let platform = ask(&server.bearer(&platform), "", "GET", "/").await;
    assert_eq!((platform.is(200).header("x-plimsoll-org"), platform.header("ratelimit")), (None, None));
}

#[tokio::test]
async fn a_refusal_is_the_response_and_with_a_deny_status_it_comes_as_that() {
    let Product { server, .. } = product().await;
    let (reader, _) = customer(&server, &json!({"org": "acme", "scopes": ["read"]})).await;
    let reader = server.bearer(&reader);
    let plain = ask(&reader, "", "POST", "/").await;
    plain.fails(403, "insufficient_scope");
    let own = server.bearer("nonsense");
    for (actor, status) in [(&server.anonymous(), 401), (&own, 401)] {
        let plain = ask(actor, "", "GET", "/").await;
        assert_eq!(plain.fails(status, "invalid_api_key").header("x-plimsoll-status"), None);
        let denied = ask(actor, "?denyStatus=403", "GET", "/").await;
        assert_eq!((denied.status, denied.text.as_str()), (403, plain.text.as_str()));
        assert_eq!(
            (denied.header("x-plimsoll-status"), denied.header("x-plimsoll-body")),
            (Some("401"), Some(plain.text.as_str()))
        );
        assert_eq!(denied.header("www-authenticate"), plain.header("www-authenticate"));
    }
    let limit = json!({"limitKey": "calls", "mode": "set", "value": {"max": 0}});
    server.admin().create_override("acme", &limit).await.is(201);
    let full = ask(&reader, "?denyStatus=403", "GET", "/").await;
    assert_eq!((full.status, full.header("x-plimsoll-status"), full.header("retry-after")), (403, Some("429"), Some("60")));
    for bad in ["?denyStatus=401", "?denyStatus=500", "?denyStatus=200", "?denyStatus=", "?deny=403"] {
        ask(&reader, bad, "GET", "/").await.fails(400, "invalid_query");
    }
    ask(&reader, "?requiredScope=reports", "GET", "/").await.fails(403, "insufficient_scope");
}

#[tokio::test]
async fn a_request_that_is_not_said_or_said_twice_is_a_400_that_names_it() {
    let Product { server, customer, .. } = product().await;
    let actor = server.bearer(&customer);
    let missing = actor.get("/v1/forward-auth").await;
    assert_eq!(missing.fails(400, "invalid_params").issues(), ["X-Forwarded-Method"]);
    let request =
        || actor.request("GET", "/v1/forward-auth").header("X-Forwarded-Method", "POST").header("X-Forwarded-Uri", "/a");
    let forged = request().header("X-Original-Method", "GET").send().await;
    assert_eq!(forged.fails(400, "invalid_params").issues(), ["X-Forwarded-Method"]);
    let forged = request().header("X-Original-URI", "/b").send().await;
    assert_eq!(forged.fails(400, "invalid_params").issues(), ["X-Forwarded-Uri"]);
    let long = format!("/{}", "a".repeat(8_192));
    let long =
        actor.request("GET", "/v1/forward-auth").header("X-Original-Method", "GET").header("X-Original-URI", long).send().await;
    assert_eq!(long.fails(400, "invalid_params").issues(), ["X-Forwarded-Uri"]);
}

#[tokio::test]
async fn with_a_deny_status_what_cannot_be_judged_comes_as_a_refusal_does() {
    let Product { server, customer, .. } = product().await;
    let actor = server.bearer(&customer);
    let plain = ask(&actor, "", "GET", "no-path").await;
    plain.fails(400, "invalid_params");
    let told = ask(&actor, "?denyStatus=403", "GET", "no-path").await;
    assert_eq!((told.status, &told.text), (403, &plain.text));
    assert_eq!((told.header("x-plimsoll-status"), told.header("x-plimsoll-body")), (Some("400"), Some(plain.text.as_str())));
}

#[tokio::test]
async fn what_follows_our_path_is_judged_with_its_own_method() {
    let Product { server, .. } = product().await;
    let removed = json!({"method": "GET", "path": "/api/{id}/stats", "replacement": "/créateurs"});
    server.admin().post("/v1/admin/removed-endpoints", removed).await.is(201);
    let (reader, _) = customer(&server, &json!({"org": "acme", "scopes": ["read"]})).await;
    let reader = server.bearer(&reader);
    reader.get("/v1/forward-auth/api/7/stats?denyStatus=403").await.fails(410, "gone");
    reader.get("/v1/forward-auth/api/7").await.is(200);
    reader.request("POST", "/v1/forward-auth/api/7").send().await.fails(403, "insufficient_scope");
    let denied = ask(&reader, "?denyStatus=403", "GET", "/api/7/stats").await;
    let body: serde_json::Value = serde_json::from_str(denied.header("x-plimsoll-body").expect("a body")).expect("JSON");
    assert_eq!((denied.status, &body), (403, &denied.body));
}
