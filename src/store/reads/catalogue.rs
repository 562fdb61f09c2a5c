//! Limit keys, tiers, their values, and all of them as one plan.

use entity::{catalogue_revision, limit_key, tier, tier_limit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::rows::{Record, unsigned};
use super::super::{Listing, PageRequest, Store, StoreError, Stored, TierInfo, TierLimit, queries};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::Plan;

impl Store {
    /// Everything that the catalogue says, and the revision that it says it at, read in one moment.
    pub async fn plan(&self) -> Result<(Plan, u64), StoreError> {
        let store = self.clone();
        self.detached(async move {
            let moment = store.reader().moment().await?;
            let revision = catalogue_revision::Entity::find_by_id(1).one(&moment).await?;
            let plan = queries::plan(&moment).await?;
            moment.commit().await?;
            Ok((plan, revision.map_or(0, |row| unsigned(row.value))))
        })
        .await
    }

    /// A limit key.
    pub async fn limit_key(&self, name: &LimitKeyName) -> Result<Stored<LimitKey>, StoreError> {
        self.existing(name.as_str()).await
    }

    /// The limit keys, by name.
    pub async fn limit_keys(&self, page: &PageRequest) -> Result<Listing<Stored<LimitKey>>, StoreError> {
        let all = limit_key::Entity::find();
        queries::page(self.reader(), all, limit_key::Column::Name, page, |row: &limit_key::Model| &row.name).await
    }

    /// A tier.
    pub async fn tier(&self, name: &TierName) -> Result<Stored<TierInfo>, StoreError> {
        self.existing(name.as_str()).await
    }

    /// The tiers, by name.
    pub async fn tiers(&self, page: &PageRequest) -> Result<Listing<Stored<TierInfo>>, StoreError> {
        let all = tier::Entity::find();
        queries::page(self.reader(), all, tier::Column::Name, page, |row: &tier::Model| &row.name).await
    }

    /// What a tier says about each limit key, by their names.
    pub async fn tier_limits(&self, tier: &TierName, page: &PageRequest) -> Result<Listing<Stored<TierLimit>>, StoreError> {
        self.tier(tier).await?;
        let own = tier_limit::Entity::find().filter(tier_limit::Column::Tier.eq(tier.as_str()));
        let by = tier_limit::Column::LimitKey;
        queries::page(self.reader(), own, by, page, |row: &tier_limit::Model| &row.limit_key).await
    }

    /// What a tier says about a limit key.
    pub async fn tier_limit(&self, tier: &TierName, limit_key: &LimitKeyName) -> Result<Stored<TierLimit>, StoreError> {
        self.existing((tier.to_string(), limit_key.to_string())).await
    }

    /// The record with this key, or that there is none.
    pub(in super::super) async fn existing<R: Record>(
        &self,
        key: impl Into<super::super::rows::Key<R>> + Send,
    ) -> Result<Stored<R>, StoreError> {
        queries::find::<R>(self.reader(), key).await?.ok_or(StoreError::NotFound(R::OBJECT))
    }
}
