//! Values that tiers are to say about limit keys from a moment on.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tier_limit_schedule")]
pub struct Model {
    /// Whose value it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tier: String,
    /// What it is a value of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// The first moment, in milliseconds since the epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_at: i64,
    /// The form of the value; always that of the limit key.
    pub value_form: String,
    /// A number, 0 or 1 for a feature, or nothing when unlimited.
    pub value: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
