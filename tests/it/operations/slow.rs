//! Callers that send a request too slowly are cut off, and nobody else notices.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{ADMIN_KEY, Plimsoll};

const PATIENCE: Duration = Duration::from_secs(30);

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
    let (slow_head, slow_body) = tokio::join!(begun(&server, head), begun(&server, &with_body));

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
