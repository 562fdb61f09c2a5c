//! How orgs, their overrides and banned users are kept.

use entity::{org, org_override, user_ban};
use sea_orm::ConnectionTrait;

use super::error::StoreError;
use super::records::{Object, Org, OverrideInfo, Stored, User};
use super::rows::{Key, Record, Stamps, ban, ban_columns, moment, text, value, value_columns};
use super::schedules;
use crate::domain::effective::Override;
use crate::domain::names::OrgId;
use crate::domain::schedule::Schedule;
use crate::domain::time::UtcMillis;

impl Record for Org {
    type Entity = org::Entity;
    type Row = org::Model;
    type Change = org::ActiveModel;
    const OBJECT: Object = Object::Org;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let metadata = serde_json::from_str(&row.metadata);
        let metadata =
            metadata.map_err(|error| StoreError::Internal(format!("The metadata of org {} is not valid: {error}", row.id)))?;
        let ban = ban(row.banned_at, row.ban_reason.as_ref());
        let scheduled = Schedule::nothing();
        Ok(Self { id: text(&row.id)?, tier: text(&row.tier)?, scheduled, name: row.name.clone(), metadata, ban })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (banned_at, ban_reason) = ban_columns(self.ban.as_ref());
        org::Model {
            id: self.id.to_string(),
            tier: self.tier.to_string(),
            name: self.name.clone(),
            metadata: serde_json::Value::Object(self.metadata.clone()).to_string(),
            banned_at,
            ban_reason,
            created_at,
            updated_at,
            revision,
        }
    }

    fn key(&self) -> Key<Self> {
        self.id.to_string()
    }

    fn object_id(&self) -> String {
        self.id.to_string()
    }

    fn org(&self) -> Option<&OrgId> {
        Some(&self.id)
    }

    async fn complete(db: &impl ConnectionTrait, found: &mut [Stored<Self>]) -> Result<(), StoreError> {
        let mut scheduled = schedules::of_orgs(db, found.iter().map(|org| org.value.id.as_str())).await?;
        for org in found {
            org.value.scheduled = scheduled.remove(org.value.id.as_str()).unwrap_or_default();
        }
        Ok(())
    }

    async fn write_parts(&self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        schedules::write_of_org(db, self).await
    }
}

impl Record for OverrideInfo {
    type Entity = org_override::Entity;
    type Row = org_override::Model;
    type Change = org_override::ActiveModel;
    const OBJECT: Object = Object::Override;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let inner = Override {
            id: text(&row.id)?,
            limit_key: text(&row.limit_key)?,
            mode: text(&row.mode)?,
            value: value(&row.value_form, row.value)?,
            starts_at: UtcMillis::new(row.starts_at),
            expires_at: moment(row.expires_at),
        };
        Ok(Self { org: text(&row.org)?, inner, reason: row.reason.clone() })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (value_form, value) = value_columns(self.inner.value);
        org_override::Model {
            org: self.org.to_string(),
            id: self.inner.id.to_string(),
            limit_key: self.inner.limit_key.to_string(),
            mode: self.inner.mode.as_str().to_owned(),
            value_form,
            value,
            reason: self.reason.clone(),
            starts_at: self.inner.starts_at.get(),
            expires_at: self.inner.expires_at.map(UtcMillis::get),
            created_at,
            updated_at,
            revision,
            told: 0,
        }
    }

    fn key(&self) -> Key<Self> {
        (self.org.to_string(), self.inner.id.to_string())
    }

    fn object_id(&self) -> String {
        self.inner.id.to_string()
    }

    fn org(&self) -> Option<&OrgId> {
        Some(&self.org)
    }
}

impl Record for User {
    type Entity = user_ban::Entity;
    type Row = user_ban::Model;
    type Change = user_ban::ActiveModel;
    const OBJECT: Object = Object::User;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        Ok(Self { id: text(&row.id)?, ban: ban(row.banned_at, row.ban_reason.as_ref()) })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (banned_at, ban_reason) = ban_columns(self.ban.as_ref());
        user_ban::Model { id: self.id.to_string(), banned_at, ban_reason, created_at, updated_at, revision }
    }

    fn key(&self) -> Key<Self> {
        self.id.to_string()
    }

    fn object_id(&self) -> String {
        self.id.to_string()
    }
}
