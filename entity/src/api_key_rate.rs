//! The rates that API keys have of their own, instead of their org's.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key_rate")]
pub struct Model {
    /// The API key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    /// The limit key that it has a value of its own for.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// The kind of the limit key: always `rate`.
    pub kind: String,
    /// How many in a window, or nothing when unlimited.
    pub max: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
