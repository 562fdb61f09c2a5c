//! The catalogue compiled for reading: one immutable value, swapped whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::known::KnownOrg;
use crate::domain::effective::{Effective, effective};
use crate::domain::endpoints::RemovedEndpoints;
use crate::domain::limit_key::{LimitKey, Per, Rule};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::oddity::upwards;
use crate::domain::plan::Plan;
use crate::domain::schedule::{Limit, Said, Turn};
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;
use crate::store::{Store, StoreError};

/// Limit keys and tiers, as they were at one revision.
pub struct Catalogue {
    limit_keys: HashMap<LimitKeyName, Arc<LimitKey>, RandomState>,
    tiers: HashMap<TierName, HashMap<LimitKeyName, Limit, RandomState>, RandomState>,
    per_request: PerRequest,
    removed: RemovedEndpoints,
    /// The tiers from the lowest to the highest, once somebody asked: until something that is scheduled begins, and after each of those.
    upwards: Vec<(UtcMillis, OnceLock<Vec<TierName>>)>,
}

/// The limit keys that every call through the gate takes, by name.
#[derive(Default)]
pub struct PerRequest {
    /// The sliding windows of its API key.
    pub rates: Vec<Arc<LimitKey>>,
    /// The quotas of its org.
    pub quotas: Vec<Arc<LimitKey>>,
}

impl PerRequest {
    fn of<'a>(limit_keys: impl Iterator<Item = &'a Arc<LimitKey>>) -> Self {
        let mut of = Self::default();
        for limit_key in limit_keys.filter(|limit_key| limit_key.archived.is_none() && limit_key.per == Per::Org) {
            match limit_key.rule {
                Rule::Rate { per_request: true, .. } => of.rates.push(Arc::clone(limit_key)),
                Rule::Quota { per_request: true, .. } => of.quotas.push(Arc::clone(limit_key)),
                Rule::Quota { .. }
                | Rule::Rate { .. }
                | Rule::Count
                | Rule::Retention
                | Rule::Interval { .. }
                | Rule::Feature => {}
            }
        }
        of
    }
}

impl Catalogue {
    /// Reads everything that there is, and the revision that it has at least.
    pub async fn read(store: &Store) -> Result<(Self, u64), StoreError> {
        let (plan, revision) = store.plan().await?;
        let removed = store.all_removed_endpoints().await?;
        let removed = removed.into_iter().map(|endpoint| (endpoint.method, endpoint.path, endpoint.replacement));
        Ok((Self::of(plan, RemovedEndpoints::of(removed)), revision))
    }

    /// Compiles a plan, with the endpoints that the product no longer has.
    pub fn of(plan: Plan, removed: RemovedEndpoints) -> Self {
        let upwards = epochs(&plan).into_iter().map(|moment| (moment, OnceLock::new())).collect();
        let tiers = plan.tiers.into_iter().map(|(name, tier)| (name, tier.limits.into_iter().collect()));
        let by_name: Vec<Arc<LimitKey>> = plan.limit_keys.into_values().map(Arc::new).collect();
        let per_request = PerRequest::of(by_name.iter());
        let limit_keys = by_name.into_iter().map(|limit_key| (limit_key.name.clone(), limit_key));
        Self { limit_keys: limit_keys.collect(), tiers: tiers.collect(), per_request, removed, upwards }
    }

    /// What every call through the gate takes.
    pub const fn per_request(&self) -> &PerRequest {
        &self.per_request
    }

    /// The endpoints that the product no longer has.
    pub const fn removed(&self) -> &RemovedEndpoints {
        &self.removed
    }

    /// The limit key of this name.
    pub fn limit_key(&self, name: &LimitKeyName) -> Option<&Arc<LimitKey>> {
        self.limit_keys.get(name)
    }

    /// Every limit key that is not archived, by name.
    pub fn active_limit_keys(&self) -> Vec<&Arc<LimitKey>> {
        let mut active: Vec<&Arc<LimitKey>> = self.limit_keys.values().filter(|key| key.archived.is_none()).collect();
        active.sort_by(|a, b| a.name.cmp(&b.name));
        active
    }

    /// Whether there is a tier of this name.
    pub fn has_tier(&self, name: &TierName) -> bool {
        self.tiers.contains_key(name)
    }

