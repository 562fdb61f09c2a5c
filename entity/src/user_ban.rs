//! Users that are or were banned; a user without a row never was.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_ban")]
pub struct Model {
    /// The user's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// When the user was banned, in milliseconds since the epoch; nothing when no longer.
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
