//! One request at a time, for setting up and for looking at an answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::Outcome;
use crate::scenario::Scenario;
use crate::server::Server;

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Outcome<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Asks the question of a scenario about its first org.
pub(crate) fn ask(server: &Server, key: &str, scenario: Scenario) -> Outcome<Answer> {
    call(server, "POST", scenario.path(), key, Some(&scenario.body(0)))
}

/// Sends one request on a connection of its own; a status of 300 or more is an error.
pub(crate) fn call(server: &Server, method: &str, path: &str, key: &str, body: Option<&str>) -> Outcome<Answer> {
    let mut stream = TcpStream::connect(server.address)?;
    let body = body.unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    let answer = parsed(&received).ok_or("the answer is not HTTP/1.1")?;
    if answer.status < 300 {
        return Ok(answer);
    }
    Err(format!("{method} {path} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body)).into())
}

fn parsed(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let status = received.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    Some(Answer { status, body: received.get(end + 4..)?.to_vec() })
}
