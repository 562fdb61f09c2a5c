//! What is above its cap. It may be: a downgrade takes nothing away.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::examination::{Examination, Level};
use crate::domain::bound::Quantity;
use crate::domain::effective::effective;
use crate::domain::names::{LimitKeyName, OrgId};
use crate::domain::plan::Plan;
use crate::domain::value::Value;
use crate::store::error::StoreError;
use crate::store::queries;
use crate::store::records::OrgFacts;

/// So many counters are compared with their caps at most: each of them is asked for its org.
const COMPARED: u32 = 10_000;

/// Counters that count at `{now}`, with what is taken of them, as far as it is more than the smallest value there is.
const CANDIDATES: &str = "WITH smallest (limit_key, value) AS (SELECT name, min(value) FROM ( \
        SELECT name, default_value AS value FROM limit_key UNION ALL SELECT limit_key, value FROM tier_limit \
        UNION ALL SELECT limit_key, value FROM tier_limit_schedule \
        UNION ALL SELECT limit_key, value FROM org_override WHERE mode = 'set') AS amounts GROUP BY name), \
    taken AS (SELECT u.org, u.limit_key, u.resource, u.window_start, u.used + CAST((SELECT coalesce(sum(h.amount), 0) \
        FROM reservation h WHERE h.org = u.org AND h.limit_key = u.limit_key AND h.resource = u.resource \
        AND h.window_start = u.window_start AND h.status = 'held' AND h.expires_at > {now}) AS bigint) AS number, smallest.value \
        FROM usage u JOIN smallest ON smallest.limit_key = u.limit_key \
        WHERE u.window_end IS NULL OR ({now} >= u.window_start AND {now} < u.window_end)) \
    SELECT org, limit_key, resource, window_start, number FROM taken WHERE number > value ORDER BY org LIMIT {limit}";

/// A counter with what is taken of it.
struct Taken {
    org: String,
    limit_key: String,
    resource: String,
    window_start: i64,
    number: i64,
}

impl Examination {
    /// Notes what is above its cap. What cannot be read for it is named elsewhere.
    pub(super) async fn look_at_caps(&mut self) -> Result<(), DbErr> {
        let Ok(plan) = queries::plan(&self.db).await else {
            self.add(Level::Off, "limit_key", "", "the catalogue cannot be read");
            return Ok(());
        };
        let taken = match self.candidates().await {
            Ok(taken) => taken,
            Err(error) => return self.give_up_on("usage", error),
        };
        let mut facts: BTreeMap<String, Option<OrgFacts>> = BTreeMap::new();
        for taken in taken {
            if !facts.contains_key(&taken.org) {
                facts.clear();
                facts.insert(taken.org.clone(), self.facts(&taken.org).await.ok().flatten());
            }
            let cap = facts.get(&taken.org).and_then(Option::as_ref).and_then(|org| self.cap(&plan, org, &taken.limit_key));
            if let Some(cap) = cap.filter(|cap| i128::from(*cap) < i128::from(taken.number)) {
                let Taken { org, limit_key, resource, window_start, number } = taken;
                let says = format!("{number} is taken, above the cap of {cap}: nothing more is allowed, and nothing is lost");
                self.add(Level::Note, "usage", &format!("{org}/{limit_key}/{resource}/{window_start}"), &says);
            }
        }
        Ok(())
    }

    async fn candidates(&self) -> Result<Vec<Taken>, DbErr> {
        let sql = CANDIDATES.replace("{now}", &self.now.get().to_string()).replace("{limit}", &COMPARED.to_string());
        let rows = self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), sql)).await?;
        let taken = |row: &sea_orm::QueryResult| {
            Ok(Taken {
                org: row.try_get_by_index(0)?,
                limit_key: row.try_get_by_index(1)?,
                resource: row.try_get_by_index(2)?,
                window_start: row.try_get_by_index(3)?,
                number: row.try_get_by_index(4)?,
            })
        };
        rows.iter().map(taken).collect()
    }

    async fn facts(&self, org: &str) -> Result<Option<OrgFacts>, StoreError> {
        let org = OrgId::parse(org).map_err(|invalid| StoreError::corrupt(&invalid))?;
        Ok(queries::facts_of_orgs(&self.db, &[&org], self.now).await?.remove(&org))
    }

    /// The cap of an org; nothing when there is none.
    fn cap(&self, plan: &Plan, org: &OrgFacts, limit_key: &str) -> Option<u64> {
        let limit_key: LimitKeyName = limit_key.parse().ok()?;
        let default = plan.limit_keys.get(&limit_key)?.default;
        let tier = plan.value_in(org.tier_at(self.now), &limit_key, self.now);
        let overrides = org.overrides.iter().filter(|candidate| candidate.limit_key == limit_key);
        match effective(default, tier, overrides, self.now).value {
            Value::Max(bound) => bound.limit().map(Quantity::get),
            Value::Days(_) | Value::Min(_) | Value::Enabled(_) => None,
        }
    }
}
