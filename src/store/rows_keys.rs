//! How scopes, API keys and removed endpoints are kept.

use entity::{api_key, removed_endpoint, scope};

use super::error::StoreError;
use super::records::{ApiKeyInfo, Object, RemovedEndpoint, ScopeInfo};
use super::rows::{Key, Record, Stamps, moment, optional, text};
use crate::domain::api_key::OwnRates;
use crate::domain::names::OrgId;
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;

impl Record for ScopeInfo {
    type Entity = scope::Entity;
    type Row = scope::Model;
    type Change = scope::ActiveModel;
    const OBJECT: Object = Object::Scope;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        Ok(Self { name: text(&row.name)?, description: row.description.clone(), built_in: false })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        scope::Model { name: self.name.to_string(), description: self.description.clone(), created_at, updated_at, revision }
    }

    fn key(&self) -> Key<Self> {
        self.name.to_string()
    }

    fn object_id(&self) -> String {
        self.name.to_string()
    }
}

/// Its scopes, rates and secrets are rows of other tables: whoever reads the row adds them.
impl Record for ApiKeyInfo {
    type Entity = api_key::Entity;
    type Row = api_key::Model;
    type Change = api_key::ActiveModel;
    const OBJECT: Object = Object::ApiKey;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: text(&row.id)?,
            name: row.name.clone(),
            org: optional(row.org.as_deref())?,
            user: optional(row.user_id.as_deref())?,
            scopes: Scopes::default(),
            shown: Vec::new(),
            expires_at: moment(row.expires_at),
            revoked_at: moment(row.revoked_at),
            rates: OwnRates::new(),
            last_used_at: moment(row.last_used_at),
        })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        api_key::Model {
            id: self.id.to_string(),
            name: self.name.clone(),
            org: self.org.as_ref().map(ToString::to_string),
            user_id: self.user.as_ref().map(ToString::to_string),
            expires_at: self.expires_at.map(UtcMillis::get),
            revoked_at: self.revoked_at.map(UtcMillis::get),
            created_at,
            updated_at,
            revision,
            last_used_at: self.last_used_at.map(UtcMillis::get),
        }
    }

    fn key(&self) -> Key<Self> {
        self.id.to_string()
    }

    fn object_id(&self) -> String {
        self.id.to_string()
    }

    fn org(&self) -> Option<&OrgId> {
        self.org.as_ref()
    }
}

impl Record for RemovedEndpoint {
    type Entity = removed_endpoint::Entity;
    type Row = removed_endpoint::Model;
    type Change = removed_endpoint::ActiveModel;
    const OBJECT: Object = Object::RemovedEndpoint;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let (method, path, replacement) = (row.method.clone(), row.path.clone(), row.replacement.clone());
        Ok(Self { id: text(&row.id)?, method, path, replacement })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (method, path, replacement) = (self.method.clone(), self.path.clone(), self.replacement.clone());
        removed_endpoint::Model { id: self.id.to_string(), method, path, replacement, created_at, updated_at, revision }
    }

    fn key(&self) -> Key<Self> {
        self.id.to_string()
    }

    fn object_id(&self) -> String {
        self.id.to_string()
    }
}
