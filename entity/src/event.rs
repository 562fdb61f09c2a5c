//! What happened, in the order in which it is told.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Its id: `evt_` and a UUID that nobody else has.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Its place in the feed; nothing until it has one.
    pub seq: Option<i64>,
    /// What happened.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// The org that it happened to.
    pub org: Option<String>,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What is known of it: JSON.
    pub data: String,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