    fn limit(&self, tier: &TierName, limit_key: &LimitKeyName) -> Option<&Limit> {
        self.tiers.get(tier)?.get(limit_key)
    }

    /// What a tier says of a limit key at `now`.
    pub fn tier_value(&self, tier: &TierName, limit_key: &LimitKeyName, now: UtcMillis) -> Option<Value> {
        self.limit(tier, limit_key).map(|limit| limit.at(now))
    }

    /// What every tier says of a limit key at `now`, from the lowest tier to the highest.
    pub fn tiers_upwards(&self, limit_key: &LimitKeyName, now: UtcMillis) -> impl Iterator<Item = (&TierName, Option<Value>)> {
        let epoch = self.upwards.iter().rev().find(|(begins, _)| *begins <= now);
        let ordered = epoch.map(|(_, ordered)| ordered.get_or_init(|| self.order(now)));
        ordered.into_iter().flatten().map(move |tier| (tier, self.tier_value(tier, limit_key, now)))
    }

    fn order(&self, now: UtcMillis) -> Vec<TierName> {
        let keys = self.active_limit_keys();
        let value = |values: &HashMap<LimitKeyName, Limit, RandomState>, key: &LimitKey| {
            values.get(&key.name).map_or(key.default, |limit| limit.at(now))
        };
        let column = |values| keys.iter().map(|key| value(values, key)).collect();
        let columns = self.tiers.iter().map(|(name, values)| (name, column(values))).collect();
        upwards(columns).into_iter().cloned().collect()
    }

    /// The value that applies to an org.
    pub fn effective(&self, org: &KnownOrg, limit_key: &LimitKey, now: UtcMillis) -> Effective {
        let value = self.limit(org.tier, &limit_key.name).map(|limit| limit.at(now));
        effective_with(value, org, limit_key, now)
    }

    /// The same, with what the org's tier says. The org is known as it is at `now`.
    pub fn grounds(&self, org: &KnownOrg, limit_key: &LimitKey, now: UtcMillis) -> (Said, Effective) {
        let limit = self.limit(org.tier, &limit_key.name);
        let value = limit.map(|limit| limit.at(now));
        let is_steady = org.scheduled().is_empty() && limit.is_none_or(|limit| limit.scheduled.is_empty());
        let turns = if is_steady { Vec::new() } else { self.turns(org, &limit_key.name) };
        (Said { value, turns }, effective_with(value, org, limit_key, now))
    }

    /// What changes by itself of what the org's tier says: at each moment that the org has another tier, or its tier another value.
    fn turns(&self, org: &KnownOrg, limit_key: &LimitKeyName) -> Vec<Turn> {
        let before = org.tier_at(UtcMillis::new(i64::MIN));
        let own = org.scheduled().iter().map(|step| step.starts_at);
        let tiers = std::iter::once(before).chain(org.scheduled().iter().map(|step| step.to));
        let of_values = tiers.filter_map(|tier| self.limit(tier, limit_key)).flat_map(|limit| limit.scheduled.steps());
        let moments: BTreeSet<UtcMillis> = own.chain(of_values.map(|step| step.starts_at)).collect();
        let said_at = |moment: UtcMillis| (org.tier_at(moment), self.tier_value(org.tier_at(moment), limit_key, moment));
        let mut last = (before, self.limit(before, limit_key).map(|limit| limit.value));
        let mut turns = Vec::new();
        for starts_at in moments {
            let said = said_at(starts_at);
            if said != last {
                turns.push(Turn { starts_at, tier: said.0.clone(), value: said.1 });
                last = said;
            }
        }
        turns
    }
}

/// The value that applies to an org whose tier says this.
fn effective_with(said: Option<Value>, org: &KnownOrg, limit_key: &LimitKey, now: UtcMillis) -> Effective {
    let overrides = org.overrides().iter().filter(|candidate| candidate.limit_key == limit_key.name);
    effective(limit_key.default, said, overrides, now)
}

/// The first moment there is, and those at which a value changes by itself.
fn epochs(plan: &Plan) -> BTreeSet<UtcMillis> {
    let limits = plan.tiers.values().flat_map(|tier| tier.limits.values());
    let moments = limits.flat_map(|limit| limit.scheduled.steps()).map(|step| step.starts_at);
    moments.chain([UtcMillis::new(i64::MIN)]).collect()
}
