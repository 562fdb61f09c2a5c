//! Changes of tiers and of what they say.

use entity::{org, tier_limit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::rows::Record;
use super::super::{Command, Created, Object, StoreError, Stored, TierInfo, TierLimit, WriteTx};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::value::WrittenValue;

/// Makes or replaces a tier. Its values stay.
#[derive(Clone, Debug)]
pub struct PutTier {
    /// The tier.
    pub tier: TierInfo,
}

impl Command for PutTier {
    type Output = (Stored<TierInfo>, Created);

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.find::<TierInfo>(self.tier.name.as_str()).await?;
        tx.expect(before.as_ref())?;
        tx.put(before, self.tier).await
    }
}

/// Deletes a tier that no org has, with its values.
#[derive(Clone, Debug)]
pub struct DeleteTier {
    /// Which.
    pub name: TierName,
}

impl Command for DeleteTier {
    type Output = Stored<TierInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<TierInfo>(self.name.as_str()).await?;
        let orgs = org::Entity::find().filter(org::Column::Tier.eq(self.name.as_str())).order_by_asc(org::Column::Id).limit(1);
        if let Some(org) = orgs.one(tx.db()).await? {
            return Err(StoreError::Conflict(format!("The tier {} is in use: the org {} has it", self.name, org.id)));
        }
        let own = tier_limit::Entity::find().filter(tier_limit::Column::Tier.eq(self.name.as_str()));
        // In an order that is no database's own.
        for row in own.order_by_asc(tier_limit::Column::LimitKey).all(tx.db()).await? {
            tx.note_deletion(&TierLimit::from_row(&row)?);
        }
        tx.delete(&before.value).await?;
        Ok(before)
    }
}

/// Sets what a tier says about a limit key.
#[derive(Clone, Debug)]
pub struct PutTierLimit {
    /// Whose value it is.
    pub tier: TierName,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
    /// The value as it was written; the limit key's kind says whether it has the right form.
    pub value: WrittenValue,
}

impl Command for PutTierLimit {
    type Output = (Stored<TierLimit>, Created);

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let Self { tier, limit_key, value } = self;
        let before = tx.find::<TierLimit>((tier.to_string(), limit_key.to_string())).await?;
        tx.expect(before.as_ref())?;
        tx.find::<TierInfo>(tier.as_str()).await?.ok_or(StoreError::NotFound(Object::Tier))?;
        let known = tx.find::<LimitKey>(limit_key.as_str()).await?.ok_or(StoreError::NotFound(Object::LimitKey))?;
        check_in_use(&known.value)?;
        let value = value.for_kind_at(known.value.kind(), "").map_err(|issue| StoreError::Invalid(vec![issue]))?;
        tx.put(before, TierLimit { tier, limit_key, value }).await
    }
}

/// Refuses new values for a limit key that is archived.
pub(super) fn check_in_use(limit_key: &LimitKey) -> Result<(), StoreError> {
    match &limit_key.archived {
        Some(archived) => Err(StoreError::Gone { replacement: archived.replacement.as_ref().map(ToString::to_string) }),
        None => Ok(()),
    }
}

/// Takes back what a tier says about a limit key: its default applies then.
#[derive(Clone, Debug)]
pub struct DeleteTierLimit {
    /// Whose value it is.
    pub tier: TierName,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
}

impl Command for DeleteTierLimit {
    type Output = Stored<TierLimit>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<TierLimit>((self.tier.to_string(), self.limit_key.to_string())).await?;
        tx.delete(&before.value).await?;
        Ok(before)
    }
}
