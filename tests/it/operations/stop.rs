//! SIGTERM: no longer ready, then closed, and whoever was being served gets the answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::set_up;
use crate::harness::{ADMIN_KEY, Plimsoll, Setup};

const PATIENCE: Duration = Duration::from_secs(20);
const BODY: &str = r#"{"org":"acme","limitKey":"seats","current":5}"#;

/// A request whose body is on its way: all but its last byte was sent.
async fn in_flight(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let (head, length) =
        ("POST /v1/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json", BODY.len());
    let request =
        format!("{head}\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Length: {length}\r\n\r\n{}", &BODY[..length - 1]);
    stream.write_all(request.as_bytes()).await.expect("a server that reads");
    stream
}

/// Asks again and again until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn told_to_stop_it_is_no_longer_ready_finishes_what_is_in_flight_and_closes() {
    for signal in ["TERM", "INT"] {
        let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_DRAIN_SECONDS", "2")).await;
        set_up(&server.admin()).await;
        let (address, anonymous) = (server.address(), server.anonymous());
        let mut stream = in_flight(address).await;
        anonymous.get("/readyz").await.is(200);
        server.signal(signal);
        until("a failing /readyz", || async { anonymous.get("/readyz").await.status == 503 }).await;
        let unready = anonymous.get("/readyz").await;
        assert_eq!(unready.is(503).text, "stopping\n");
        // Those who have not heard yet are served all the same.
        anonymous.get("/livez").await.is(200);
        server.key(&["read"], None).await.get("/v1/orgs/acme/entitlements").await.is(200);
        until("a closed port", || async { TcpStream::connect(address).await.is_err() }).await;
        stream.write_all(&BODY.as_bytes()[BODY.len() - 1..]).await.expect("a server that still reads");
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("limit_reached"), "{answer}");
        let stopped = server.terminate();
        assert_eq!(stopped.status.code(), Some(0), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("stopping") && stopped.stderr.contains("stopped"), "{}", stopped.stderr);
    }
}

#[tokio::test]
async fn connections_that_wait_for_nothing_do_not_hold_up_the_stop() {
    let server = Plimsoll::start().await;
    let mut idle = TcpStream::connect(server.address()).await.expect("a connection");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a server that reads");
    let mut received = [0; 4];
    idle.read_exact(&mut received).await.expect("an answer");
    let silent = TcpStream::connect(server.address()).await.expect("a connection");
    let begun = Instant::now();
    let stopped = server.terminate();
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.stderr);
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    drop((idle, silent));
}

#[tokio::test]
async fn what_was_stopped_starts_again_on_the_same_data() {
    let server = Plimsoll::start().await;
    set_up(&server.admin()).await;
    let reader = server.key(&["read"], Some("acme")).await;
    let stopped = server.terminate();
    let log = stopped.setup.folder().join("plimsoll.db-wal");
    let left = log.metadata().map_or(0, |metadata| metadata.len());
    assert_eq!(left, 0, "everything is in the file itself");
    let server = Plimsoll::on(Setup::clone(&stopped.setup)).await;
    server.bearer(reader.secret()).get("/v1/orgs/acme/entitlements").await.is(200);
}
