//! Changes of limit keys.

use std::collections::HashSet;

use entity::{limit_key, limit_key_use, org_override, tier_limit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::plan_changes::rate_holder;
use super::super::{Command, Created, StoreError, Stored, WriteTx};
use crate::domain::limit_key::{Archived, LimitKey};
use crate::domain::names::LimitKeyName;

/// Makes or replaces a limit key. One that was archived is in use again.
#[derive(Clone, Debug)]
pub struct PutLimitKey {
    /// The limit key; that it is archived is not taken.
    pub limit_key: LimitKey,
}

impl Command for PutLimitKey {
    type Output = (Stored<LimitKey>, Created);

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let mut limit_key = self.limit_key;
        let before = tx.find::<LimitKey>(limit_key.name.as_str()).await?;
        tx.expect(before.as_ref())?;
        limit_key.keep_archive_date(before.as_ref().map(|before| &before.value));
        if let Some(replacement) = limit_key.archived.as_ref().and_then(|archived| archived.replacement.as_ref()) {
            check_replacement(tx, &limit_key.name, replacement).await?;
        }
        if let Some(before) = before.as_ref().filter(|before| before.value.kind() != limit_key.kind())
            && let Some(holder) = value_holder(tx, &limit_key.name).await?
        {
            let (name, old, new) = (&limit_key.name, before.value.kind(), limit_key.kind());
            let refusal = format!("The kind of {name} cannot change from {old} to {new} while {holder} holds a value for it");
            return Err(StoreError::Conflict(refusal));
        }
        tx.put(before, limit_key).await
    }
}

/// Archives a limit key: it is no longer asked about, and keeps its values.
#[derive(Clone, Debug)]
pub struct ArchiveLimitKey {
    /// Which.
    pub name: LimitKeyName,
    /// The limit key to ask about instead.
    pub replacement: Option<LimitKeyName>,
}

impl Command for ArchiveLimitKey {
    type Output = Stored<LimitKey>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<LimitKey>(self.name.as_str()).await?;
        if let Some(replacement) = &self.replacement {
            check_replacement(tx, &self.name, replacement).await?;
        }
        let at = before.value.archived.as_ref().map_or(tx.now(), |archived| archived.at);
        let archived = Some(Archived { at, replacement: self.replacement });
        let after = LimitKey { archived, ..before.value.clone() };
        tx.replace(before, after, "archive").await
    }
}

/// Refuses a replacement that does not exist, or that is replaced, in the end, by the limit key itself.
async fn check_replacement(tx: &WriteTx, name: &LimitKeyName, replacement: &LimitKeyName) -> Result<(), StoreError> {
    if replacement == name {
        return Err(StoreError::invalid("replacement", "must be another limit key"));
    }
    let (mut next, mut seen) = (replacement.clone(), HashSet::from([name.clone()]));
    while seen.insert(next.clone()) {
        let found = tx.find::<LimitKey>(next.as_str()).await?;
        let found = found.ok_or_else(|| StoreError::invalid("replacement", "there is no such limit key"))?;
        match found.value.archived.and_then(|archived| archived.replacement) {
            Some(following) if following == *name => {
                return Err(StoreError::invalid("replacement", "replacements must not go round in a circle"));
            }
            Some(following) => next = following,
            None => break,
        }
    }
    Ok(())
}

/// Deletes a limit key that nothing names.
#[derive(Clone, Debug)]
pub struct DeleteLimitKey {
    /// Which.
    pub name: LimitKeyName,
}

impl Command for DeleteLimitKey {
    type Output = Stored<LimitKey>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<LimitKey>(self.name.as_str()).await?;
        if let Some(holder) = value_holder(tx, &self.name).await? {
            return Err(StoreError::Conflict(format!("The limit key {} is in use: {holder} holds a value for it", self.name)));
        }
        if limit_key_use::Entity::find_by_id(self.name.as_str()).one(tx.db()).await?.is_some() {
            let refusal = format!("The limit key {} is in use: it has recorded usage. Archive it instead", self.name);
            return Err(StoreError::Conflict(refusal));
        }
        let replaced = limit_key::Entity::find().filter(limit_key::Column::Replacement.eq(self.name.as_str()));
        if let Some(other) = replaced.order_by_asc(limit_key::Column::Name).limit(1).one(tx.db()).await? {
            let refusal = format!("The limit key {} is in use: it is the replacement of {}", self.name, other.name);
            return Err(StoreError::Conflict(refusal));
        }
        tx.delete(&before.value).await?;
        Ok(before)
    }
}

/// Some tier, org or API key that holds a value for this limit key, as a sentence names it.
async fn value_holder(tx: &WriteTx, name: &LimitKeyName) -> Result<Option<String>, StoreError> {
    let tiers = tier_limit::Entity::find().filter(tier_limit::Column::LimitKey.eq(name.as_str()));
    // Which of them is named is no database's choice.
    if let Some(row) = tiers.order_by_asc(tier_limit::Column::Tier).limit(1).one(tx.db()).await? {
        return Ok(Some(format!("the tier {}", row.tier)));
    }
    let overrides = org_override::Entity::find().filter(org_override::Column::LimitKey.eq(name.as_str()));
    if let Some(row) = overrides.order_by_asc(org_override::Column::Org).limit(1).one(tx.db()).await? {
        return Ok(Some(format!("an override of the org {}", row.org)));
    }
    Ok(rate_holder(tx.db(), name).await?.map(|key| format!("the API key {key}")))
}
