//! The catalogue compiled for reading: one immutable value, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::known::KnownOrg;
use crate::domain::effective::{Effective, effective};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::Plan;
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;

/// Limit keys and tiers, as they were at one revision.
pub struct Catalogue {
    limit_keys: HashMap<LimitKeyName, Arc<LimitKey>, RandomState>,
    tiers: HashMap<TierName, HashMap<LimitKeyName, Value, RandomState>, RandomState>,
}

impl Catalogue {
    /// Compiles a plan.
    pub fn of(plan: Plan) -> Self {
        let tiers = plan.tiers.into_iter().map(|(name, tier)| (name, tier.limits.into_iter().collect()));
        let limit_keys = plan.limit_keys.into_iter().map(|(name, limit_key)| (name, Arc::new(limit_key)));
        Self { limit_keys: limit_keys.collect(), tiers: tiers.collect() }
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

    /// The value that applies to an org.
    pub fn effective(&self, org: &KnownOrg, limit_key: &LimitKey, now: UtcMillis) -> Effective {
        let tier = self.tiers.get(org.tier).and_then(|values| values.get(&limit_key.name)).copied();
        let overrides = org.overrides().iter().filter(|candidate| candidate.limit_key == limit_key.name);
        effective(limit_key.default, tier, overrides, now)
    }
}
