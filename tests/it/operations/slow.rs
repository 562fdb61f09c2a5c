//! Callers that send a request too slowly, or do not read its answer, are cut off, and nobody else notices.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sample;
use crate::harness::{ADMIN_KEY, Plimsoll};

const PATIENCE: Duration = Duration::from_secs(50);
/// When a peer is cut that keeps an answered connection waiting: after 30 seconds, and five at most until it is looked at.
const CUT: std::ops::Range<u64> = 29..40;

/// Sends a beginning, and gives back the answer and when it came.
async fn begun(server: &Plimsoll, beginning: &str) -> (String, Duration) {
    let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
    stream.write_all(beginning.as_bytes()).await.expect("a server that reads");
    let since = Instant::now();
    let mut answer = Vec::new();
    // A connection that is cut may end with a reset, behind the answer.
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok() || !text.is_empty(), "{ended:?}");
    (text, since.elapsed())
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_arrive_is_cut_off_in_time() {
    let server = Plimsoll::start().await;
    let head = "POST /v1/check HTTP/1.1\r\nHost: x\r\n";
    let rest = format!("Authorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n");
    let with_body = format!("{head}{rest}{{\"org\":");
    let (nothing, slow_head, slow_body) = tokio::join!(begun(&server, ""), begun(&server, head), begun(&server, &with_body));

    let (answer, after) = nothing;
    assert_eq!(answer, "", "nobody has asked");
    assert!((4..9).contains(&after.as_secs()), "a connection on which nothing came was kept for {after:?}");

    let (answer, after) = slow_head;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    assert!((4..9).contains(&after.as_secs()), "the head was given {after:?}");

    let (answer, after) = slow_body;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    assert!((9..15).contains(&after.as_secs()), "the body was given {after:?}");
    server.anonymous().get("/readyz").await.is(200);
}

/// Sends a request, reads its answer, and then sends something else: how long until the connection is cut.
async fn cut_after(server: &Plimsoll, request: &str, more: &str) -> Duration {
    let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a server that reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&answer));
    }
    stream.write_all(more.as_bytes()).await.expect("a server that reads");
    let since = Instant::now();
    // However it is cut, nothing more comes.
    let read = timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an end");
    assert_eq!(read.unwrap_or(0), 0, "{}", String::from_utf8_lossy(&answer));
    since.elapsed()
}

/// Asks for much more than anybody's buffers hold and reads nothing of it: how long until the server has one connection less.
async fn cut_unread(server: &Plimsoll) -> Duration {
    let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
    stream
        .write_all("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100).as_bytes())
        .await
        .expect("a server that reads");
    let since = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    // The connection that asks is left.
    while sample(&server.anonymous().get("/metrics").await.text, "plimsoll_connections") != Some(1.0) {
        assert!(since.elapsed() < PATIENCE, "it is still open");
        looks.tick().await;
    }
    let mut received = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("an end");
    assert!(ended.is_err(), "it was not cut, but sent {} bytes", received.len());
    since.elapsed()
}

#[tokio::test]
async fn whoever_keeps_an_answered_connection_waiting_or_does_not_read_is_cut_off_in_time() {
    let server = Plimsoll::start().await;
    let request = "GET /livez HTTP/1.1\r\nHost: x\r\n";
    let (complete, chunked) = (format!("{request}\r\n"), format!("{request}Transfer-Encoding: chunked\r\n\r\n"));
    let waits = tokio::join!(
        cut_after(&server, &complete, "GET /livez HTTP/1.1\r\nHost"),
        // It was answered before its body came, which nobody wants.
        cut_after(&server, &chunked, "5\r\nab"),
        cut_unread(&server),
    );
    for wait in [waits.0, waits.1, waits.2] {
        assert!(CUT.contains(&wait.as_secs()), "a later head, a body behind its answer and an answer were given {waits:?}");
    }
    server.anonymous().get("/readyz").await.is(200);
}
