//! Changes of removed endpoints.

use entity::removed_endpoint;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::{Command, RemovedEndpoint, StoreError, Stored, WriteTx};
use super::new_id;
use crate::domain::names::RecordId;

/// Says that an endpoint of the product no longer exists.
#[derive(Clone, Debug)]
pub struct CreateRemovedEndpoint {
    /// The HTTP method.
    pub method: String,
    /// The path, with `{}` around its variable parts.
    pub path: String,
    /// What to call instead.
    pub replacement: Option<String>,
}

impl Command for CreateRemovedEndpoint {
    type Output = Stored<RemovedEndpoint>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        tx.expect::<RemovedEndpoint>(None)?;
        let Self { method, path, replacement } = self;
        let same = removed_endpoint::Entity::find().filter(removed_endpoint::Column::Method.eq(method.as_str()));
        if same.filter(removed_endpoint::Column::Path.eq(path.as_str())).one(tx.db()).await?.is_some() {
            return Err(StoreError::Duplicate(format!("The endpoint {method} {path} is listed as removed already")));
        }
        tx.create(RemovedEndpoint { id: new_id("rem")?, method, path, replacement }).await
    }
}

/// Takes back that an endpoint no longer exists.
#[derive(Clone, Debug)]
pub struct DeleteRemovedEndpoint {
    /// Which.
    pub id: RecordId,
}

impl Command for DeleteRemovedEndpoint {
    type Output = Stored<RemovedEndpoint>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<RemovedEndpoint>(self.id.as_str()).await?;
        tx.delete(&before.value).await?;
        Ok(before)
    }
}
