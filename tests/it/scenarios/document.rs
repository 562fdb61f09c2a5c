//! Reads the plan of a scenario into the domain's types, by the domain's own rules.

use std::collections::BTreeMap;
use std::str::FromStr;

use plimsoll::domain::bound::Quantity;
use plimsoll::domain::issue::Invalid;
use plimsoll::domain::limit_key::{Archived, LimitKey, WrittenLimitKey};
use plimsoll::domain::names::LimitKeyName;
use plimsoll::domain::plan::{Plan, Tier};
use plimsoll::domain::time::UtcMillis;
use plimsoll::domain::value::WrittenValue;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    limit_keys: BTreeMap<String, Key>,
    tiers: BTreeMap<String, TierEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Key {
    kind: String,
    per: Option<String>,
    default: Option<Figure>,
    description: Option<String>,
    window: Option<String>,
    label: Option<String>,
    per_request: Option<bool>,
    window_seconds: Option<u64>,
    bucket: Option<String>,
    unit: Option<String>,
    #[serde(default)]
    archived: bool,
    replacement: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierEntry {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    limits: BTreeMap<String, Figure>,
}

/// A value as a document writes it.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    max: Option<u64>,
    days: Option<u64>,
    min: Option<u64>,
    enabled: Option<bool>,
    unlimited: Option<bool>,
}

impl Figure {
    pub(super) fn written(self) -> WrittenValue {
        let quantity = |number: Option<u64>| number.map(|number| Quantity::new(number).expect("a number in range"));
        let (max, days, min) = (quantity(self.max), quantity(self.days), quantity(self.min));
        WrittenValue { max, days, min, enabled: self.enabled, unlimited: self.unlimited }
    }
}

/// A name or an id, or the end of the test.
pub(super) fn named<T: FromStr<Err = Invalid>>(text: &str) -> T {
    text.parse().unwrap_or_else(|invalid| panic!("{text:?}: {invalid}"))
}

/// The plan that a document describes; it holds together.
pub(super) fn plan(document: &Value) -> Plan {
    let document: Document = serde_json::from_value(document.clone()).expect("a plan document");
    let limit_keys = document.limit_keys.into_iter().map(|(name, key)| (named(&name), limit_key(&name, key)));
    let limit_keys: BTreeMap<LimitKeyName, LimitKey> = limit_keys.collect();
    let tiers = document.tiers.into_iter().map(|(name, entry)| (named(&name), tier(entry, &limit_keys))).collect();
    let plan = Plan { limit_keys, tiers };
    assert_eq!(plan.contradictions(), []);
    plan
}

fn limit_key(name: &str, key: Key) -> LimitKey {
    let replacement = key.replacement.as_deref().map(named);
    let archived = key.archived.then(|| Archived { at: UtcMillis::new(0), replacement });
    let written = WrittenLimitKey {
        kind: named(&key.kind),
        per: key.per.as_deref().map(named),
        default: key.default.map(Figure::written),
        description: key.description,
        window: key.window.as_deref().map(named),
        label: key.label,
        per_request: key.per_request,
        window_seconds: key.window_seconds,
        bucket: key.bucket,
        unit: key.unit,
    };
    LimitKey { archived, ..written.named(named(name), "").expect("a limit key") }
}

fn tier(entry: TierEntry, limit_keys: &BTreeMap<LimitKeyName, LimitKey>) -> Tier {
    let limits = entry.limits.into_iter().map(|(name, figure)| {
        let name: LimitKeyName = named(&name);
        let kind = limit_keys.get(&name).expect("a limit key of the plan").kind();
        (name, figure.written().for_kind(kind).expect("a value of its kind"))
    });
    Tier { name: entry.name, description: entry.description, limits: limits.collect() }
}
