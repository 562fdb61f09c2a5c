//! Every response is an envelope with the usual headers, also those that the framework makes.

use serde_json::json;

use crate::harness::{ADMIN_KEY, Plimsoll};

#[tokio::test]
async fn an_unknown_route_is_an_enveloped_404() {
    let server = Plimsoll::start().await;
    for path in ["/", "/nowhere", "/v1", "/v1/admin", "/v1/admin/tiers/", "/v1/admin/tiers//limits", "/v1/check/", "/V1/check"]
    {
        server.admin().get(path).await.fails(404, "not_found");
    }
    server.anonymous().post("/v2/check", json!({})).await.fails(404, "not_found");
}

#[tokio::test]
async fn a_wrong_method_is_an_enveloped_405_that_says_which_there_are() {
    let server = Plimsoll::start().await;
    let mut probed = 0;
    // What proxies ask is answered for every method.
    let of_few = |operation: &&crate::harness::Operation| !operation.template.starts_with("/v1/forward-auth");
    for operation in server.document().operations().iter().filter(of_few) {
        let path = operation.template.replace(['{', '}'], "");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
            let is_known = |other: &&crate::harness::Operation| other.template == operation.template && other.method == method;
            if !server.document().operations().iter().any(|other| is_known(&other)) {
                // The harness compares `Allow` with the document.
                server.admin().request(method, &path).send().await.fails(405, "method_not_allowed");
                probed += 1;
            }
        }
    }
    assert!(probed > 100, "{probed}");
    for path in ["/openapi.json", "/docs", "/docs/"] {
        let answer = server.anonymous().post(path, json!({})).await;
        assert_eq!(answer.fails(405, "method_not_allowed").header("allow"), Some("GET, HEAD"), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_an_enveloped_413() {
    let server = Plimsoll::start().await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(2 * 1_048_576));
    let request = server.admin().request("PUT", "/v1/admin/tiers/free");
    request.bytes("application/json", large.clone()).send().await.fails(413, "payload_too_large");
    let optional = server.admin().request("POST", "/v1/admin/users/jane/ban");
    optional.bytes("application/json", large).send().await.fails(413, "payload_too_large");
    // One byte less than the limit is read, and found to be no tier.
    let fits = format!(r#"{{"name":"{}"}}"#, "x".repeat(1_048_576 - 11));
    assert_eq!(fits.len(), 1_048_576);
    let request = server.admin().request("PUT", "/v1/admin/tiers/free");
    request.bytes("application/json", fits.clone()).send().await.fails(400, "invalid_body");
    let request = server.admin().request("PUT", "/v1/admin/tiers/free");
    request.bytes("application/json", format!("{fits} ")).send().await.fails(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() {
    let server = Plimsoll::start().await;
    let head = format!(
        "PUT /v1/admin/tiers/free HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let small = format!("{head}2\r\n{{}}\r\n0\r\n\r\n");
    server.raw(small).await.is(201);
    let large = format!("{head}{}0\r\n\r\n", chunk.repeat(32));
    server.raw(large).await.fails(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_of_another_type_is_an_enveloped_415() {
    let server = Plimsoll::start().await;
    let put = || server.admin().request("PUT", "/v1/admin/tiers/free");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""] {
        put().bytes(content_type, "{}").send().await.fails(415, "unsupported_media_type");
    }
    put().send().await.fails(415, "unsupported_media_type");
    for content_type in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
        let answer = put().bytes(content_type, "{}").send().await;
        assert!([200, 201].contains(&answer.status), "{content_type}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_response_carries_the_usual_headers() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let answers = [
        admin.get("/v1/admin/tiers").await,
        admin.get("/nowhere").await,
        admin.delete("/v1/check").await,
        admin.put_org("a b", "free").await,
        server.anonymous().get("/v1/admin/tiers").await,
        server.anonymous().get("/livez").await,
        server.anonymous().get("/readyz").await,
        server.anonymous().get("/metrics").await,
    ];
    let mut ids = Vec::new();
    for answer in &answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.asked);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.asked);
        ids.push(answer.header("x-request-id").expect("a request id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), answers.len(), "every request has an id of its own");
}

#[tokio::test]
async fn a_well_formed_request_id_is_taken_over_and_another_is_replaced() {
    let server = Plimsoll::start().await;
    let ask = |id: Vec<u8>| server.anonymous().request("GET", "/livez").header("X-Request-Id", id);
    for good in ["a", "req-42", "0192f0c1b7e07000a0000000000000aa", &"x".repeat(128)] {
        let answer = ask(good.as_bytes().to_vec()).send().await;
        assert_eq!(answer.header("x-request-id"), Some(good));
    }
    for bad in [b"".to_vec(), b"a b".to_vec(), vec![b'x'; 129], vec![0xe9], b"a\"b".to_vec(), b"<script>".to_vec()] {
        let answer = ask(bad.clone()).send().await;
        let id = answer.header("x-request-id").expect("a request id");
        assert!(!id.is_empty() && id.as_bytes() != bad, "{id}");
    }
    let refused = server.anonymous().request("GET", "/nowhere").header("X-Request-Id", "mine").send().await;
    assert_eq!(refused.fails(404, "not_found").header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_well() {
    let server = Plimsoll::start().await;
    server.anonymous().get("/readyz").await.is(200);
    let stopped = server.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
}

#[tokio::test]
async fn what_is_no_request_is_answered_in_the_envelope_too() {
    let server = Plimsoll::start().await;
    let malformed = [
        "nonsense\r\n\r\n",
        "GET /nowhere HTTP/1.0\r\nHost : x\r\n\r\n",
        "GET /livez HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
    ];
    for bytes in malformed {
        let answer = server.raw(bytes).await;
        answer.fails(400, "malformed_request");
        assert!(answer.header("x-request-id").is_some());
        assert_eq!((answer.header("cache-control"), answer.header("connection")), (Some("no-store"), Some("close")));
    }
    server.anonymous().get("/livez").await.is(200);
}
