//! Changes of the product's own scopes.

use entity::api_key_scope;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::{Command, Created, ScopeInfo, StoreError, Stored, WriteTx};
use crate::domain::names::ScopeName;
use crate::domain::scope::is_built_in;

/// Makes or replaces a scope.
#[derive(Clone, Debug)]
pub struct PutScope {
    /// Which.
    pub name: ScopeName,
    /// For people.
    pub description: String,
}

impl Command for PutScope {
    type Output = (Stored<ScopeInfo>, Created);

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        check_own(&self.name)?;
        let before = tx.find::<ScopeInfo>(self.name.as_str()).await?;
        tx.expect(before.as_ref())?;
        tx.put(before, ScopeInfo { name: self.name, description: self.description, built_in: false }).await
    }
}

/// Deletes a scope that no API key holds.
#[derive(Clone, Debug)]
pub struct DeleteScope {
    /// Which.
    pub name: ScopeName,
}

impl Command for DeleteScope {
    type Output = Stored<ScopeInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        check_own(&self.name)?;
        let before = tx.target::<ScopeInfo>(self.name.as_str()).await?;
        let holders = api_key_scope::Entity::find().filter(api_key_scope::Column::Scope.eq(self.name.as_str()));
        if let Some(holder) = holders.order_by_asc(api_key_scope::Column::KeyId).limit(1).one(tx.db()).await? {
            let refusal = format!("The scope {} is in use: the API key {} holds it", self.name, holder.key_id);
            return Err(StoreError::Conflict(refusal));
        }
        tx.delete(&before.value).await?;
        Ok(before)
    }
}

fn check_own(name: &ScopeName) -> Result<(), StoreError> {
    if is_built_in(name.as_str()) {
        return Err(StoreError::Conflict(format!("The scope {name} is built in and cannot be changed")));
    }
    Ok(())
}
