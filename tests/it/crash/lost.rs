//! Lost answers: the client resets the connection after sending, and asks again with the same key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{current, set_up, take_once, taking};
use crate::harness::{ADMIN_KEY, Actor, Answer, Plimsoll};

const CALLS: u64 = 1_000;
const AT_A_TIME: usize = 48;
const PATIENCE: Duration = Duration::from_secs(20);

/// When the client resets the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// When so many bytes of the request are sent.
    Sending(usize),
    /// As soon as the request is sent: the server may not even have read it.
    Sent,
    /// After so long, or when the answer is there, unread.
    Waiting(Duration),
    /// When the answer is there, unread.
    Answered,
    /// In the midst of the answer.
    Reading,
}

/// Sends a request and hangs up.
pub(crate) async fn hang_up(address: SocketAddr, request: &[u8], reset: Reset) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let sent = if let Reset::Sending(count) = reset { request.len().min(count) } else { request.len() };
    stream.write_all(&request[..sent]).await.expect("a server that reads");
    match reset {
        Reset::Sending(_) | Reset::Sent => {}
        // Whether it came in time does not matter.
        Reset::Waiting(patience) => drop(timeout(patience, stream.readable()).await),
        Reset::Answered => timeout(PATIENCE, stream.readable()).await.expect("an answer in time").expect("an answer"),
        Reset::Reading => {
            let mut begun = [0; 12];
            timeout(PATIENCE, stream.read_exact(&mut begun)).await.expect("an answer in time").expect("an answer");
            assert_eq!(&begun, b"HTTP/1.1 200");
        }
    }
    stream.set_zero_linger().expect("a socket");
}

/// A taking under an idempotency key, byte by byte.
pub(crate) fn written(key: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/consume HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Asks until it is answered: while the first call runs, there is no answer yet.
pub(crate) async fn ask(actor: &Actor, key: &str, body: &serde_json::Value) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = take_once(actor, key, body).await;
        if answer.status != 409 {
            return answer;
        }
        answer.fails(409, "idempotency_in_progress");
        assert!(Instant::now() < deadline, "{key} is still running");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_answers_are_lost_and_every_call_has_one_effect() {
    let server = Arc::new(Plimsoll::start().await);
    set_up(&server.admin(), CALLS, ["acme"]).await;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let (server, places) = (Arc::clone(&server), Arc::clone(&places));
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.expect("a place");
                let (key, body) = (format!("call-{number}"), taking("acme", "seats", 1));
                let reset = [Reset::Sent, Reset::Answered, Reset::Reading][usize::try_from(number % 3).expect("below 3")];
                hang_up(server.address(), written(&key, &body.to_string()).as_bytes(), reset).await;
                let answer = ask(&server.admin(), &key, &body).await;
                let is_replay = answer.header("idempotent-replayed") == Some("true");
                assert!(is_replay || reset == Reset::Sent, "{key} was answered before");
                assert_eq!(answer.is(200).data()["allowed"], json!(true), "{}", answer.text);
                (answer.data()["current"].as_u64().expect("a number"), is_replay)
            })
        })
        .collect();
    let (mut currents, mut replays) = (Vec::new(), 0);
    for call in calls {
        let (current, is_replay) = call.await.expect("an answer");
        currents.push(current);
        replays += usize::from(is_replay);
    }
    currents.sort_unstable();
    assert_eq!(currents, (1..=CALLS).collect::<Vec<u64>>());
    assert!(replays >= 600, "only {replays} answers were given twice");
    let admin = server.admin();
    assert_eq!(current(&admin, "acme", "seats").await, CALLS);
    let one_more = admin.post("/v1/consume", taking("acme", "seats", 1)).await;
    assert_eq!(one_more.is(200).data()["decision"], json!("limit_reached"));
}
