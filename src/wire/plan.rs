//! A plan as one document, in JSON or YAML.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::entries::Entries;
use super::limit_key::LimitKeyBody;
use super::{Issues, parse};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, MAX_DESCRIPTION, MAX_LABEL, WrittenLimitKey, check_text};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::{Plan, Tier};
use crate::domain::schedule::WrittenLimit;
use crate::domain::time::UtcMillis;

/// A catalogue: limit keys, and tiers with their values. What it does not name stays as it is.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct PlanDocument {
    /// The limit keys, by name.
    #[deserr(default)]
    #[schema(value_type = BTreeMap<LimitKeyName, LimitKeyBody>, required = false)]
    pub limit_keys: Entries<LimitKeyName, LimitKeyBody>,
    /// The tiers, by name.
    #[deserr(default)]
    #[schema(value_type = BTreeMap<TierName, TierDocument>, required = false)]
    pub tiers: Entries<TierName, TierDocument>,
}

/// A tier with its values.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct TierDocument {
    /// For people; at most 64 characters. The tier's key when left out.
    #[deserr(default)]
    #[schema(max_length = 64)]
    pub name: Option<String>,
    /// For people; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    pub description: Option<String>,
    /// The tier's value for each limit key that it says something about.
    #[deserr(default)]
    #[schema(value_type = BTreeMap<LimitKeyName, WrittenLimit>, required = false)]
    pub limits: Entries<LimitKeyName, WrittenLimit>,
}

impl PlanDocument {
    /// Reads a document, or says everything that is wrong with it.
    /// Values of limit keys that the document itself does not hold are read by the kinds in `known`.
    pub fn read(document: Json, known: &Plan, now: UtcMillis) -> Result<Plan, Vec<Issue>> {
        parse::<Self>(document)?.into_plan(known, now)
    }

    /// The plan that the document says.
    pub fn into_plan(self, known: &Plan, now: UtcMillis) -> Result<Plan, Vec<Issue>> {
        let mut issues = self.lost_replacements(known);
        let mut plan = Plan::default();
        // Also of those that are wrong in themselves: their values are not wrong for that.
        let mut kinds: BTreeMap<LimitKeyName, Kind> =
            known.limit_keys.iter().map(|(name, limit_key)| (name.clone(), limit_key.kind())).collect();
        kinds.extend(self.limit_keys.0.iter().map(|(name, body)| (name.clone(), body.kind)));
        for (name, body) in self.limit_keys.0 {
            let prefix = format!("limitKeys.{name}.");
            match WrittenLimitKey::from(body).named(name.clone(), &prefix, now) {
                Ok(limit_key) => drop(plan.limit_keys.insert(name, limit_key)),
                Err(found) => issues.extend(found),
            }
        }
        for (name, document) in self.tiers.0 {
            let mut tier = Tier {
                name: document.name.unwrap_or_else(|| name.to_string()),
                description: document.description.unwrap_or_default(),
                limits: BTreeMap::new(),
            };
            for (field, text, max) in [("name", &tier.name, MAX_LABEL), ("description", &tier.description, MAX_DESCRIPTION)] {
                issues.extend(check_text(text, max).err().map(|invalid| invalid.at(format!("tiers.{name}.{field}"))));
            }
            for (limit_key, written) in document.limits.0 {
                let path = format!("tiers.{name}.limits.{limit_key}");
                match kinds.get(&limit_key).map(|kind| written.for_kind_at(*kind, &path)) {
                    Some(Ok(limit)) => drop(tier.limits.insert(limit_key, limit)),
                    Some(Err(found)) => issues.extend(found),
                    None => issues.push(Issue::new(path, "there is no such limit key")),
                }
            }
            plan.tiers.insert(name, tier);
        }
        if issues.is_empty() { Ok(plan) } else { Err(issues) }
    }

    /// Replacements that neither the document nor the known plan has.
    fn lost_replacements(&self, known: &Plan) -> Vec<Issue> {
        let lost = |(name, body): (&LimitKeyName, &LimitKeyBody)| {
            let replacement = body.replacement.as_ref()?;
            let is_known = self.limit_keys.0.contains_key(replacement) || known.limit_keys.contains_key(replacement);
            let message = if name == replacement { "must be another limit key" } else { "there is no such limit key" };
            (name == replacement || !is_known).then(|| Issue::new(format!("limitKeys.{name}.replacement"), message))
        };
        self.limit_keys.0.iter().filter_map(lost).collect()
    }
}
