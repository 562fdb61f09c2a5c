//! Changes of tiers and of what they say.

use entity::tier_limit;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::super::plan_changes::tier_user;
use super::super::{Command, Created, Object, StoreError, Stored, TierInfo, TierLimit, WriteTx, queries};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::schedule::{Limit, Schedule, Step, under};
use crate::domain::time::UtcMillis;
use crate::domain::value::{Value, WrittenValue};

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
        if let Some(user) = tier_user(tx.db(), &self.name).await? {
            return Err(StoreError::Conflict(format!("The tier {} is in use: {user}", self.name)));
        }
        let own = tier_limit::Entity::find().filter(tier_limit::Column::Tier.eq(self.name.as_str()));
        // In an order that is no database's own.
        for limit in queries::all::<TierLimit>(tx.db(), own.order_by_asc(tier_limit::Column::LimitKey)).await? {
            tx.note_deletion(&limit.value);
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
        let limit = before.as_ref().map_or_else(|| value.into(), |before| before.value.limit.replaced(value, tx.now()));
        tx.put(before, TierLimit { tier, limit_key, limit }).await
    }
}

/// Schedules what a tier says about a limit key: what is to come is replaced, what has begun has happened.
#[derive(Clone, Debug)]
pub struct ScheduleTierLimit {
    /// Whose value it is.
    pub tier: TierName,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
    /// The values as they were written, in order.
    pub scheduled: Vec<Step<WrittenValue>>,
}

impl Command for ScheduleTierLimit {
    type Output = Stored<TierLimit>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<TierLimit>((self.tier.to_string(), self.limit_key.to_string())).await?;
        let limit_key = tx.find::<LimitKey>(self.limit_key.as_str()).await?.ok_or(StoreError::NotFound(Object::LimitKey))?;
        if !self.scheduled.is_empty() {
            check_in_use(&limit_key.value)?;
        }
        let scheduled = self.wanted(limit_key.value.kind(), &before.value.limit.scheduled, tx.now());
        let scheduled = scheduled.map_err(|issues| StoreError::Invalid(under(issues, "scheduled")))?;
        let limit = Limit { scheduled, ..before.value.limit.clone() };
        let after = TierLimit { limit, ..before.value.clone() };
        tx.replace(before, after, "update").await
    }
}

impl ScheduleTierLimit {
    /// What has begun, and behind it what was written.
    fn wanted(&self, kind: Kind, before: &Schedule<Value>, now: UtcMillis) -> Result<Schedule<Value>, Vec<Issue>> {
        let written = Schedule::written(&self.scheduled, kind)?;
        let belated = written.belated(before, now);
        if !belated.is_empty() {
            return Err(belated);
        }
        Schedule::of(before.begun(now).chain(written.to_come(now)).copied().collect())
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
