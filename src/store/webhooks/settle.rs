//! What became of tries.

use entity::webhook_progress;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value};

use super::super::rows::signed;
use super::super::{Store, StoreError};
use super::Attempt;
use crate::domain::names::RecordId;
use crate::domain::webhook::{DeliveryState, Next};

/// A try that somebody else was faster with, or whose delivery is gone, changes nothing.
const SETTLE: &str = "UPDATE webhook_delivery SET state = $3, attempts = attempts + 1, first_at = coalesce(first_at, $4), last_at = $4, \
    next_at = $5, status = $6, error = $7, duration_ms = $8 WHERE id = $1 AND attempts = $2 AND state = 'pending'";
const IT_WORKS: &str = "UPDATE webhook_progress SET failing_since = NULL WHERE webhook = $1 AND failing_since IS NOT NULL";
const IT_FAILS: &str = "UPDATE webhook_progress SET failing_since = $2 WHERE webhook = $1 AND failing_since IS NULL";
/// Whether nothing was taken since what was given up was tried first.
const ONLY_FAILED: &str = "SELECT 1 FROM webhook_delivery d JOIN webhook_progress p ON p.webhook = d.webhook \
    WHERE d.id = $1 AND p.failing_since <= d.first_at";

impl Store {
    /// Writes down what became of tries. Says which endpoints did nothing but fail for as long as a delivery is tried.
    pub async fn settle_deliveries(&self, attempts: Vec<Attempt>) -> Result<Vec<RecordId>, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let ids = attempts.iter().map(|attempt| attempt.webhook.as_str());
            // Held first by whoever touches deliveries: nobody waits for each other in a circle.
            let held = webhook_progress::Entity::find().filter(webhook_progress::Column::Webhook.is_in(ids));
            held.order_by_asc(webhook_progress::Column::Webhook).lock_exclusive().all(lane.db()).await?;
            let mut failing = Vec::new();
            for attempt in &attempts {
                if settled(lane.db(), attempt).await? {
                    failing.push(attempt.webhook.clone());
                }
            }
            lane.commit().await?;
            Ok(failing)
        })
        .await
    }
}

/// Says whether the endpoint has done nothing but fail.
async fn settled(db: &impl ConnectionTrait, attempt: &Attempt) -> Result<bool, StoreError> {
    let statement = |sql, values: Vec<Value>| Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let (at, webhook) = (attempt.at.get(), attempt.webhook.as_str());
    let (state, next_at) = match attempt.next {
        Next::Delivered => (DeliveryState::Delivered, attempt.at),
        Next::GivenUp => (DeliveryState::Failed, attempt.at),
        Next::Again(next_at) => (DeliveryState::Pending, next_at),
        // It waits for the endpoint to be enabled.
        Next::Gone => (DeliveryState::Pending, attempt.at),
    };
    let values = vec![
        attempt.delivery.as_str().into(),
        signed(attempt.attempts_before).into(),
        state.as_str().into(),
        at.into(),
        next_at.get().into(),
        attempt.status.map(i64::from).into(),
        attempt.error.clone().into(),
        signed(attempt.duration_ms).into(),
    ];
    if db.execute_raw(statement(SETTLE, values)).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let progress = match attempt.next {
        Next::Delivered => statement(IT_WORKS, vec![webhook.into()]),
        Next::Again(_) | Next::GivenUp | Next::Gone => statement(IT_FAILS, vec![webhook.into(), at.into()]),
    };
    db.execute_raw(progress).await?;
    if attempt.next != Next::GivenUp {
        return Ok(false);
    }
    Ok(db.query_one_raw(statement(ONLY_FAILED, vec![attempt.delivery.as_str().into()])).await?.is_some())
}
