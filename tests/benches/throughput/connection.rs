//! A keep-alive connection that asks, waits for the answer, and asks about its next org.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use actix_web::rt::net::TcpStream;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Outcome;
use crate::request::Request;
use crate::scenario::{Scenario, org};

/// Holds an answer with its headers; a longer one is an error.
const ANSWER_MAX: usize = 8_192;

/// A connection and the org that it asks about next.
pub(crate) struct Connection {
    scenario: Scenario,
    stream: TcpStream,
    request: Request,
    share: Share,
    answer: Vec<u8>,
}

/// The orgs that one of several connections asks about in turn: all of them together ask about every org equally often.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    next: usize,
    step: usize,
    orgs: usize,
}

impl Share {
    /// The share of this one of so many connections.
    pub(crate) const fn new(connection: usize, connections: usize, orgs: usize) -> Self {
        Self { next: connection % orgs, step: connections, orgs }
    }

    fn next(&mut self) -> usize {
        let number = self.next;
        self.next = (number + self.step) % self.orgs;
        number
    }
}

impl Connection {
    /// Connects, asks once and looks at the answer.
    pub(crate) async fn open(scenario: Scenario, share: Share, key: &str, address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (request, answer) = (Request::new(scenario, key)?, vec![0; ANSWER_MAX]);
        let mut connection = Self { scenario, stream, request, share, answer };
        connection.verify().await?;
        Ok(connection)
    }

    async fn verify(&mut self) -> Outcome<()> {
        let asked = self.share.next;
        let range = self.ask().await?;
        let answer: Value = serde_json::from_slice(&self.answer[range])?;
        if self.scenario.is_answered_by(asked, &answer) {
            return Ok(());
        }
        Err(format!("asked about {}, the answer was not as expected: {answer}", org(asked)).into())
    }

    /// The nanoseconds that each answer took.
    pub(crate) async fn ask_until(&mut self, end: Instant) -> Outcome<Vec<u32>> {
        let mut waits = Vec::with_capacity(16_384);
        let mut begun = Instant::now();
        while begun < end {
            self.ask().await?;
            let ended = Instant::now();
            waits.push(u32::try_from(ended.duration_since(begun).as_nanos()).unwrap_or(u32::MAX));
            begun = ended;
        }
        Ok(waits)
    }

    /// Asks once, whatever is asked.
    pub(crate) async fn take(&mut self) -> Outcome<()> {
        self.ask().await.map(drop)
    }

    /// Asks once; anything but a 200 is an error. Returns where the body of the answer stands.
    async fn ask(&mut self) -> Outcome<Range<usize>> {
        self.stream.write_all(self.request.about(self.share.next())).await?;
        let mut received = 0;
        loop {
            let room = self.answer.get_mut(received..).filter(|room| !room.is_empty()).ok_or("the answer is too long")?;
            let count = self.stream.read(room).await?;
            if count == 0 {
                return Err(format!("the server closed the connection after {received} bytes of an answer").into());
            }
            received += count;
            if let Some(body) = complete(&self.answer[..received])? {
                return Ok(body);
            }
        }
    }
}

/// Where the body stands once all of the answer is there.
fn complete(received: &[u8]) -> Outcome<Option<Range<usize>>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = &received[..end];
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("not a 200: {}", String::from_utf8_lossy(received)).into());
    }
    let body = end + 4;
    let length = content_length(head).ok_or("the answer has no Content-Length")?;
    Ok((received.len() >= body + length).then_some(body..body + length))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let mut lines = head.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.split_at_checked(NAME.len()).filter(|(name, _)| name.eq_ignore_ascii_case(NAME)))?.1;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}
