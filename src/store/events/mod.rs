//! Events: written in the transaction of their cause, told in one order that never has a gap.
//!
//! In an embedded database the number of an event is that of its row. Where several processes write, a number that is taken in a
//! transaction may be seen after a higher one, and a reader that had got there would miss it. So events are written without one, and
//! whoever holds the lock of the feed numbers those that are committed. What follows from another transaction was inserted after
//! its commit, so that numbering by the order of insertion never turns cause and effect around, and each org's events are in order.

mod feed;
mod lapses;
mod turns;

use entity::event;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ConnectionTrait, EntityTrait};
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;

pub use feed::Feed;
pub(super) use feed::event_of;
pub(super) use turns::take_begun;

/// Events in one statement: five parameters each stay far below what a database takes.
const EVENTS_PER_STATEMENT: usize = 1_000;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the feed, from 1.
    pub sequence: u64,
    /// Its id, which nobody else has.
    pub id: RecordId,
    /// What happened.
    pub kind: EventKind,
    /// The org that it happened to.
    pub org: Option<OrgId>,
    /// When.
    pub at: UtcMillis,
    /// What is known of it.
    pub data: serde_json::Value,
}

/// Which events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Of this org.
    pub org: Option<OrgId>,
}

/// Writes events as a part of the transaction of their cause, after everything else that it writes.
pub async fn write_events(db: &impl ConnectionTrait, events: &[NewEvent]) -> Result<(), StoreError> {
    for events in events.chunks(EVENTS_PER_STATEMENT) {
        let rows = events.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        event::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}

fn row(event: &NewEvent) -> Result<event::ActiveModel, StoreError> {
    let data = serde_json::to_string(&event.what);
    let data = data.map_err(|error| StoreError::Internal(format!("An event has no JSON form: {error}")))?;
    Ok(event::ActiveModel {
        id: Set(format!("evt_{}", Uuid::now_v7().simple())),
        seq: NotSet,
        kind: Set(event.what.kind().as_str().to_owned()),
        org: Set(event.org.as_ref().map(ToString::to_string)),
        at: Set(event.at.get()),
        data: Set(data),
    })
}
