//! Webhooks: endpoints that are told of events.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Where it is.
    pub url: String,
    /// For people.
    pub description: String,
    /// The types of events that it is told of, with commas between them; nothing for all.
    pub types: Option<String>,
    /// The org whose events it is told of; nothing for all.
    pub org: Option<String>,
    /// When it was disabled, in milliseconds since the epoch.
    pub disabled_at: Option<i64>,
    /// `admin`, `gone` or `failing`: why it was disabled.
    pub disabled_because: Option<String>,
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
