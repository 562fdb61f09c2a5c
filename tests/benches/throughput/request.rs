//! A request that is written once, and of which only the org and the idempotency key change.

use std::ops::Range;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::Outcome;
use crate::scenario::{CHANGING, Scenario, write_digits};

/// The bytes of a request, and where they change.
pub(crate) struct Request {
    bytes: Vec<u8>,
    number: Range<usize>,
    key: Option<Range<usize>>,
}

impl Request {
    /// The question of a scenario, about the first org.
    pub(crate) fn new(scenario: Scenario, bearer: &str) -> Outcome<Self> {
        let (path, body, no_key) = (scenario.path(), scenario.body(0), Uuid::nil().to_string());
        let key_line = if scenario.is_keyed() { format!("Idempotency-Key: {no_key}\r\n") } else { String::new() };
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\nContent-Type: application/json\r\n\
             {key_line}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mark = scenario.mark();
        let end = text.rfind(&mark).ok_or("the request names no org")? + mark.len();
        let number = end - CHANGING..end;
        let key = text.find(&no_key).map(|first| first..first + Hyphenated::LENGTH);
        Ok(Self { bytes: text.into_bytes(), number, key })
    }

    /// The request about the org of this number, under a fresh key if it has one.
    pub(crate) fn about(&mut self, number: usize) -> &[u8] {
        write_digits(&mut self.bytes[self.number.clone()], number);
        if let Some(key) = &self.key {
            Uuid::new_v4().hyphenated().encode_lower(&mut self.bytes[key.clone()]);
        }
        &self.bytes
    }
}
