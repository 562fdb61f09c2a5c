//! Tiers that orgs have from a moment on: found by the clock once they have begun, and told once each.

use std::collections::HashMap;

use entity::org;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult, Statement, Value};

use super::super::rows::text;
use super::super::{Store, StoreError, schedules};
use super::write_events;
use crate::domain::event::{Happening, NewEvent};
use crate::domain::names::{OrgId, TierName};
use crate::domain::schedule::Schedule;
use crate::domain::time::UtcMillis;

/// Changes that one step tells of at most.
const PER_STEP: u32 = 500;

/// Whether there is one to tell of: nobody waits for the right to write for nothing.
const IS_DUE: &str = "SELECT 1 FROM org_schedule WHERE told = 0 AND starts_at <= $1 LIMIT 1";
/// Whoever waited for another process that did the same finds them told of.
const TELL: &str = "UPDATE org_schedule SET told = 1 WHERE told = 0 AND (org, starts_at) IN (SELECT org, starts_at \
    FROM org_schedule WHERE told = 0 AND starts_at <= $1 AND (org = $2 OR $2 = '') ORDER BY starts_at LIMIT $3) \
    RETURNING org, starts_at, tier";

/// A tier that has begun.
struct Begun {
    org: String,
    starts_at: UtcMillis,
    tier: TierName,
}

impl Store {
    /// Tells of tiers that have begun by themselves. Says whether there may be more.
    pub async fn tell_turns(&self, now: UtcMillis) -> Result<bool, StoreError> {
        let due = Statement::from_sql_and_values(self.lookout().get_database_backend(), IS_DUE, [now.get().into()]);
        if self.lookout().query_one_raw(due).await?.is_none() {
            return Ok(false);
        }
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let events = take_begun(lane.db(), None, now).await?;
            write_events(lane.db(), &events).await?;
            lane.commit().await?;
            Ok(events.len() >= usize::try_from(PER_STEP).unwrap_or(usize::MAX))
        })
        .await
    }
}

/// What is to be told of tiers that have begun, of this org or of all: it is told of from now on, as a part of this transaction.
pub(in crate::store) async fn take_begun(
    db: &impl ConnectionTrait,
    org: Option<&OrgId>,
    now: UtcMillis,
) -> Result<Vec<NewEvent>, StoreError> {
    let whose = org.map_or("", |org| org.as_str());
    let values: [Value; 3] = [now.get().into(), whose.into(), PER_STEP.into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), TELL, values)).await?;
    let mut begun = rows.iter().map(begun).collect::<Result<Vec<_>, _>>()?;
    begun.sort_by(|one, other| (one.starts_at, &one.org).cmp(&(other.starts_at, &other.org)));
    let known = known(db, &begun).await?;
    begun.into_iter().filter_map(|begun| event(begun, &known, now).transpose()).collect()
}

fn begun(row: &QueryResult) -> Result<Begun, StoreError> {
    let tier = text(&row.try_get_by_index::<String>(2)?)?;
    Ok(Begun { org: row.try_get_by_index(0)?, starts_at: UtcMillis::new(row.try_get_by_index(1)?), tier })
}

/// The tier that each of the orgs was given, and what is scheduled of it.
async fn known(
    db: &impl ConnectionTrait,
    begun: &[Begun],
) -> Result<HashMap<String, (TierName, Schedule<TierName>)>, StoreError> {
    let orgs = || begun.iter().map(|begun| begun.org.as_str());
    if begun.is_empty() {
        return Ok(HashMap::new());
    }
    let mut scheduled = schedules::of_orgs(db, orgs()).await?;
    let rows = org::Entity::find().filter(org::Column::Id.is_in(orgs())).all(db).await?;
    let of = |row: org::Model| Ok((row.id.clone(), (text(&row.tier)?, scheduled.remove(&row.id).unwrap_or_default())));
    rows.into_iter().map(of).collect()
}

fn event(
    begun: Begun,
    known: &HashMap<String, (TierName, Schedule<TierName>)>,
    now: UtcMillis,
) -> Result<Option<NewEvent>, StoreError> {
    let Begun { org, starts_at, tier: to } = begun;
    let Some((given, scheduled)) = known.get(&org) else { return Ok(None) };
    let from = scheduled.after(given, starts_at.plus_millis(-1)).clone();
    let what = Happening::TierChanged { from, to, starts_at: Some(starts_at) };
    Ok(Some(NewEvent { at: now, org: Some(text(&org)?), what }))
}
