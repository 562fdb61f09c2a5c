//! The plan that the oracle's orgs live under, and which cap their tier and overrides come to.

use serde_json::{Map, Value, json};

use super::calendar::Unit;

/// A cap; none is unlimited.
pub(super) type Cap = Option<u64>;

/// A limit key.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The calendar unit of a quota; none for a count.
    pub(super) unit: Option<Unit>,
    pub(super) per_project: bool,
    pub(super) default: u64,
}

const fn key(name: &'static str, unit: Option<Unit>, per_project: bool, default: u64) -> Key {
    Key { name, unit, per_project, default }
}

pub(super) const SEATS: usize = 0;
pub(super) const BOTS: usize = 2;

/// All limit keys. An index into this is what the oracle calls them by.
pub(super) const KEYS: [Key; 8] = [
    key("seats", None, false, 3),
    key("campaigns", None, true, 2),
    key("bots", None, false, 6),
    key("calls", Some(Unit::Minute), false, 5),
    key("exports", Some(Unit::Hour), true, 3),
    key("reports", Some(Unit::Day), false, 4),
    key("digests", Some(Unit::Week), false, 2),
    key("mails", Some(Unit::Month), false, 7),
];

/// All tiers and the cap of each; the last is without caps. A tier says nothing about the limit key of its own index.
pub(super) const TIERS: [(&str, Cap); 5] =
    [("nano", Some(1)), ("small", Some(4)), ("medium", Some(9)), ("large", Some(25)), ("open", None)];

/// A cap as it is written.
pub(super) fn written(cap: Cap) -> Value {
    cap.map_or_else(|| json!({"unlimited": true}), |max| json!({"max": max}))
}

fn tier_value(tier: usize, key: usize) -> Option<Cap> {
    (tier != key).then_some(TIERS[tier].1)
}

/// The plan as a catalogue.
pub(super) fn catalogue() -> Value {
    let limit_key = |key: &Key| {
        let per = if key.per_project { "project" } else { "org" };
        let mut body = json!({"kind": "count", "per": per, "default": {"max": key.default}});
        if let Some(unit) = key.unit {
            body["kind"] = json!("quota");
            body["window"] = json!(unit.name());
            body["label"] = json!(format!("{} label", key.name));
        }
        (key.name.to_owned(), body)
    };
    let tier = |(index, (name, _)): (usize, &(&str, Cap))| {
        let said =
            KEYS.iter().enumerate().filter_map(|(key, one)| Some((one.name.to_owned(), written(tier_value(index, key)?))));
        ((*name).to_owned(), json!({"name": name, "limits": said.collect::<Map<_, _>>()}))
    };
    let limit_keys: Map<_, _> = KEYS.iter().map(limit_key).collect();
    let tiers: Map<_, _> = TIERS.iter().enumerate().map(tier).collect();
    json!({"limitKeys": limit_keys, "tiers": tiers})
}

/// A value for one org beside its tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Override {
    pub(super) id: String,
    pub(super) key: usize,
    /// Whether it replaces; otherwise it adds.
    pub(super) is_set: bool,
    pub(super) cap: Cap,
    /// The first moment that it no longer applies at.
    pub(super) until: Option<i64>,
}

/// What an org has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) tier: usize,
    pub(super) overrides: Vec<Override>,
}

/// What applies to an org for one limit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) cap: Cap,
    pub(super) tier: &'static str,
    pub(super) source: &'static str,
}

impl Plan {
    pub(super) const fn of(tier: usize) -> Self {
        Self { tier, overrides: Vec::new() }
    }

    /// The `set` override, else the tier's value, else the default; and all that is added. There is never more than one `set`.
    pub(super) fn standing(&self, key: usize, now: i64) -> Standing {
        let active = |one: &&Override| one.key == key && one.until.is_none_or(|until| now < until);
        let (sets, adds): (Vec<_>, Vec<_>) = self.overrides.iter().filter(active).partition(|one| one.is_set);
        let tier_value = tier_value(self.tier, key);
        let base = sets.first().map(|set| set.cap).or(tier_value).unwrap_or(Some(KEYS[key].default));
        let cap = adds.iter().fold(base, |sum, add| Some(sum? + add.cap?));
        let is_overridden = !sets.is_empty() || !adds.is_empty();
        let source = if is_overridden { "override" } else { tier_value.map_or("default", |_| "tier") };
        Standing { cap, tier: TIERS[self.tier].0, source }
    }
}
