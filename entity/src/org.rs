//! Orgs: the customers that plans apply to.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "org")]
pub struct Model {
    /// The id that the caller chose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Its tier.
    pub tier: String,
    /// For people.
    pub name: String,
    /// The caller's own data: a JSON object.
    pub metadata: String,
    /// When it was banned, in milliseconds since the epoch.
    pub banned_at: Option<i64>,
    /// Why.
    pub ban_reason: Option<String>,
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
