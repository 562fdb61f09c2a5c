//! Requests that a client library refuses to send.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::actor::Wire;
use super::answer::Answer;

/// The longest that an answer may take; a body's own deadline on the server is shorter.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn exchange(wire: &Wire, bytes: &[u8]) -> Answer {
    let received = timeout(PATIENCE, send(wire, bytes)).await.expect("an answer, and then the end of the connection");
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let asked = String::from_utf8_lossy(line).into_owned();
    let answer = parse(&asked, &received);
    let mut words = asked.split(' ');
    if let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) {
        wire.document.hold(method, path, &answer);
    }
    answer
}

/// A request whose head the server has, and whose body it waits for.
pub(crate) struct Held {
    wire: Arc<Wire>,
    head: String,
    stream: TcpStream,
}

impl Held {
    /// Sends the head of a request that announces `length` bytes, and waits until the server asks for them.
    pub(super) async fn begin(wire: Arc<Wire>, head: &str, length: usize) -> Self {
        let mut stream = TcpStream::connect(wire.address).await.expect("a connection");
        let announced = format!(
            "{head}\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(announced.as_bytes()).await.expect("a server that reads");
        let mut asked_for = [0; 25];
        let read = timeout(PATIENCE, stream.read_exact(&mut asked_for)).await.expect("a server that goes on");
        read.expect("an interim answer");
        assert_eq!(&asked_for, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { wire, head: head.to_owned(), stream }
    }

    /// Sends the body.
    pub(crate) async fn finish(mut self, body: &str) -> Answer {
        self.stream.write_all(body.as_bytes()).await.expect("a server that reads");
        let mut received = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut received)).await.expect("an answer").expect("all of it");
        let line = self.head.split("\r\n").next().unwrap_or_default();
        let answer = parse(line, &received);
        let mut words = line.split(' ');
        if let (Some(method), Some(path)) = (words.next(), words.next()) {
            self.wire.document.hold(method, path, &answer);
        }
        answer
    }
}

async fn send(wire: &Wire, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(wire.address).await.expect("a connection");
    stream.write_all(bytes).await.expect("a server that reads");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.expect("an answer");
    received
}

fn parse(asked: &str, received: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(received);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{asked}: no answer but {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    Answer::new(asked.to_owned(), status, headers, body.as_bytes())
}
