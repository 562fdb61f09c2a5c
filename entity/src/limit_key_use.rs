//! Limit keys that were ever taken from.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "limit_key_use")]
pub struct Model {
    /// The limit key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
