//! When API keys were last used: written beside the changes, and no change itself.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::Store;
use super::error::StoreError;
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;

/// Rows in one statement: two parameters each stay far below what a database takes.
const ROWS_PER_STATEMENT: usize = 256;

impl Store {
    /// Writes when API keys were last used, in one transaction; a use that is older than what is written stays unwritten, and so
    /// does that of a key that is gone. There is no revision and no line in the log, and no entity tag changes.
    ///
    /// Errors: [`StoreError::Unavailable`] when the storage is busy, full, read-only or failing.
    pub async fn write_uses(&self, uses: Vec<(RecordId, UtcMillis)>) -> Result<(), StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            for rows in uses.chunks(ROWS_PER_STATEMENT) {
                let (size, backend) = (rows.len().next_power_of_two(), lane.db().get_database_backend());
                // The last row fills up, so that there are few statements to prepare. Written twice, it says the same.
                let filled = rows.iter().chain(rows.last().into_iter().cycle()).take(size);
                let values: Vec<Value> = filled.flat_map(|(id, at)| [id.as_str().into(), at.get().into()]).collect();
                lane.db().execute_raw(Statement::from_sql_and_values(backend, sql(size, backend), values)).await?;
            }
            lane.commit().await
        })
        .await
    }
}

/// What somebody else changes at the same time is left out where there may be somebody: the next use says it again.
fn sql(rows: usize, backend: DbBackend) -> String {
    let free = if backend == DbBackend::Postgres {
        " AND api_key.id IN (SELECT id FROM api_key WHERE id IN (SELECT id FROM used) FOR UPDATE SKIP LOCKED)"
    } else {
        ""
    };
    let rows: Vec<String> = (0..rows)
        .map(|row| row.saturating_mul(2))
        .map(|first| format!("(${}, CAST(${} AS bigint))", first.saturating_add(1), first.saturating_add(2)))
        .collect();
    format!(
        "WITH used (id, at) AS (VALUES {}) UPDATE api_key SET last_used_at = used.at FROM used \
         WHERE api_key.id = used.id AND (api_key.last_used_at IS NULL OR api_key.last_used_at < used.at){free}",
        rows.join(", ")
    )
}
