//! How often limit keys are asked about, day by day.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "limit_key_activity")]
pub struct Model {
    /// The limit key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// The UTC day, counted from the epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// Decisions on that day.
    pub checked: i64,
    /// Those of them that were refusals.
    pub refused: i64,
    /// When the last one was, in milliseconds since the epoch.
    pub last_checked: i64,
    /// When the last refusal was, if there was any.
    pub last_refused: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
