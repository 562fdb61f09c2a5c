//! What happened, written down for each endpoint that wants it.

use entity::{event, webhook, webhook_delivery, webhook_progress};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use super::super::events::event_of;
use super::super::rows::{Record, signed, text};
use super::super::{Event, Store, StoreError, Webhook, commands::new_id};
use super::MAX_WAITING;
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;
use crate::domain::webhook::{DeliveryState, Occurrence};

/// Events that one step looks at.
const EVENTS: u64 = 500;
/// Rows in one statement: fifteen parameters each stay below what a database takes.
const ROWS_PER_STATEMENT: usize = 500;
const WAITING: &str =
    "SELECT count(*) FROM (SELECT 1 FROM webhook_delivery WHERE webhook = $1 AND state = 'pending' LIMIT $2) AS waiting";
const GO_ON: &str = "UPDATE webhook_progress SET seq = $2 WHERE webhook = $1 AND seq < $2";

/// What a step has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whether there may be more events to look at.
    pub has_more: bool,
    /// Whether an endpoint has so many waiting that more are not written down for it.
    pub is_full: bool,
}

/// An endpoint, and the last event that was looked at for it.
struct Follower {
    webhook: Webhook,
    seq: i64,
}

impl Store {
    /// Looks at the next events for all endpoints that are not disabled, in one transaction: each event is written down once for
    /// each endpoint that wants it, whatever becomes of the process.
    pub async fn plan_deliveries(&self, now: UtcMillis) -> Result<Planned, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let (followers, is_full) = followers(lane.db()).await?;
            let Some(least) = followers.iter().map(|follower| follower.seq).min() else {
                lane.rollback().await?;
                return Ok(Planned { has_more: false, is_full });
            };
            let events = event::Entity::find().filter(event::Column::Seq.gt(least)).order_by_asc(event::Column::Seq);
            let events = events.limit(EVENTS).all(lane.db()).await?;
            let Some(last) = events.last().and_then(|event| event.seq) else {
                lane.rollback().await?;
                return Ok(Planned { has_more: false, is_full });
            };
            let has_more = u64::try_from(events.len()).is_ok_and(|count| count >= EVENTS);
            let events = events.iter().map(event_of).collect::<Result<Vec<_>, _>>()?;
            for follower in &followers {
                go_on(lane.db(), follower, &events, last, now).await?;
            }
            lane.commit().await?;
            Ok(Planned { has_more, is_full })
        })
        .await
    }
}

/// Whom there is room for; and whether there are others. What is looked at here nobody else moves on meanwhile.
async fn followers(db: &impl ConnectionTrait) -> Result<(Vec<Follower>, bool), StoreError> {
    let rows =
        webhook_progress::Entity::find().order_by_asc(webhook_progress::Column::Webhook).lock_exclusive().all(db).await?;
    let (mut followers, mut is_full) = (Vec::new(), false);
    for webhook_progress::Model { webhook, seq, .. } in rows {
        let Some(row) = webhook::Entity::find_by_id(webhook.as_str()).one(db).await? else { continue };
        if row.disabled_at.is_some() {
            continue;
        }
        if waiting(db, &webhook).await? < MAX_WAITING {
            followers.push(Follower { webhook: Webhook::from_row(&row)?, seq });
        } else {
            is_full = true;
        }
    }
    Ok((followers, is_full))
}

/// How many of its deliveries wait, counted up to the bound.
async fn waiting(db: &impl ConnectionTrait, webhook: &str) -> Result<u64, StoreError> {
    let values: [Value; 2] = [webhook.into(), signed(MAX_WAITING).into()];
    let counted = Statement::from_sql_and_values(db.get_database_backend(), WAITING, values);
    let count: Option<i64> = db.query_one_raw(counted).await?.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(count.map_or(0, |count| u64::try_from(count).unwrap_or(0)))
}

async fn go_on(
    db: &impl ConnectionTrait,
    Follower { webhook, seq }: &Follower,
    events: &[Event],
    last: i64,
    now: UtcMillis,
) -> Result<(), StoreError> {
    let wanted = webhook.wanted();
    let news = events.iter().filter(|event| signed(event.sequence) > *seq && wanted.takes(&webhook.id, occurrence(event)));
    let rows = news.map(|event| row(&webhook.id, event, now)).collect::<Result<Vec<_>, _>>()?;
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        webhook_delivery::Entity::insert_many(rows.to_vec()).exec_without_returning(db).await?;
    }
    let values: [Value; 2] = [webhook.id.as_str().into(), last.into()];
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), GO_ON, values)).await?;
    Ok(())
}

fn occurrence(event: &Event) -> Occurrence<'_> {
    let webhook = event.data.get("webhook").and_then(serde_json::Value::as_str);
    Occurrence { kind: event.kind, org: event.org.as_ref(), webhook }
}

fn row(webhook: &RecordId, event: &Event, now: UtcMillis) -> Result<webhook_delivery::ActiveModel, StoreError> {
    let row = webhook_delivery::Model {
        id: new_id("whd")?.to_string(),
        webhook: webhook.to_string(),
        seq: signed(event.sequence),
        event: event.id.to_string(),
        kind: event.kind.as_str().to_owned(),
        org: event.org.as_ref().map(ToString::to_string).unwrap_or_default(),
        is_manual: 0,
        state: DeliveryState::Pending.as_str().to_owned(),
        created_at: now.get(),
        next_at: now.get(),
        attempts: 0,
        first_at: None,
        last_at: None,
        status: None,
        error: None,
        duration_ms: None,
    };
    Ok(row.into_active_model())
}

/// Where the feed ends: who begins here is told of what comes next.
pub(in super::super) async fn end_of_feed(db: &impl ConnectionTrait) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce((SELECT max(seq) FROM event), (SELECT max(swept) FROM event_feed), 0)";
    let found = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    found.map_or(Ok(0), |row| Ok(row.try_get_by_index(0)?))
}

/// The org of a stored delivery.
pub(super) fn org_of<T>(stored: &str) -> Result<Option<T>, StoreError>
where
    T: std::str::FromStr<Err = crate::domain::issue::Invalid>,
{
    if stored.is_empty() { Ok(None) } else { text(stored).map(Some) }
}
