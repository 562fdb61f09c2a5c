//! What can be asked of the ledger beside single counters.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement, Value};

use super::Ledger;
use super::counters::CounterKey;
use super::rows::{self, resource_of};
use crate::domain::counter::Counter;
use crate::domain::names::{LimitKeyName, OrgId, ResourceId};
use crate::domain::reservation::{Reservation, ReservationId};
use crate::domain::time::UtcMillis;
use crate::store::StoreError;

/// Where a counter stands in the list of an org's counters: by limit key, then by resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsagePlace {
    /// The limit key.
    pub limit_key: LimitKeyName,
    /// The resource; the org as a whole comes first.
    pub resource: Option<ResourceId>,
}

/// Which part of the list of an org's counters.
#[derive(Clone, Copy, Debug)]
pub struct UsagePage<'a> {
    /// Those of this limit key.
    pub only: Option<&'a LimitKeyName>,
    /// Those behind this place.
    pub after: Option<&'a UsagePlace>,
    /// How many at most.
    pub limit: u64,
}

/// A counter of the present window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterUsage {
    /// Where it stands.
    pub place: UsagePlace,
    /// The first moment of its window, in milliseconds since the epoch; 0 without one.
    pub window_start: i64,
    /// What it counts.
    pub counter: Counter,
}

/// Counters that have a row, in their order, without windows that are not the present one.
const COUNTERS_OF_ORG: &str = "SELECT limit_key, resource, window_start FROM usage \
     WHERE org = $1 AND (limit_key, resource) > ($2, $3) AND limit_key >= $4 AND limit_key <= $5 \
     AND (window_start = 0 OR (window_start <= $6 AND window_end > $6)) \
     ORDER BY limit_key, resource, window_start LIMIT $7";
/// Sorts after every name.
const LAST: &str = "~";

impl Ledger {
    /// The reservation with this id.
    pub async fn reservation(&self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        Ok(rows::reservations(self.store.reader(), &[id]).await?.pop())
    }

    /// Counters of an org, by limit key and resource: those that were ever taken from.
    pub async fn counters_of(
        &self,
        org: &OrgId,
        page: UsagePage<'_>,
        now: UtcMillis,
        max_stale: Duration,
    ) -> Result<Vec<CounterUsage>, StoreError> {
        let UsagePage { only, after, limit } = page;
        let (after_key, after_resource) =
            after.map_or(("", ""), |place| (place.limit_key.as_str(), place.resource.as_ref().map_or("", ResourceId::as_str)));
        let (first, last) = only.map_or(("", LAST), |name| (name.as_str(), name.as_str()));
        let values: [Value; 7] = [
            org.as_str().into(),
            after_key.into(),
            after_resource.into(),
            first.into(),
            last.into(),
            now.get().into(),
            limit.into(),
        ];
        let db = self.store.reader();
        let statement = Statement::from_sql_and_values(db.get_database_backend(), COUNTERS_OF_ORG, values);
        let mut places = Vec::new();
        for row in db.query_all_raw(statement).await? {
            let limit_key: String = row.try_get_by_index(0)?;
            let limit_key = LimitKeyName::parse(limit_key).map_err(|invalid| StoreError::Internal(invalid.0))?;
            places.push((UsagePlace { limit_key, resource: resource_of(row.try_get_by_index(1)?)? }, row.try_get_by_index(2)?));
        }
        self.with_counters(org, places, max_stale).await
    }

    async fn with_counters(
        &self,
        org: &OrgId,
        places: Vec<(UsagePlace, i64)>,
        max_stale: Duration,
    ) -> Result<Vec<CounterUsage>, StoreError> {
        let key = |(UsagePlace { limit_key, resource }, window_start): &(UsagePlace, i64)| CounterKey {
            org: org.clone(),
            limit_key: limit_key.clone(),
            resource: resource.clone(),
            window_start: *window_start,
        };
        let counters = self.counters(places.iter().map(key).collect(), max_stale).await?;
        let listed = places.into_iter().zip(counters);
        Ok(listed.map(|((place, window_start), counter)| CounterUsage { place, window_start, counter }).collect())
    }
}
