//! What each tier says about each limit key.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tier_limit")]
pub struct Model {
    /// Whose value it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tier: String,
    /// What it is a value of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// The form of the value; always that of the limit key.
    pub value_form: String,
    /// A number, 0 or 1 for a feature, or nothing when unlimited.
    pub value: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it last changed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// The catalogue revision of its last change.
    pub revision: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
