//! What is only odd about a plan: it is allowed, and probably not meant.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::Bound;
use super::issue::Issue;
use super::limit_key::{LimitKey, Rule};
use super::names::{LimitKeyName, TierName};
use super::plan::{Plan, Tier};
use super::time::UtcMillis;
use super::value::Value;

/// Values that are compared at most, so that a plan of very many tiers holds nobody up: some milliseconds.
const MAX_COMPARISONS: usize = 4_000_000;

/// How much a value grants: of two values of one limit key, the greater number grants more.
const fn granted(value: Value) -> u64 {
    match value {
        Value::Max(Bound::Limited(number)) | Value::Days(Bound::Limited(number)) => number.get(),
        Value::Max(Bound::Unlimited) | Value::Days(Bound::Unlimited) => u64::MAX,
        // The smaller the smallest interval, the more often something may happen.
        Value::Min(min) => u64::MAX.saturating_sub(min.get()),
        Value::Enabled(enabled) => enabled as u64,
    }
}

/// The same roughly, so that differences of several limit keys can be added up: each doubling counts one.
fn magnitude(value: Value) -> i64 {
    let doublings = |number: u64| i64::from(u64::BITS.saturating_sub(number.leading_zeros()));
    match value {
        Value::Min(min) => doublings(min.get()).saturating_neg(),
        Value::Max(_) | Value::Days(_) | Value::Enabled(_) => doublings(granted(value)),
    }
}

/// A tier's values, in the order of the limit keys.
struct Column<'a> {
    name: &'a TierName,
    values: Vec<Value>,
}

impl Column<'_> {
    /// Whether this tier is higher than the other: whether it grants more of more limit keys, or, of as many, more altogether.
    fn is_above(&self, other: &Self) -> bool {
        let pairs = || self.values.iter().zip(&other.values);
        let lead = pairs().fold(0_i64, |lead, (own, other)| {
            lead.saturating_add(match granted(*own).cmp(&granted(*other)) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            })
        });
        let altogether =
            |lead: i64, (own, other): (&Value, &Value)| lead.saturating_add(magnitude(*own).saturating_sub(magnitude(*other)));
        lead > 0 || (lead == 0 && pairs().fold(0_i64, altogether) > 0)
    }
}

impl Plan {
    /// What is odd at `now`: a limit key that no tier speaks of, a higher tier that grants less, an unlimited rate over a finite quota.
    ///
    /// Of two tiers that is the higher which grants more of more limit keys; of as many, the one that grants more altogether.
    pub fn oddities(&self, now: UtcMillis) -> Vec<Issue> {
        let active: Vec<&LimitKey> = self.limit_keys.values().filter(|limit_key| limit_key.archived.is_none()).collect();
        let mut found = self.unspoken_of(&active);
        let pairs = self.tiers.len().saturating_mul(self.tiers.len());
        if pairs.saturating_mul(active.len()) > MAX_COMPARISONS {
            found.push(Issue::new("tiers", "are too many to be compared with each other"));
            return found;
        }
        found.extend(self.less_above(&active, now));
        for (name, tier) in &self.tiers {
            found.extend(unlimited_rates(name, tier, &active, now));
        }
        found
    }

    fn unspoken_of(&self, active: &[&LimitKey]) -> Vec<Issue> {
        let spoken_of: BTreeSet<&LimitKeyName> = self.tiers.values().flat_map(|tier| tier.limits.keys()).collect();
        let is_odd = |limit_key: &&&LimitKey| !self.tiers.is_empty() && !spoken_of.contains(&limit_key.name);
        let odd = |limit_key: &&LimitKey| {
            Issue::new(format!("limitKeys.{}", limit_key.name), "is in no tier: its default applies to every org")
        };
        active.iter().filter(is_odd).map(odd).collect()
    }

    fn less_above(&self, active: &[&LimitKey], now: UtcMillis) -> Vec<Issue> {
        let column = |(name, tier)| Column { name, values: active.iter().map(|key| value_of(tier, key, now)).collect() };
        let columns: Vec<Column<'_>> = self.tiers.iter().map(column).collect();
        let mut less: BTreeMap<(&TierName, usize), Vec<&str>> = BTreeMap::new();
        for higher in &columns {
            for lower in columns.iter().filter(|lower| higher.is_above(lower)) {
                let pairs = higher.values.iter().zip(&lower.values).enumerate();
                for (at, _) in pairs.filter(|(_, (higher, lower))| granted(**higher) < granted(**lower)) {
                    less.entry((higher.name, at)).or_default().push(lower.name.as_str());
                }
            }
        }
        let odd = |((tier, at), lower): ((&TierName, usize), Vec<&str>)| {
            let path = format!("tiers.{tier}.limits.{}", active.get(at)?.name);
            Some(Issue::new(path, format!("grants less than in {}, which is lower on the whole", lower.join(", "))))
        };
        less.into_iter().filter_map(odd).collect()
    }
}

/// Tiers with their values in one order of limit keys, from the lowest to the highest: the lower a tier, the fewer it is above.
///
/// Tiers that are too many to be compared are ordered by what they grant altogether.
pub fn upwards(tiers: Vec<(&TierName, Vec<Value>)>) -> Vec<&TierName> {
    let columns: Vec<Column<'_>> = tiers.into_iter().map(|(name, values)| Column { name, values }).collect();
    let width = columns.first().map_or(0, |column| column.values.len());
    let is_few = columns.len().saturating_mul(columns.len()).saturating_mul(width) <= MAX_COMPARISONS;
    let rank = |column: &Column<'_>| {
        if is_few {
            i64::try_from(columns.iter().filter(|other| column.is_above(other)).count()).unwrap_or(i64::MAX)
        } else {
            column.values.iter().fold(0_i64, |sum, value| sum.saturating_add(magnitude(*value)))
        }
    };
    let mut ranked: Vec<(i64, &TierName)> = columns.iter().map(|column| (rank(column), column.name)).collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, name)| name).collect()
}

fn value_of(tier: &Tier, limit_key: &LimitKey, now: UtcMillis) -> Value {
    tier.value_of(&limit_key.name, now).unwrap_or(limit_key.default)
}

/// Rates without a limit beside a quota of the same requests, which one burst can use up.
fn unlimited_rates(name: &TierName, tier: &Tier, active: &[&LimitKey], now: UtcMillis) -> Vec<Issue> {
    let finite_quota = |of_rate: bool| {
        active.iter().find(|other| match other.rule {
            Rule::Quota { per_request, .. } => {
                per_request == of_rate && matches!(value_of(tier, other, now), Value::Max(Bound::Limited(_)))
            }
            Rule::Count | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => false,
        })
    };
    let quotas = [finite_quota(false), finite_quota(true)];
    let odd = |limit_key: &&LimitKey| {
        let Rule::Rate { per_request, .. } = limit_key.rule else { return None };
        let quota = quotas.get(usize::from(per_request)).copied().flatten()?;
        let message = format!("is unlimited over the finite quota {}, which one burst can use up", quota.name);
        let is_unlimited = value_of(tier, limit_key, now) == Value::Max(Bound::Unlimited);
        is_unlimited.then(|| Issue::new(format!("tiers.{name}.limits.{}", limit_key.name), message))
    };
    active.iter().filter_map(odd).collect()
}

#[cfg(test)]
#[path = "oddity_tests.rs"]
mod tests;
