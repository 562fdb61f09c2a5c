//! A plan as one document: limit keys, tiers and their values; what differs between two plans.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::issue::Issue;
use super::limit_key::{Kind, LimitKey, Rule};
use super::names::{LimitKeyName, TierName};
use super::schedule::Limit;
use super::time::UtcMillis;
use super::value::Value;

/// A tier: what it is called, and its value for each limit key that it says something about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its values.
    pub limits: BTreeMap<LimitKeyName, Limit>,
}

/// Everything that the catalogue says, in a stable order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The limit keys, by name.
    pub limit_keys: BTreeMap<LimitKeyName, LimitKey>,
    /// The tiers, by name.
    pub tiers: BTreeMap<TierName, Tier>,
}

impl Tier {
    /// What it says about a limit key at `now`, if it says anything.
    pub fn value_of(&self, limit_key: &LimitKeyName, now: UtcMillis) -> Option<Value> {
        self.limits.get(limit_key).map(|limit| limit.at(now))
    }
}

impl Plan {
    /// This plan with all that `change` says in place of what it says; what `change` does not name stays.
    #[must_use]
    pub fn merged_with(&self, change: &Self) -> Self {
        let mut merged = self.clone();
        for (name, limit_key) in &change.limit_keys {
            let mut limit_key = limit_key.clone();
            limit_key.keep_archive_date(self.limit_keys.get(name));
            merged.limit_keys.insert(name.clone(), limit_key);
        }
        for (name, tier) in &change.tiers {
            let kept = merged.tiers.entry(name.clone()).or_default();
            kept.name.clone_from(&tier.name);
            kept.description.clone_from(&tier.description);
            kept.limits.extend(tier.limits.iter().map(|(limit_key, limit)| (limit_key.clone(), limit.clone())));
        }
        merged
    }

    /// What `change` says and nothing else, as it would be if it followed on this plan.
    #[must_use]
    pub fn replaced_by(&self, change: &Self) -> Self {
        let mut replaced = change.clone();
        for (name, limit_key) in &mut replaced.limit_keys {
            limit_key.keep_archive_date(self.limit_keys.get(name));
        }
        replaced
    }

    /// What a tier says about a limit key at `now`, if it says anything.
    pub fn value_in(&self, tier: &TierName, limit_key: &LimitKeyName, now: UtcMillis) -> Option<Value> {
        self.tiers.get(tier)?.value_of(limit_key, now)
    }

    /// Every value whose limit key does not exist or takes another form, and every replacement that is none.
    pub fn contradictions(&self) -> Vec<Issue> {
        let mut issues: Vec<Issue> = self.limit_keys.values().filter_map(|key| self.bad_replacement(key)).collect();
        for (tier_name, tier) in &self.tiers {
            for (name, limit) in &tier.limits {
                let path = format!("tiers.{tier_name}.limits.{name}");
                match self.limit_keys.get(name) {
                    None => issues.push(Issue::new(path, "there is no such limit key")),
                    Some(limit_key) => issues.extend(misfits(&path, limit, limit_key.kind())),
                }
            }
        }
        issues
    }

    fn bad_replacement(&self, limit_key: &LimitKey) -> Option<Issue> {
        let replacement = limit_key.archived.as_ref()?.replacement.as_ref()?;
        let message = match (*replacement == limit_key.name, self.limit_keys.contains_key(replacement)) {
            (true, _) => "must be another limit key",
            (false, false) => "there is no such limit key",
            (false, true) if self.is_replaced_by_itself(limit_key) => "replacements must not go round in a circle",
            (false, true) => return None,
        };
        Some(Issue::new(format!("limitKeys.{}.replacement", limit_key.name), message))
    }

    /// Whether its replacement's replacement, and so on, is the limit key itself.
    fn is_replaced_by_itself(&self, limit_key: &LimitKey) -> bool {
        let next = |key: &LimitKey| self.limit_keys.get(key.archived.as_ref()?.replacement.as_ref()?);
        let mut seen = BTreeSet::from([&limit_key.name]);
        let mut current = limit_key;
        while let Some(following) = next(current) {
            if !seen.insert(&following.name) {
                return following.name == limit_key.name;
            }
            current = following;
        }
        false
    }

    /// What has to change to get from here to `target`, in a stable order: limit keys, then each tier and its values.
    pub fn changes_to(&self, target: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for name in names_of(&self.limit_keys, &target.limit_keys) {
            match (self.limit_keys.get(name), target.limit_keys.get(name)) {
                (before, Some(after)) if before != Some(after) => {
                    changes.push(Change::LimitKey { before: before.cloned(), after: after.clone() });
                }
                (Some(before), None) => changes.push(Change::Gone(Gone::LimitKey(before.clone()))),
                (_, _) => {}
            }
        }
        let none = BTreeMap::new();
        for name in names_of(&self.tiers, &target.tiers) {
            let (before, after) = (self.tiers.get(name), target.tiers.get(name));
            changes.extend(changed_tier(name, before, after));
            let limits = [before, after].map(|tier| tier.map_or(&none, |tier| &tier.limits));
            changes.extend(changed_limits(name, limits));
        }
        changes
    }
}

