//! Lost answers: the client resets the connection after sending, and asks again with the same key.

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
enum Reset {
    /// As soon as the request is sent: the server may not even have read it.
    Sent,
    /// When the answer is there, unread.
    Answered,
    /// In the midst of the answer.
    Reading,
}

async fn lose(server: &Plimsoll, key: &str, body: &str, reset: Reset) {
    let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "POST /v1/consume HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("a server that reads");
    match reset {
        Reset::Sent => {}
        Reset::Answered => timeout(PATIENCE, stream.readable()).await.expect("an answer in time").expect("an answer"),
        Reset::Reading => {
            let mut begun = [0; 12];
            timeout(PATIENCE, stream.read_exact(&mut begun)).await.expect("an answer in time").expect("an answer");
            assert_eq!(&begun, b"HTTP/1.1 200");
        }
    }
    stream.set_zero_linger().expect("a socket");
}

/// Asks until it is answered: while the first call runs, there is no answer yet.
async fn ask(actor: &Actor, key: &str, body: &serde_json::Value) -> Answer {
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
                lose(&server, &key, &body.to_string(), reset).await;
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
