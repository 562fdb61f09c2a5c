//! A message as Standard Webhooks has it: its body, its id, the moment that it is sent at, and a signature by each secret.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::domain::event::EventKind;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::webhook::signed_content;
use crate::store::Event;

/// What is sent.
pub(super) struct Message {
    /// Whoever receives it twice knows it by this: the event's id.
    pub(super) id: String,
    /// When it is sent, in seconds.
    pub(super) seconds: i64,
    /// The signatures, with spaces between them.
    pub(super) signatures: String,
    /// The event as JSON.
    pub(super) body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: EventKind,
    timestamp: UtcMillis,
    id: &'a RecordId,
    sequence: u64,
    org: Option<&'a OrgId>,
    data: &'a serde_json::Value,
}

impl Message {
    /// Tells of an event now.
    pub(super) fn of(event: &Event, keys: &[hmac::Key], now: UtcMillis) -> Self {
        let Event { sequence, id, kind, org, at, data } = event;
        let body = Body { kind: *kind, timestamp: *at, id, sequence: *sequence, org: org.as_ref(), data };
        // It has string keys and finite numbers only: there is nothing that can fail.
        let body = serde_json::to_string(&body).unwrap_or_default();
        let (id, seconds) = (id.to_string(), now.get().div_euclid(1_000));
        let content = signed_content(&id, seconds, &body);
        let signed = |key: &hmac::Key| format!("v1,{}", STANDARD.encode(hmac::sign(key, content.as_bytes())));
        let signatures = keys.iter().map(signed).collect::<Vec<_>>().join(" ");
        Self { id, seconds, signatures, body }
    }
}
