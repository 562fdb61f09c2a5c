//! API keys, without their secrets.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// For people.
    pub name: String,
    /// The org that it belongs to; a platform key has none.
    pub org: Option<String>,
    /// The user that it belongs to.
    pub user_id: Option<String>,
    /// The first moment that it is no longer good at, in milliseconds since the epoch.
    pub expires_at: Option<i64>,
    /// When it was revoked, in milliseconds since the epoch.
    pub revoked_at: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it last changed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// The catalogue revision of its last change.
    pub revision: i64,
    /// When it was last used, in milliseconds since the epoch; some minutes late, and not a change of the key.
    pub last_used_at: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
