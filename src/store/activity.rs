//! How often limit keys are asked about: counted by processes, summed up here. No change of the catalogue.

use entity::{limit_key_activity as activity, limit_key_unknown as unknown};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value};

use super::rows::{moment, signed, text, unsigned};
use super::{Store, StoreError};
use crate::domain::names::LimitKeyName;
use crate::domain::time::UtcMillis;

/// The most unknown names that are kept; those that were asked for longest ago go first.
const MAX_UNKNOWN: u64 = 1_000;

const ADD_DAY: &str = "INSERT INTO limit_key_activity (limit_key, day, checked, refused, last_checked, last_refused) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (limit_key, day) DO UPDATE SET \
     checked = limit_key_activity.checked + excluded.checked, refused = limit_key_activity.refused + excluded.refused, \
     last_checked = CASE WHEN limit_key_activity.last_checked > excluded.last_checked THEN limit_key_activity.last_checked \
     ELSE excluded.last_checked END, \
     last_refused = CASE WHEN excluded.last_refused IS NULL OR limit_key_activity.last_refused > excluded.last_refused \
     THEN limit_key_activity.last_refused ELSE excluded.last_refused END";
const ADD_UNKNOWN: &str = "INSERT INTO limit_key_unknown (limit_key, asked, first_asked, last_asked) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (limit_key) DO UPDATE SET asked = limit_key_unknown.asked + excluded.asked, \
     last_asked = CASE WHEN limit_key_unknown.last_asked > excluded.last_asked THEN limit_key_unknown.last_asked \
     ELSE excluded.last_asked END";
const TOO_MANY_UNKNOWN: &str = "DELETE FROM limit_key_unknown WHERE limit_key IN \
     (SELECT limit_key FROM limit_key_unknown ORDER BY last_asked DESC, limit_key LIMIT 1000000 OFFSET $1)";
const OLD_DAYS: &str = "DELETE FROM limit_key_activity WHERE day < $1";

/// How often a limit key was asked about on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDay {
    /// The limit key.
    pub limit_key: LimitKeyName,
    /// The day, counted from the epoch.
    pub day: i64,
    /// Decisions; at least one.
    pub checked: u64,
    /// Those of them that were refusals.
    pub refused: u64,
    /// When the last one was.
    pub last_checked: UtcMillis,
    /// When the last refusal was.
    pub last_refused: Option<UtcMillis>,
}

/// A name that was asked for and that no limit key had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownKey {
    /// The name.
    pub limit_key: LimitKeyName,
    /// How often.
    pub asked: u64,
    /// When first.
    pub first_asked: UtcMillis,
    /// When last.
    pub last_asked: UtcMillis,
}

impl Store {
    /// Adds what was counted, in one transaction, and forgets what is older than the day `oldest`.
    ///
    /// Errors: [`StoreError::Unavailable`] when the storage is busy, full, read-only or failing. Then nothing was added.
    pub async fn add_activity(&self, mut days: Vec<KeyDay>, mut names: Vec<UnknownKey>, oldest: i64) -> Result<(), StoreError> {
        // In one order, so that no two processes wait for each other.
        days.sort_unstable();
        names.sort_unstable();
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let (db, backend) = (lane.db(), lane.db().get_database_backend());
            for day in &days {
                db.execute_raw(Statement::from_sql_and_values(backend, ADD_DAY, values_of(day))).await?;
            }
            for UnknownKey { limit_key, asked, first_asked, last_asked } in &names {
                let values: [Value; 4] =
                    [limit_key.as_str().into(), signed(*asked).into(), first_asked.get().into(), last_asked.get().into()];
                db.execute_raw(Statement::from_sql_and_values(backend, ADD_UNKNOWN, values)).await?;
            }
            if !names.is_empty() {
                db.execute_raw(Statement::from_sql_and_values(backend, TOO_MANY_UNKNOWN, [signed(MAX_UNKNOWN).into()])).await?;
            }
            db.execute_raw(Statement::from_sql_and_values(backend, OLD_DAYS, [oldest.into()])).await?;
            lane.commit().await
        })
        .await
    }

    /// What was counted since the day `from`, by limit key and day, and every unknown name, the last asked for first.
    pub async fn activity(&self, from: i64) -> Result<(Vec<KeyDay>, Vec<UnknownKey>), StoreError> {
        let days = activity::Entity::find().filter(activity::Column::Day.gte(from));
        let days = days.order_by_asc(activity::Column::LimitKey).order_by_asc(activity::Column::Day);
        let days = days.all(self.reader()).await?;
        let names = unknown::Entity::find().order_by_desc(unknown::Column::LastAsked);
        let names = names.order_by_asc(unknown::Column::LimitKey).limit(MAX_UNKNOWN).all(self.reader()).await?;
        let days = days.iter().map(key_day).collect::<Result<_, _>>()?;
        Ok((days, names.iter().map(unknown_key).collect::<Result<_, _>>()?))
    }
}

fn values_of(day: &KeyDay) -> [Value; 6] {
    let KeyDay { limit_key, day, checked, refused, last_checked, last_refused } = day;
    let last_refused = last_refused.map(UtcMillis::get);
    [
        limit_key.as_str().into(),
        (*day).into(),
        signed(*checked).into(),
        signed(*refused).into(),
        last_checked.get().into(),
        last_refused.into(),
    ]
}

fn key_day(row: &activity::Model) -> Result<KeyDay, StoreError> {
    Ok(KeyDay {
        limit_key: text(&row.limit_key)?,
        day: row.day,
        checked: unsigned(row.checked),
        refused: unsigned(row.refused),
        last_checked: UtcMillis::new(row.last_checked),
        last_refused: moment(row.last_refused),
    })
}

fn unknown_key(row: &unknown::Model) -> Result<UnknownKey, StoreError> {
    Ok(UnknownKey {
        limit_key: text(&row.limit_key)?,
        asked: unsigned(row.asked),
        first_asked: UtcMillis::new(row.first_asked),
        last_asked: UtcMillis::new(row.last_asked),
    })
}
