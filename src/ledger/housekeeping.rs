//! Housekeeping: what no longer matters is deleted in small steps. It decides nothing: whether a hold is alive and which window
//! counts is computed from the clock, whatever is still stored.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::Ledger;
use crate::domain::time::UtcMillis;
use crate::store::StoreError;

/// Rows that one step deletes at most: some milliseconds of the right to write.
const ROWS_PER_STEP: u64 = 500;
const DAY_MILLIS: i64 = 86_400_000;
/// How long a reservation can still be looked up after its time, in milliseconds: a day, in which its answers may be asked for again.
const KEPT_RESERVATIONS: i64 = DAY_MILLIS;

/// A statement around the end of the list of rows that are to be deleted.
const ENDED_WINDOWS: &str = "DELETE FROM usage WHERE (org, limit_key, resource, window_start) IN \
     (SELECT org, limit_key, resource, window_start FROM usage WHERE window_end <= $1 ORDER BY window_end LIMIT $2";
const OLD_RESERVATIONS: &str = "DELETE FROM reservation WHERE (org, id) IN \
     (SELECT org, id FROM reservation WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";

/// What one step deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Counters of windows that have ended.
    pub windows: u64,
    /// Reservations whose time is over.
    pub reservations: u64,
}

impl Swept {
    /// Whether there may be more to delete.
    pub const fn is_full(self) -> bool {
        self.windows >= ROWS_PER_STEP || self.reservations >= ROWS_PER_STEP
    }
}

impl Ledger {
    /// Deletes some windows that ended more than `window_days` ago, and some reservations that ended more than a day ago.
    pub async fn sweep(&self, now: UtcMillis, window_days: u32) -> Result<Swept, StoreError> {
        let windows_before = now.plus_millis(i64::from(window_days).saturating_mul(DAY_MILLIS).saturating_neg());
        let reservations_before = now.plus_millis(KEPT_RESERVATIONS.saturating_neg());
        Ok(Swept {
            windows: self.delete(ENDED_WINDOWS, windows_before).await?,
            reservations: self.delete(OLD_RESERVATIONS, reservations_before).await?,
        })
    }

    /// Each in a transaction of its own, in a task of its own, so that it is never left half way.
    async fn delete(&self, sql: &'static str, before: UtcMillis) -> Result<u64, StoreError> {
        let store = self.store.clone();
        let step = tokio::spawn(async move {
            let lane = store.lane().await?;
            let values: [Value; 2] = [before.get().into(), ROWS_PER_STEP.into()];
            let backend = lane.db().get_database_backend();
            // What another process has in hand is left to it, so that neither waits for the other.
            let end = if backend == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED)" } else { ")" };
            let statement = Statement::from_sql_and_values(backend, format!("{sql}{end}"), values);
            let deleted = lane.db().execute_raw(statement).await?.rows_affected();
            lane.commit().await?;
            Ok(deleted)
        });
        step.await.unwrap_or_else(|error| Err(StoreError::Internal(format!("A step of housekeeping was abandoned: {error}"))))
    }
}