/// The values that this kind does not take.
fn misfits(path: &str, limit: &Limit, kind: Kind) -> Vec<Issue> {
    let misfits = limit.values().filter(|(_, value)| !value.fits(kind));
    let message = || format!("must be {} for a limit key of kind {kind}", kind.value_form());
    misfits.map(|(place, _)| Issue::new(format!("{path}{place}"), message())).collect()
}

fn names_of<'a, K: Ord, T>(one: &'a BTreeMap<K, T>, other: &'a BTreeMap<K, T>) -> BTreeSet<&'a K> {
    one.keys().chain(other.keys()).collect()
}

fn changed_tier(name: &TierName, before: Option<&Tier>, after: Option<&Tier>) -> Option<Change> {
    let texts = |tier: &Tier| (tier.name.clone(), tier.description.clone());
    match (before, after) {
        (before, Some(after)) if before.map(texts) != Some(texts(after)) => {
            Some(Change::Tier { name: name.clone(), before: before.cloned(), after: after.clone() })
        }
        (Some(before), None) => Some(Change::Gone(Gone::Tier { name: name.clone(), before: before.clone() })),
        (_, _) => None,
    }
}

type Limits = BTreeMap<LimitKeyName, Limit>;

fn changed_limits(tier: &TierName, [before, after]: [&Limits; 2]) -> Vec<Change> {
    let change = |limit_key: &LimitKeyName| {
        let (tier, limit_key) = (tier.clone(), limit_key.clone());
        match (before.get(&limit_key).cloned(), after.get(&limit_key).cloned()) {
            (before, Some(after)) if before.as_ref() != Some(&after) => Some(Change::Limit { tier, limit_key, before, after }),
            (Some(before), None) => Some(Change::Gone(Gone::Limit { tier, limit_key, before })),
            (_, _) => None,
        }
    };
    names_of(before, after).into_iter().filter_map(change).collect()
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A limit key is new or other.
    LimitKey {
        /// As it is.
        before: Option<LimitKey>,
        /// As it is to be.
        after: LimitKey,
    },
    /// A tier is new, or its texts are other.
    Tier {
        /// Which.
        name: TierName,
        /// As it is.
        before: Option<Tier>,
        /// As it is to be.
        after: Tier,
    },
    /// A tier's value is new or other.
    Limit {
        /// Whose.
        tier: TierName,
        /// Of what.
        limit_key: LimitKeyName,
        /// As it is.
        before: Option<Limit>,
        /// As it is to be.
        after: Limit,
    },
    /// Something is there no more.
    Gone(Gone),
}

/// What is to be there no more, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A limit key.
    LimitKey(LimitKey),
    /// A tier; its values are changes of their own.
    Tier {
        /// Which.
        name: TierName,
        /// As it is.
        before: Tier,
    },
    /// A tier's value.
    Limit {
        /// Whose.
        tier: TierName,
        /// Of what.
        limit_key: LimitKeyName,
        /// As it is.
        before: Limit,
    },
}

impl Change {
    /// Where in the document it is.
    pub fn path(&self) -> String {
        match self {
            Self::LimitKey { after: LimitKey { name, .. }, .. } | Self::Gone(Gone::LimitKey(LimitKey { name, .. })) => {
                format!("limitKeys.{name}")
            }
            Self::Tier { name, .. } | Self::Gone(Gone::Tier { name, .. }) => format!("tiers.{name}"),
            Self::Limit { tier, limit_key, .. } | Self::Gone(Gone::Limit { tier, limit_key, .. }) => {
                format!("tiers.{tier}.limits.{limit_key}")
            }
        }
    }
}

/// A limit key as it stands in a document and in an answer: the name is the key that it stands under.
impl Serialize for LimitKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind())?;
        map.serialize_entry("per", self.per.as_str())?;
        match &self.rule {
            Rule::Quota { window, label, per_request } => {
                map.serialize_entry("window", window)?;
                map.serialize_entry("label", label)?;
                map.serialize_entry("perRequest", per_request)?;
            }
            Rule::Rate { window_seconds, bucket, per_request } => {
                map.serialize_entry("windowSeconds", window_seconds)?;
                map.serialize_entry("bucket", bucket)?;
                map.serialize_entry("perRequest", per_request)?;
            }
            Rule::Interval { unit } => map.serialize_entry("unit", unit)?,
            Rule::Count | Rule::Retention | Rule::Feature => {}
        }
        map.serialize_entry("default", &self.default)?;
        if let Some(thresholds) = &self.thresholds {
            map.serialize_entry("thresholds", thresholds)?;
        }
        map.serialize_entry("description", &self.description)?;
        if let Some(archived) = &self.archived {
            map.serialize_entry("archived", &true)?;
            if let Some(replacement) = &archived.replacement {
                map.serialize_entry("replacement", replacement)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
