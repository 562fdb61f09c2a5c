//! What Traefik and Envoy are documented to send, byte for byte, to where their recipes say: the recipes name the documentation.

use serde_json::{Value, json};

use super::proxy::recipe;
use crate::harness::{Actor, Answer, Plimsoll};

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let plan = json!({
        "limitKeys": {"calls": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "perRequest": true, "default": {"max": 60}}},
        "tiers": {"free": {}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    server
}

fn parsed(name: &str) -> Value {
    yaml_serde::from_str(&recipe(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn texts<'a>(list: &'a Value, each: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap_or_else(|| panic!("no list of {each}: {list}"));
    items.iter().map(|item| item[each].as_str().unwrap_or_else(|| panic!("no {each}: {item}"))).collect()
}

/// What Traefik asks about a request, by its documentation and its own words for headers.
async fn traefik_asks(server: &Plimsoll, customer: &Actor, method: &str, uri: &str) -> Answer {
    let recipe = parsed("traefik.yaml");
    let address = recipe["http"]["middlewares"]["plimsoll"]["forwardAuth"]["address"].as_str().expect("an address");
    let target = address.strip_prefix("http://PLIMSOLL_ADDRESS").expect("the placeholder");
    let secret = customer.secret();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: plimsoll:8080\r\nUser-Agent: Go-http-client/1.1\r\nAuthorization: Bearer {secret}\r\n\
         X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: api.example.com\r\nX-Forwarded-Method: {method}\r\n\
         X-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Uri: {uri}\r\nAccept-Encoding: gzip\r\n\
         Connection: close\r\n\r\n"
    );
    server.raw(request).await
}

#[tokio::test]
async fn what_traefik_asks_is_answered_with_what_it_gives_to_the_customer() {
    let server = product().await;
    let customer = server.key(&["read"], Some("acme")).await;
    let passed = traefik_asks(&server, &customer, "GET", "/api/v1/creators?x=y").await;
    assert_eq!(passed.is(200).header("x-plimsoll-org"), Some("acme"));
    assert_eq!(passed.header("x-plimsoll-key-id"), Some(&*customer.id));
    assert_eq!(passed.header("x-plimsoll-scopes"), Some("read"));
    // A refusal goes to the customer as it is: status, headers, body.
    let refused = traefik_asks(&server, &customer, "POST", "/").await;
    assert_eq!(refused.fails(403, "insufficient_scope").header("content-type"), Some("application/json"));
    let unknown = traefik_asks(&server, &server.bearer("nonsense"), "GET", "/").await;
    assert!(unknown.fails(401, "invalid_api_key").header("www-authenticate").is_some());
    for _ in 0..59 {
        traefik_asks(&server, &customer, "HEAD", "/").await.is(200);
    }
    let refused = traefik_asks(&server, &customer, "GET", "/").await;
    assert!(refused.fails(429, "rate_limit_exceeded").header("retry-after").is_some());
    assert_eq!(refused.header("x-plimsoll-status"), None);
}

/// What Envoy asks about a request, by its documentation and in its lower case. Its own headers come with it.
async fn envoy_asks(server: &Plimsoll, customer: &Actor, method: &str, path: &str) -> Answer {
    let recipe = ext_authz();
    let prefix = recipe["http_service"]["path_prefix"].as_str().expect("a prefix");
    let secret = customer.secret();
    let request = format!(
        "{method} {prefix}{path} HTTP/1.1\r\nhost: api.example.com\r\nauthorization: Bearer {secret}\r\ncontent-length: 0\r\n\
         x-forwarded-for: 203.0.113.9,10.0.0.5\r\nx-envoy-internal: true\r\nx-envoy-expected-rq-timeout-ms: 2000\r\n\
         connection: close\r\n\r\n"
    );
    server.raw(request).await
}

/// The filters of Envoy's recipe, by their names.
fn filter(name: &str) -> Value {
    let recipe = parsed("envoy.yaml");
    let manager = &recipe["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let filters = manager["http_filters"].as_array().expect("filters");
    filters.iter().find(|filter| filter["name"] == name).expect("the filter")["typed_config"].clone()
}

fn ext_authz() -> Value {
    filter("envoy.filters.http.ext_authz")
}

#[tokio::test]
async fn what_envoy_asks_is_answered_with_what_it_gives_to_the_customer() {
    let server = product().await;
    let customer = server.key(&["read"], Some("acme")).await;
    let recipe = ext_authz();
    let told = &recipe["http_service"]["authorization_response"];
    for path in ["/", "/api/v1/creators?x=y", "//a", "/?denyStatus=403", "/a%2Fb/../c"] {
        let passed = envoy_asks(&server, &customer, "GET", path).await;
        for list in ["allowed_upstream_headers", "allowed_client_headers_on_success"] {
            for name in texts(&told[list]["patterns"], "exact") {
                assert!(passed.is(200).header(name).is_some(), "{path}: {name}");
            }
        }
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let refused = envoy_asks(&server, &customer, method, "/api/v1/creators").await;
        assert_eq!(refused.fails(403, "insufficient_scope").header("content-type"), Some("application/json"), "{method}");
    }
    let unknown = envoy_asks(&server, &server.bearer("nonsense"), "GET", "/").await;
    assert!(unknown.fails(401, "invalid_api_key").header("www-authenticate").is_some());
    for _ in 0..55 {
        envoy_asks(&server, &customer, "HEAD", "/").await.is(200);
    }
    let refused = envoy_asks(&server, &customer, "GET", "/?denyStatus=403").await;
    assert!(refused.fails(429, "rate_limit_exceeded").header("retry-after").is_some());
}

#[test]
fn envoy_takes_away_from_the_customer_whatever_it_takes_from_plimsoll() {
    let recipe = ext_authz();
    let taken = texts(&recipe["http_service"]["authorization_response"]["allowed_upstream_headers"]["patterns"], "exact");
    let removed = filter("envoy.filters.http.header_mutation");
    assert_eq!(texts(&removed["mutations"]["request_mutations"], "remove"), taken);
    assert_eq!(recipe["failure_mode_allow"], false);
}
