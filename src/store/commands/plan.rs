//! A whole plan at once.

use std::collections::{HashMap, HashSet};

use entity::tier_limit;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::plan_changes::{PlanChanges, plan_changes, plan_revision, reformed};
use super::super::rows::Record;
use super::super::{Command, StoreError, Stored, TierInfo, TierLimit, WriteTx, queries};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::{Change, Gone, Plan, Tier};
use crate::domain::schedule::Limit;

/// Brings the catalogue to what a document says.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// The document.
    pub change: Plan,
    /// Whether what the document does not name is deleted; otherwise it stays.
    pub prune: bool,
    /// Only answer what would change.
    pub dry_run: bool,
}

impl Command for ApplyPlan {
    type Output = PlanChanges;

    /// What the caller expects is the revision of the catalogue's last change.
    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let revision = plan_revision(tx.db(), None).await?;
        tx.context().expected.check(Some(revision))?;
        let mut found = plan_changes(tx.db(), &self.change, self.prune, (revision, tx.now())).await?;
        if !self.dry_run && !found.changes.is_empty() {
            write(tx, &found.changes).await?;
            found.revision = tx.revision();
        }
        Ok(found)
    }
}

async fn write(tx: &mut WriteTx, changes: &[Change]) -> Result<(), StoreError> {
    let mut retired = retire_values(tx, changes).await?;
    for (tier, limit_key, before) in changes.iter().filter_map(gone_value) {
        let value = TierLimit { tier: tier.clone(), limit_key: limit_key.clone(), limit: before.clone() };
        match retired.remove(&value.key()) {
            Some(_) => tx.note_deletion(&value),
            None => tx.delete(&value).await?,
        }
    }
    for limit_key in replacements_first(tx, changes).await? {
        let before = tx.find::<LimitKey>(limit_key.name.as_str()).await?;
        tx.put(before, limit_key.clone()).await?;
    }
    for change in changes {
        match change {
            Change::LimitKey { .. } | Change::Gone(_) => {}
            Change::Tier { name, after, .. } => write_tier(tx, name, after).await?,
            Change::Limit { tier, limit_key, after, .. } => {
                let value = TierLimit { tier: tier.clone(), limit_key: limit_key.clone(), limit: after.clone() };
                match retired.remove(&value.key()) {
                    Some(before) => tx.restore(&before, value).await.map(|_| ())?,
                    None => write_value(tx, value).await?,
                }
            }
        }
    }
    delete_rest(tx, changes).await
}

fn gone_value(change: &Change) -> Option<(&TierName, &LimitKeyName, &Limit)> {
    match change {
        Change::Gone(Gone::Limit { tier, limit_key, before }) => Some((tier, limit_key, before)),
        Change::Gone(Gone::LimitKey(_) | Gone::Tier { .. })
        | Change::LimitKey { .. }
        | Change::Tier { .. }
        | Change::Limit { .. } => None,
    }
}

/// Deletes tiers and limit keys, whose values are gone. One that is replaced goes before its replacement.
async fn delete_rest(tx: &mut WriteTx, changes: &[Change]) -> Result<(), StoreError> {
    let mut waiting: Vec<&LimitKey> = Vec::new();
    for change in changes {
        match change {
            Change::Gone(Gone::Tier { name, before }) => tx.delete(&tier_info(name, before)).await?,
            Change::Gone(Gone::LimitKey(before)) => waiting.push(before),
            Change::Gone(Gone::Limit { .. }) | Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } => {}
        }
    }
    while !waiting.is_empty() {
        let replacing: HashSet<&LimitKeyName> = waiting.iter().copied().filter_map(replacement).collect();
        let (blocked, free): (Vec<&LimitKey>, Vec<_>) = waiting.into_iter().partition(|key| replacing.contains(&key.name));
        if free.is_empty() {
            return Err(StoreError::Internal("The limit keys to delete replace each other".to_owned()));
        }
        for limit_key in free {
            tx.delete(limit_key).await?;
        }
        waiting = blocked;
    }
    Ok(())
}

async fn write_tier(tx: &mut WriteTx, name: &TierName, tier: &Tier) -> Result<(), StoreError> {
    let before = tx.find::<TierInfo>(name.as_str()).await?;
    tx.put(before, tier_info(name, tier)).await.map(|_| ())
}

fn tier_info(name: &TierName, tier: &Tier) -> TierInfo {
    TierInfo { name: name.clone(), display_name: tier.name.clone(), description: tier.description.clone() }
}

async fn write_value(tx: &mut WriteTx, value: TierLimit) -> Result<(), StoreError> {
    let before = tx.find::<TierLimit>(value.key()).await?;
    tx.put(before, value).await.map(|_| ())
}

/// Takes out the values whose form is to change, which would stand in the way of their limit keys' new kinds.
/// All of them are put back in the new form, or gone: a plan that left one out would contradict itself.
async fn retire_values(tx: &WriteTx, changes: &[Change]) -> Result<HashMap<(String, String), Stored<TierLimit>>, StoreError> {
    let mut retired = HashMap::new();
    for limit_key in reformed(changes) {
        let own = tier_limit::Column::LimitKey.eq(limit_key.name.as_str());
        for value in queries::all::<TierLimit>(tx.db(), tier_limit::Entity::find().filter(own.clone())).await? {
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
            return Err(StoreError::Internal("The limit keys to write replace each other".to_owned()));
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
