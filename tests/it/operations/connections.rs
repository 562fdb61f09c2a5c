//! Connections are bounded, and there are open files for all of them.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sample;
use crate::harness::{Plimsoll, Setup};

const PATIENCE: Duration = Duration::from_secs(20);
const ASKED: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

/// Connections that have each asked something.
async fn asked(server: &Plimsoll, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
        stream.write_all(ASKED).await.expect("a connection");
        streams.push(stream);
    }
    streams
}

/// Whether an answer has come.
fn is_answered(stream: &TcpStream) -> bool {
    let mut head = [0; 12];
    stream.try_read(&mut head).is_ok_and(|read| &head[..read] == b"HTTP/1.1 200")
}

/// Takes the connections that are answered until there are so many.
async fn answered(waiting: &mut Vec<TcpStream>, count: usize) -> Vec<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    let mut answered = Vec::new();
    while answered.len() < count {
        answered.extend(waiting.extract_if(.., |stream| is_answered(stream)));
        assert!(Instant::now() < deadline, "{} of {count} were answered", answered.len());
        tokio::task::yield_now().await;
    }
    answered
}

#[tokio::test]
async fn there_are_never_more_connections_than_the_bound_and_the_next_one_has_its_turn() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_MAX_CONNECTIONS", "16")).await;
    // One connection is that of the client that read the document. It asks how many there are.
    let mut waiting = asked(&server, 40).await;
    let mut open = answered(&mut waiting, 15).await;
    for _ in 0..100 {
        let metrics = server.anonymous().get("/metrics").await.text;
        assert_eq!(sample(&metrics, "plimsoll_connections"), Some(16.0));
    }
    assert_eq!((open.len(), waiting.iter().filter(|stream| is_answered(stream)).count()), (15, 0));
    for _ in 0..3 {
        drop(open.pop());
        open.extend(answered(&mut waiting, 1).await);
    }
    assert_eq!(open.len(), 15);
}

/// The soft limit of open files of the server.
fn soft_limit(server: &Plimsoll) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a line");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("a number")
}

fn with_open_files(limit: &str) -> Setup {
    Setup::new().through(["prlimit", &format!("--nofile={limit}")]).variable("PLIMSOLL_MAX_CONNECTIONS", "1000")
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_as_far_as_the_bound_needs() {
    let server = Plimsoll::on(with_open_files("64:4096")).await;
    assert_eq!(soft_limit(&server), 1_000 + 256 + 2 * 8);
    let plenty = Plimsoll::on(with_open_files("4000:4096")).await;
    assert_eq!(soft_limit(&plenty), 4_000, "what is enough is left as it is");
    for server in [server, plenty] {
        let log = server.terminate().stderr;
        assert!(!log.contains("PLIMSOLL_MAX_CONNECTIONS"), "{log}");
    }
}

#[tokio::test]
async fn where_the_hard_limit_is_too_low_the_bound_is_lowered_with_a_warning() {
    let server = Plimsoll::on(with_open_files("64:288")).await;
    assert_eq!(soft_limit(&server), 288);
    let mut waiting = asked(&server, 200).await;
    let open = answered(&mut waiting, 143).await;
    let metrics = server.anonymous().get("/metrics").await.text;
    assert_eq!((sample(&metrics, "plimsoll_connections"), open.len()), (Some(144.0), 143));
    let log = server.terminate().stderr;
    let line = log.lines().find(|line| line.contains("PLIMSOLL_MAX_CONNECTIONS")).unwrap_or_else(|| panic!("{log}"));
    assert!(["WARN", "1000", "288", "144", "1272"].iter().all(|word| line.contains(word)), "{line}");
}

#[tokio::test]
async fn a_connection_that_is_not_used_again_is_closed() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_KEEP_ALIVE_SECONDS", "2")).await;
    let mut idle = asked(&server, 1).await;
    let since = Instant::now();
    let mut received = String::new();
    let ended = timeout(PATIENCE, idle[0].read_to_string(&mut received)).await.expect("an end");
    assert!(ended.is_ok() && received.ends_with("\r\n\r\nok\n"), "{ended:?} {received}");
    // The library reads its clock twice a second.
    assert!(since.elapsed() >= Duration::from_secs(1), "after {:?}", since.elapsed());
}

/// The most memory that the server has taken so far.
fn peak_kib(server: &Plimsoll) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn requests_that_are_sent_ahead_of_their_answers_take_little_memory() {
    let server = Plimsoll::start().await;
    let before = peak_kib(&server);
    // One is answered at once and by much, the other has to wait for the database.
    for path in ["/openapi.json", "/readyz"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let ahead = request.repeat(100_000 / request.len());
        let mut streams = Vec::new();
        for _ in 0..20 {
            let stream = TcpStream::connect(server.address()).await.expect("a connection");
            // Whatever the buffers of both ends take.
            stream.writable().await.expect("a connection");
            stream.try_write(ahead.as_bytes()).expect("a connection");
            streams.push(stream);
        }
        for stream in &streams {
            timeout(PATIENCE, stream.readable()).await.expect("an answer").expect("a connection");
        }
    }
    server.anonymous().get("/readyz").await.is(200);
    let more = peak_kib(&server) - before;
    assert!(more < 64 * 1_024, "{more} KiB");
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_their_order() {
    let server = Plimsoll::start().await;
    let request = |number: usize| {
        let last = if number == 999 { "Connection: close\r\n" } else { "" };
        format!("GET /readyz HTTP/1.1\r\nHost: x\r\nX-Request-Id: number-{number}\r\n{last}\r\n")
    };
    let stream = TcpStream::connect(server.address()).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        let all: String = (0..1_000).map(request).collect();
        writer.write_all(all.as_bytes()).await.expect("a server that reads");
    };
    let mut received = String::new();
    let (_, read) = tokio::join!(writing, timeout(PATIENCE, reader.read_to_string(&mut received)));
    read.expect("an end").expect("all answers");
    let ids = received.lines().filter_map(|line| line.strip_prefix("x-request-id: "));
    assert!(ids.eq((0..1_000).map(|number| format!("number-{number}"))), "{received}");
}

#[tokio::test]
async fn whoever_is_refused_before_the_body_is_read_can_read_the_answer() {
    let server = Plimsoll::start().await;
    let body = "x".repeat(40_000);
    let head = "POST /v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nonsense\r\nContent-Type: application/json";
    for _ in 0..10 {
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        server.raw(request).await.fails(401, "invalid_api_key");
    }
}
