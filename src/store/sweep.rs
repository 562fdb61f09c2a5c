//! The log of changes is kept as long as the settings say.

use sea_orm::{ConnectionTrait, Statement, Value};

use super::Store;
use super::error::StoreError;
use crate::domain::time::UtcMillis;

/// Of the oldest lines, those before the first that is young enough: where a clock was put back, an old line may stand behind
/// a younger one, and the log must have no gap. The newest line stays: it says since when things are as they are.
const OLD_CHANGES: &str = "DELETE FROM change_log WHERE revision IN \
     (SELECT revision FROM change_log WHERE revision <= $1 ORDER BY revision LIMIT $3) \
     AND revision < (SELECT max(revision) FROM change_log) AND revision < (SELECT coalesce(min(oldest.revision), $1 + 1) FROM \
     (SELECT revision, at FROM change_log ORDER BY revision LIMIT $3) AS oldest WHERE oldest.at >= $2)";

impl Store {
    /// Deletes at most `max_rows` of the oldest lines of the log that were written before a moment, and says how many.
    /// What this process has not committed or followed yet stays.
    pub async fn sweep_audit(&self, before: UtcMillis, max_rows: u32) -> Result<u64, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let known = *store.committed().borrow();
            let lane = store.lane().await?;
            let known = i64::try_from(known).unwrap_or(i64::MAX);
            let values: [Value; 3] = [known.into(), before.get().into(), max_rows.into()];
            let statement = Statement::from_sql_and_values(lane.db().get_database_backend(), OLD_CHANGES, values);
            let deleted = lane.db().execute_raw(statement).await?.rows_affected();
            lane.commit().await?;
            Ok(deleted)
        })
        .await
    }
}
