//! The feed: events in the order of their numbers.

use entity::event::{Column, Entity, Model};
use entity::{event_feed, webhook_progress};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use super::super::rows::{optional, signed, text, unsigned};
use super::super::{Store, StoreError};
use super::{Event, EventFilter};
use crate::domain::time::UtcMillis;

/// Whether there is an event that has no number yet.
const UNNUMBERED: &str = "SELECT 1 FROM event WHERE seq IS NULL LIMIT 1";
/// One at a time. It is a statement of its own: the next one sees what was numbered until the lock was had.
const LOCK_FEED: &str = "SELECT last FROM event_feed WHERE id = 1 FOR UPDATE";
const NUMBER: &str = "WITH fresh AS (SELECT place, row_number() OVER (ORDER BY place) AS step FROM event WHERE seq IS NULL \
    ORDER BY place LIMIT 5000), \
    numbered AS (UPDATE event SET seq = $1 + fresh.step FROM fresh WHERE event.place = fresh.place RETURNING 1) \
    UPDATE event_feed SET last = $1 + (SELECT count(*) FROM numbered) WHERE id = 1";
const OLDEST: &str = "SELECT seq, at FROM event WHERE seq IS NOT NULL ORDER BY seq LIMIT $1";
const FORGET: &str = "DELETE FROM event WHERE seq <= $1";
/// What cannot be delivered any more, and what was.
const FORGET_DELIVERIES: &str = "DELETE FROM webhook_delivery WHERE seq <= $1";
const NOTE_FORGOTTEN: &str = "UPDATE event_feed SET swept = $1 WHERE id = 1";

/// A part of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The last number whose event is no longer kept.
    pub swept: u64,
}

impl Store {
    /// What happened after this number, in order, at most `limit` events.
    pub async fn events_after(&self, after: u64, filter: &EventFilter, limit: u64) -> Result<Feed, StoreError> {
        let matching = Condition::all()
            .add(Column::Seq.gt(signed(after)))
            .add_option(filter.kind.map(|kind| Column::Kind.eq(kind.as_str())))
            .add_option(filter.org.as_ref().map(|org| Column::Org.eq(org.as_str())));
        let rows = Entity::find().filter(matching).order_by_asc(Column::Seq).limit(limit).all(self.reader()).await?;
        // Read after the events: what is deleted meanwhile is known to be missing.
        let feed = event_feed::Entity::find_by_id(1).one(self.reader()).await?;
        let events = rows.iter().map(event_of).collect::<Result<_, _>>()?;
        Ok(Feed { events, swept: feed.map_or(0, |feed| unsigned(feed.swept)) })
    }

    /// The number of the last event that has one; 0 before the first.
    pub async fn last_event(&self) -> Result<u64, StoreError> {
        let last = Entity::find().select_only().column(Column::Seq).filter(Column::Seq.is_not_null());
        let last = last.order_by_desc(Column::Seq).limit(1).into_tuple::<Option<i64>>().one(self.lookout()).await?;
        if let Some(Some(last)) = last {
            return Ok(unsigned(last));
        }
        let feed = event_feed::Entity::find_by_id(1).one(self.lookout()).await?;
        Ok(feed.map_or(0, |feed| unsigned(feed.swept)))
    }

    /// Numbers what is committed and has no number yet. In an embedded database everything has one.
    pub async fn number_events(&self) -> Result<(), StoreError> {
        if !self.is_shared() || !self.has_unnumbered().await? {
            return Ok(());
        }
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let lock = Statement::from_string(DbBackend::Postgres, LOCK_FEED);
            if let Some(row) = lane.db().query_one_raw(lock).await? {
                let last: i64 = row.try_get_by_index(0)?;
                let number = Statement::from_sql_and_values(DbBackend::Postgres, NUMBER, [last.into()]);
                lane.db().execute_raw(number).await?;
            }
            lane.commit().await
        })
        .await
    }

    async fn has_unnumbered(&self) -> Result<bool, StoreError> {
        let unnumbered = Statement::from_string(DbBackend::Postgres, UNNUMBERED);
        Ok(self.lookout().query_one_raw(unnumbered).await?.is_some())
    }

    /// Deletes at most `max_rows` of the oldest events that happened before a moment, and says how many. Of the oldest, those before
    /// the first that is young enough: where a clock was put back, the feed has no gap all the same.
    pub async fn sweep_events(&self, before: UtcMillis, max_rows: u32) -> Result<u64, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let backend = lane.db().get_database_backend();
            let oldest = Statement::from_sql_and_values(backend, OLDEST, [max_rows.into()]);
            let (mut end, mut count) = (None, 0_u64);
            for row in lane.db().query_all_raw(oldest).await? {
                if row.try_get_by_index::<i64>(1)? >= before.get() {
                    break;
                }
                end = Some(row.try_get_by_index::<i64>(0)?);
                count = count.saturating_add(1);
            }
            if let Some(end) = end {
                // Held first by whoever touches deliveries.
                let progress = webhook_progress::Entity::find().order_by_asc(webhook_progress::Column::Webhook);
                progress.lock_exclusive().all(lane.db()).await?;
                for sql in [FORGET, FORGET_DELIVERIES, NOTE_FORGOTTEN] {
                    lane.db().execute_raw(Statement::from_sql_and_values(backend, sql, [end.into()])).await?;
                }
            }
            lane.commit().await?;
            Ok(count)
        })
        .await
    }
}

/// An event from its row.
pub(in super::super) fn event_of(row: &Model) -> Result<Event, StoreError> {
    let data = serde_json::from_str(&row.data);
    Ok(Event {
        sequence: unsigned(row.seq.unwrap_or(0)),
        id: text(&row.id)?,
        kind: text(&row.kind)?,
        org: optional(row.org.as_deref())?,
        at: UtcMillis::new(row.at),
        data: data.map_err(|error| StoreError::Internal(format!("An event holds what is not JSON: {error}")))?,
    })
}
