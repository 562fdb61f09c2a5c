//! The scopes of API keys.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key_scope")]
pub struct Model {
    /// The API key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    /// A scope that it holds.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
