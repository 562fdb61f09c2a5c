//! Overrides that are about to lapse, and those that have: found by the clock, and told once each.

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use super::super::rows::text;
use super::super::{Store, StoreError};
use super::write_events;
use crate::domain::event::{Ending, Happening, LAPSING_MILLIS, NewEvent};
use crate::domain::time::UtcMillis;

/// Overrides that one step tells of at most.
const PER_STEP: u32 = 500;

/// Whether there is one to tell of: nobody waits for the right to write for nothing.
const IS_DUE: &str = "SELECT 1 FROM org_override WHERE expires_at IS NOT NULL AND told < 2 \
    AND (expires_at <= $1 OR (told < 1 AND expires_at <= $2)) LIMIT 1";
/// Whoever waited for another process that did the same finds them told of.
const TELL: &str = "UPDATE org_override SET told = $1 WHERE told < $1 AND (org, id) IN (SELECT org, id FROM org_override \
    WHERE expires_at IS NOT NULL AND told < 2 AND told < $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3) \
    RETURNING org, id, limit_key, expires_at";

impl Store {
    /// Tells of overrides that end within a day, and of those that have ended. Says whether there may be more.
    pub async fn tell_lapses(&self, now: UtcMillis) -> Result<bool, StoreError> {
        let soon = now.plus_millis(LAPSING_MILLIS);
        let due: [Value; 2] = [now.get().into(), soon.get().into()];
        let due = Statement::from_sql_and_values(self.lookout().get_database_backend(), IS_DUE, due);
        if self.lookout().query_one_raw(due).await?.is_none() {
            return Ok(false);
        }
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let lapsed = told(lane.db(), 2, now).await?;
            let lapsing = told(lane.db(), 1, soon).await?;
            let is_full = lapsed.len().max(lapsing.len()) >= usize::try_from(PER_STEP).unwrap_or(usize::MAX);
            let event = |row: &QueryResult, what: fn(Ending) -> Happening| -> Result<NewEvent, StoreError> {
                let (org, ending) = ending(row)?;
                Ok(NewEvent { at: now, org: Some(org), what: what(ending) })
            };
            let lapsed = lapsed.iter().map(|row| event(row, Happening::OverrideLapsed));
            let lapsing = lapsing.iter().map(|row| event(row, Happening::OverrideLapsing));
            let events = lapsed.chain(lapsing).collect::<Result<Vec<_>, _>>()?;
            write_events(lane.db(), &events).await?;
            lane.commit().await?;
            Ok(is_full)
        })
        .await
    }
}

async fn told(db: &impl ConnectionTrait, told: i64, until: UtcMillis) -> Result<Vec<QueryResult>, StoreError> {
    let values: [Value; 3] = [told.into(), until.get().into(), PER_STEP.into()];
    Ok(db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), TELL, values)).await?)
}

fn ending(row: &QueryResult) -> Result<(crate::domain::names::OrgId, Ending), StoreError> {
    let id = text(&row.try_get_by_index::<String>(1)?)?;
    let limit_key = text(&row.try_get_by_index::<String>(2)?)?;
    let expires_at = UtcMillis::new(row.try_get_by_index(3)?);
    Ok((text(&row.try_get_by_index::<String>(0)?)?, Ending { id, limit_key, expires_at }))
}
