//! What an org has used of a limit key.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: String,
    /// What it is a count of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// The resource that it is counted for; empty for the org as a whole.
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource: String,
    /// The first moment of its calendar window, in milliseconds since the epoch; 0 for a count, which has none.
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start: i64,
    /// The first moment after its calendar window, in milliseconds since the epoch.
    pub window_end: Option<i64>,
    /// How much, from 0 to 2^53 - 1.
    pub used: i64,
    /// 1 when it was told that the limit is reached and there was no room since, otherwise 0.
    pub reached: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
