//! Orgs, their overrides, and users.

use std::collections::HashMap;

use entity::{org, org_override};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::{
    Listing, Org, OrgFacts, OrgFilter, OverrideInfo, PageRequest, Store, StoreError, Stored, User, queries, schedules,
};
use crate::domain::names::{OrgId, RecordId, UserId};
use crate::domain::time::UtcMillis;

impl Store {
    /// An org.
    pub async fn org(&self, id: &OrgId) -> Result<Stored<Org>, StoreError> {
        self.existing(id.as_str()).await
    }

    /// The orgs, by id.
    pub async fn orgs(&self, page: &PageRequest, filter: &OrgFilter) -> Result<Listing<Stored<Org>>, StoreError> {
        let mut found = org::Entity::find();
        if let Some((tier, now)) = &filter.tier {
            found = found.filter(schedules::has_tier(&[tier], *now));
        }
        found = match filter.banned {
            Some(true) => found.filter(org::Column::BannedAt.is_not_null()),
            Some(false) => found.filter(org::Column::BannedAt.is_null()),
            None => found,
        };
        queries::page(self.reader(), found, org::Column::Id, page, |row: &org::Model| &row.id).await
    }

    /// What a decision needs to know of an org; nothing when it was never registered.
    /// Overrides that have expired at `now` are left out.
    pub async fn org_facts(&self, id: &OrgId, now: UtcMillis) -> Result<Option<OrgFacts>, StoreError> {
        Ok(self.facts_of_orgs(&[id], now).await?.remove(id))
    }

    /// The same of several orgs, with as many statements as for one.
    pub async fn facts_of_orgs(&self, ids: &[&OrgId], now: UtcMillis) -> Result<HashMap<OrgId, OrgFacts>, StoreError> {
        queries::facts_of_orgs(self.reader(), ids, now).await
    }

    /// The overrides of an org, oldest first.
    pub async fn overrides(&self, org: &OrgId, page: &PageRequest) -> Result<Listing<Stored<OverrideInfo>>, StoreError> {
        self.org(org).await?;
        let own = org_override::Entity::find().filter(org_override::Column::Org.eq(org.as_str()));
        queries::page(self.reader(), own, org_override::Column::Id, page, |row: &org_override::Model| &row.id).await
    }

    /// An override of an org.
    pub async fn override_(&self, org: &OrgId, id: &RecordId) -> Result<Stored<OverrideInfo>, StoreError> {
        self.existing((org.to_string(), id.to_string())).await
    }

    /// A user. One who never was banned is not known, and is answered as not banned at revision 0.
    pub async fn user(&self, id: &UserId) -> Result<Stored<User>, StoreError> {
        let found = queries::find::<User>(self.reader(), id.as_str()).await?;
        Ok(found.unwrap_or_else(|| Stored {
            value: User { id: id.clone(), ban: None },
            revision: 0,
            created_at: UtcMillis::new(0),
            updated_at: UtcMillis::new(0),
        }))
    }
}
