//! Webhooks: endpoints, and what they are told.
//!
//! What happens is written down for each endpoint that wants it, by whoever delivers and never by who makes it happen. For each org
//! the first that waits is tried, and the others when it was taken or given up. Of several processes the holder of a lease delivers.

mod due;
mod endpoints;
mod lease;
mod log;
mod plan;
mod settle;

use std::collections::BTreeSet;
use std::fmt;

use entity::webhook;
use serde::Serialize;

use super::error::StoreError;
use super::records::Object;
use super::rows::{Key, Record, Stamps, moment, optional, text};
use crate::domain::event::EventKind;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::webhook::{Because, DeliveryState, Next, Wanted};

pub use due::Due;
pub use endpoints::Endpoint;
pub use log::DeliveryFilter;
pub(super) use log::delivery_of;
pub(super) use plan::end_of_feed;

/// Deliveries of one endpoint that wait at most; what happens beyond them stays in the feed until there is room.
pub(super) const MAX_WAITING: u64 = 10_000;

/// An endpoint that is told of events, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: RecordId,
    /// Where it is.
    pub url: String,
    /// For people.
    pub description: String,
    /// The types of events that it is told of; all when there is nothing.
    pub types: Option<BTreeSet<EventKind>>,
    /// The org whose events it is told of; all when there is nothing.
    pub org: Option<OrgId>,
    /// Set when it is told of nothing any more.
    pub disabled: Option<Disabled>,
}

/// That a webhook is told of nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// Since when.
    pub at: UtcMillis,
    /// Why.
    pub because: Because,
}

impl Webhook {
    /// Which events it is told of.
    pub fn wanted(&self) -> Wanted {
        Wanted { types: self.types.clone(), org: self.org.clone() }
    }
}

/// A secret as it is kept: sealed, or as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptSecret {
    /// Its id, which it is bound to when it is sealed.
    pub id: RecordId,
    /// Whether it is sealed.
    pub is_sealed: bool,
    /// What is kept.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for KeptSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Something that an endpoint is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: RecordId,
    /// Who is told.
    pub webhook: RecordId,
    /// The event's place in the feed.
    pub sequence: u64,
    /// The event's id.
    pub event: RecordId,
    /// What happened.
    pub kind: EventKind,
    /// The org that it happened to.
    pub org: Option<OrgId>,
    /// Whether it is sent once more by hand.
    pub is_manual: bool,
    /// What has become of it.
    pub state: DeliveryState,
    /// When it was written down.
    pub created_at: UtcMillis,
    /// When it is tried next at the earliest, if it waits.
    pub next_at: Option<UtcMillis>,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was tried last.
    pub last_at: Option<UtcMillis>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How long the last try took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A try, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What was tried.
    pub delivery: RecordId,
    /// At which endpoint.
    pub webhook: RecordId,
    /// Where that was.
    pub url: String,
    /// How often it had been tried before.
    pub attempts_before: u64,
    /// When it began.
    pub at: UtcMillis,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// What follows.
    pub next: Next,
}

impl Record for Webhook {
    type Entity = webhook::Entity;
    type Row = webhook::Model;
    type Change = webhook::ActiveModel;
    const OBJECT: Object = Object::Webhook;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let because = optional::<Because>(row.disabled_because.as_deref())?;
        Ok(Self {
            id: text(&row.id)?,
            url: row.url.clone(),
            description: row.description.clone(),
            types: row.types.as_deref().map(types).transpose()?,
            org: optional(row.org.as_deref())?,
            disabled: moment(row.disabled_at).zip(because).map(|(at, because)| Disabled { at, because }),
        })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        webhook::Model {
            id: self.id.to_string(),
            url: self.url.clone(),
            description: self.description.clone(),
            types: self.types.as_ref().map(|types| types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")),
            org: self.org.as_ref().map(ToString::to_string),
            disabled_at: self.disabled.map(|disabled| disabled.at.get()),
            disabled_because: self.disabled.map(|disabled| disabled.because.as_str().to_owned()),
            created_at,
            updated_at,
            revision,
        }
    }

    fn key(&self) -> Key<Self> {
        self.id.to_string()
    }

    fn object_id(&self) -> String {
        self.id.to_string()
    }

    fn org(&self) -> Option<&OrgId> {
        self.org.as_ref()
    }
}

fn types(stored: &str) -> Result<BTreeSet<EventKind>, StoreError> {
    stored.split(',').map(text).collect()
}
