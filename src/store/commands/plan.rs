//! A whole plan at once.

use std::collections::{HashMap, HashSet};

use entity::{org_override, tier_limit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::super::rows::{Record, stored};
use super::super::{Command, StoreError, Stored, TierInfo, TierLimit, WriteTx, queries};
use super::limit_keys::rate_holder;
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::{Change, Plan, Tier};

/// Brings the catalogue to what a document says. What the document does not name stays; nothing is deleted.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// The document.
    pub change: Plan,
    /// Only answer what would change.
    pub dry_run: bool,
}

impl Command for ApplyPlan {
    type Output = Vec<Change>;

    /// What the caller expects is the revision of the catalogue as a whole.
    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        tx.context().expected.check(Some(tx.revision()))?;
        let current = queries::plan(tx.db()).await?;
        let target = current.merged_with(&self.change);
        let changes = current.changes_to(&target);
        let mut issues = target.contradictions();
        issues.extend(overridden_kinds(tx, &changes).await?);
        if !issues.is_empty() {
            return Err(StoreError::Invalid(issues));
        }
        if !self.dry_run {
            write(tx, &changes).await?;
        }
        Ok(changes)
    }
}

/// The limit keys that exist and whose values are to take another form.
fn reformed(changes: &[Change]) -> impl Iterator<Item = &LimitKey> {
    changes.iter().filter_map(|change| match change {
        Change::LimitKey { before: Some(before), after } if !before.default.fits(after.kind()) => Some(after),
        Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } => None,
    })
}

async fn overridden_kinds(tx: &WriteTx, changes: &[Change]) -> Result<Vec<Issue>, StoreError> {
    let mut issues = Vec::new();
    for limit_key in reformed(changes) {
        let held = org_override::Entity::find().filter(org_override::Column::LimitKey.eq(limit_key.name.as_str())).limit(1);
        if let Some(row) = held.one(tx.db()).await? {
            let message = format!("cannot change while an override of the org {} holds a value of the old form", row.org);
            issues.push(Issue::new(format!("limitKeys.{}.kind", limit_key.name), message));
        }
    }
    for limit_key in changes.iter().filter_map(no_longer_rate) {
        if let Some(key) = rate_holder(tx, &limit_key.name).await? {
            let message = format!("cannot change while the API key {key} has a rate of its own");
            issues.push(Issue::new(format!("limitKeys.{}.kind", limit_key.name), message));
        }
    }
    Ok(issues)
}

/// The limit key, if it is to be of another kind than rate. Its values may well keep their form.
fn no_longer_rate(change: &Change) -> Option<&LimitKey> {
    match change {
        Change::LimitKey { before: Some(before), after } if before.kind() == Kind::Rate && after.kind() != Kind::Rate => {
            Some(after)
        }
        Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } => None,
    }
}

async fn write(tx: &mut WriteTx, changes: &[Change]) -> Result<(), StoreError> {
    let mut retired = retire_values(tx, changes).await?;
    for limit_key in replacements_first(tx, changes).await? {
        let before = tx.find::<LimitKey>(limit_key.name.as_str()).await?;
        tx.put(before, limit_key.clone()).await?;
    }
    for change in changes {
        match change {
            Change::LimitKey { .. } => {}
            Change::Tier { name, after, .. } => write_tier(tx, name, after).await?,
            Change::Limit { tier, limit_key, after, .. } => {
                let value = TierLimit { tier: tier.clone(), limit_key: limit_key.clone(), value: *after };
                match retired.remove(&value.key()) {
                    Some(before) => tx.restore(&before, value).await.map(|_| ())?,
                    None => write_value(tx, value).await?,
                }
            }
        }
    }
    Ok(())
}

async fn write_tier(tx: &mut WriteTx, name: &TierName, tier: &Tier) -> Result<(), StoreError> {
    let before = tx.find::<TierInfo>(name.as_str()).await?;
    let (display_name, description) = (tier.name.clone(), tier.description.clone());
    tx.put(before, TierInfo { name: name.clone(), display_name, description }).await.map(|_| ())
}

async fn write_value(tx: &mut WriteTx, value: TierLimit) -> Result<(), StoreError> {
    let before = tx.find::<TierLimit>(value.key()).await?;
    tx.put(before, value).await.map(|_| ())
}

/// Takes out the values whose form is to change, which would stand in the way of their limit keys' new kinds.
/// All of them are put back in the new form: a plan that left one out would contradict itself.
async fn retire_values(tx: &WriteTx, changes: &[Change]) -> Result<HashMap<(String, String), Stored<TierLimit>>, StoreError> {
    let mut retired = HashMap::new();
    for limit_key in reformed(changes) {
        let own = tier_limit::Column::LimitKey.eq(limit_key.name.as_str());
        for row in tier_limit::Entity::find().filter(own.clone()).all(tx.db()).await? {
            let value = stored::<TierLimit>(&row)?;
            retired.insert(value.value.key(), value);
        }
        tier_limit::Entity::delete_many().filter(own).exec(tx.db()).await?;
    }
    Ok(retired)
}

/// The limit keys to write, each after the one that replaces it, if that is new as well.
async fn replacements_first<'a>(tx: &WriteTx, changes: &'a [Change]) -> Result<Vec<&'a LimitKey>, StoreError> {
    let mut waiting: Vec<&LimitKey> = Vec::new();
    let mut ready: Vec<&LimitKey> = Vec::new();
    for change in changes {
        if let Change::LimitKey { after, .. } = change {
            waiting.push(after);
        }
    }
    let mut unwritten: HashSet<&LimitKeyName> = HashSet::new();
    for limit_key in &waiting {
        if tx.find::<LimitKey>(limit_key.name.as_str()).await?.is_none() {
            unwritten.insert(&limit_key.name);
        }
    }
    while !waiting.is_empty() {
        let is_blocked = |limit_key: &&LimitKey| replacement(limit_key).is_some_and(|name| unwritten.contains(name));
        let (blocked, free): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_blocked);
        if free.is_empty() {
            return Err(StoreError::Invalid(blocked.into_iter().map(circular).collect()));
        }
        for limit_key in &free {
            unwritten.remove(&limit_key.name);
        }
        ready.extend(free);
        waiting = blocked;
    }
    Ok(ready)
}

fn replacement(limit_key: &LimitKey) -> Option<&LimitKeyName> {
    limit_key.archived.as_ref()?.replacement.as_ref()
}

fn circular(limit_key: &LimitKey) -> Issue {
    Issue::new(format!("limitKeys.{}.replacement", limit_key.name), "replacements must not go round in a circle")
}
