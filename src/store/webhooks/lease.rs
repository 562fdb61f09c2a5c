//! Who delivers: of the processes that share a database the holder of a lease, which ends by itself.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::super::{Store, StoreError};

/// By the clock of the database, which all processes share. Whoever holds it goes on; another one begins when it has ended.
const TAKE: &str = "UPDATE webhook_lease SET holder = $1, ends_at = clock.now + $2 \
    FROM (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) AS now) AS clock \
    WHERE id = 1 AND (holder = $1 OR ends_at <= clock.now)";
const GIVE_BACK: &str = "UPDATE webhook_lease SET ends_at = 0 WHERE id = 1 AND holder = $1";

impl Store {
    /// Takes or keeps the right to deliver for so many milliseconds, and says whether it was to be had. An embedded database has
    /// one process, which needs no lease.
    pub async fn take_delivery_lease(&self, holder: &str, millis: i64) -> Result<bool, StoreError> {
        if !self.is_shared() {
            return Ok(true);
        }
        self.lease(TAKE, vec![holder.into(), millis.into()]).await
    }

    /// Lets another process deliver at once.
    pub async fn give_delivery_lease_back(&self, holder: &str) -> Result<(), StoreError> {
        if self.is_shared() {
            self.lease(GIVE_BACK, vec![holder.into()]).await?;
        }
        Ok(())
    }

    async fn lease(&self, sql: &'static str, values: Vec<Value>) -> Result<bool, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
            let taken = lane.db().execute_raw(statement).await?.rows_affected() > 0;
            lane.commit().await?;
            Ok(taken)
        })
        .await
    }
}
