//! Answers that are kept no longer are deleted, a few at a time.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Value};

use super::super::Store;
use super::super::error::StoreError;
use super::rows::statement;
use super::{end_of_keeping, segment_rows, shared};
use crate::domain::time::UtcMillis;

/// What a step of sweeping did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many answers it deleted.
    pub deleted: u64,
    /// Whether there is nothing left to do for now.
    pub is_done: bool,
}

/// The next rows: the number of the last, how many they are, how many of them are kept no longer, and how many still are.
const LOOK: &str = "SELECT coalesce(max(seq), 0), count(*), count(*) FILTER (WHERE created_at <= ?2), \
    count(*) FILTER (WHERE created_at > ?2 AND created_at <= ?3) \
    FROM (SELECT seq, created_at FROM answer WHERE seq > ?1 ORDER BY seq LIMIT ?4)";
/// All of these are of the rows from one number to another that were made before a moment.
const COUNT_DOWN: &str = "UPDATE answer_count SET records = max(records - gone.rows, 0) FROM (SELECT caller, count(*) AS rows \
    FROM answer WHERE seq > ?1 AND seq <= ?2 AND created_at <= ?3 GROUP BY caller) AS gone WHERE answer_count.caller = gone.caller";
const FORGET_CALLERS: &str = "DELETE FROM answer_count WHERE records = 0 \
    AND caller IN (SELECT caller FROM answer WHERE seq > ?1 AND seq <= ?2 AND created_at <= ?3)";
const DELETE: &str = "DELETE FROM answer WHERE seq > ?1 AND seq <= ?2 AND created_at <= ?3";

impl Store {
    /// Looks at no more than so many of the oldest answers, and deletes those that are no longer kept.
    ///
    /// To be called again until it is done; others have their turn between two calls.
    pub async fn sweep_answers(&self, now: UtcMillis, max_rows: u32) -> Result<Swept, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let mut lane = store.lane().await?;
            if lane.is_on_server() {
                let swept = shared::sweep(lane.db(), now, max_rows).await?;
                lane.commit().await?;
                return Ok(swept);
            }
            let end = end_of_keeping(now);
            let from = lane.answers().swept_to;
            let look = Look::at(lane.db(), from, now, max_rows).await?;
            lane.answers().swept_to = if look.is_last { 0 } else { look.to };
            if look.dead > 0 {
                for text in [COUNT_DOWN, FORGET_CALLERS, DELETE] {
                    lane.db().execute_raw(statement(text, [from.into(), look.to.into(), end.into()])).await?;
                }
            } else if look.is_last
                && let Some(segment) = lane.answers().outlived(end)
            {
                segment_rows::delete(lane.db(), segment).await?;
                lane.changes().dropped = Some(segment);
            } else {
                lane.rollback().await?;
                return Ok(Swept { deleted: 0, is_done: look.is_last });
            }
            lane.commit().await?;
            Ok(Swept { deleted: look.dead, is_done: false })
        })
        .await
    }
}

/// What the next rows are like.
struct Look {
    to: i64,
    dead: u64,
    /// Those behind them are younger still.
    is_last: bool,
}

impl Look {
    async fn at(db: &DatabaseTransaction, from: i64, now: UtcMillis, max_rows: u32) -> Result<Self, DbErr> {
        let values: [Value; 4] = [from.into(), end_of_keeping(now).into(), now.get().into(), max_rows.into()];
        let row = db.query_one_raw(statement(LOOK, values)).await?;
        let Some(row) = row else { return Ok(Self { to: from, dead: 0, is_last: true }) };
        let (rows, dead, alive): (i64, i64, i64) =
            (row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        // A row from the future says nothing of those behind it: the clock was put back since.
        let is_last = alive > 0 || rows < i64::from(max_rows);
        Ok(Self { to: row.try_get_by_index(0)?, dead: u64::try_from(dead).unwrap_or(0), is_last })
    }
}
