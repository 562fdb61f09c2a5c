//! What is to be tried now: of each org the first that waits, and what is sent once more by hand.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::super::rows::{signed, text, unsigned};
use super::super::{Event, Store, StoreError};
use super::plan::org_of;
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;

/// The event of what is to be tried; of each org the first, whether its time has come or not.
const DUE: &str = "SELECT d.id, d.attempts, d.next_at, d.seq, d.event, d.type, d.org, e.at, e.data FROM webhook_delivery d \
    JOIN event e ON e.seq = d.seq LEFT JOIN (SELECT org, min(seq) AS seq FROM webhook_delivery WHERE webhook = $1 \
    AND state = 'pending' AND is_manual = 0 GROUP BY org) AS head ON head.org = d.org AND head.seq = d.seq \
    WHERE d.webhook = $1 AND d.state = 'pending' AND (d.is_manual = 1 OR head.seq IS NOT NULL) \
    ORDER BY d.next_at, d.id LIMIT $2";
const OLDEST: &str = "SELECT min(d.created_at) FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook \
    WHERE d.state = 'pending' AND w.disabled_at IS NULL";

/// A delivery that waits, with its event.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Its id.
    pub id: RecordId,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is to be tried.
    pub next_at: UtcMillis,
    /// What happened.
    pub event: Event,
}

impl Store {
    /// What an endpoint is to be told next, in the order of its time; also what is under way.
    pub async fn due_deliveries(&self, webhook: &RecordId, limit: u64) -> Result<Vec<Due>, StoreError> {
        let values: [Value; 2] = [webhook.as_str().into(), signed(limit).into()];
        let rows = self.lookout().query_all_raw(Statement::from_sql_and_values(self.backend(), DUE, values)).await?;
        rows.iter().map(due).collect()
    }

    /// Since when what waits longest has waited.
    pub async fn oldest_delivery(&self) -> Result<Option<UtcMillis>, StoreError> {
        let found = self.lookout().query_one_raw(Statement::from_string(self.backend(), OLDEST)).await?;
        let oldest: Option<Option<i64>> = found.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(oldest.flatten().map(UtcMillis::new))
    }

    fn backend(&self) -> DbBackend {
        self.lookout().get_database_backend()
    }
}

fn due(row: &QueryResult) -> Result<Due, StoreError> {
    let written = |column: usize| row.try_get_by_index::<String>(column);
    let number = |column: usize| row.try_get_by_index::<i64>(column);
    let data = serde_json::from_str(&written(8)?);
    Ok(Due {
        id: text(&written(0)?)?,
        attempts: unsigned(number(1)?),
        next_at: UtcMillis::new(number(2)?),
        event: Event {
            sequence: unsigned(number(3)?),
            id: text(&written(4)?)?,
            kind: text(&written(5)?)?,
            org: org_of(&written(6)?)?,
            at: UtcMillis::new(number(7)?),
            data: data.map_err(|error| StoreError::Internal(format!("An event holds what is not JSON: {error}")))?,
        },
    })
}
