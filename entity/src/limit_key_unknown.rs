//! Limit keys that were asked for and that there are not.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "limit_key_unknown")]
pub struct Model {
    /// The name that was asked for.
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_key: String,
    /// How often.
    pub asked: i64,
    /// When first, in milliseconds since the epoch.
    pub first_asked: i64,
    /// When last.
    pub last_asked: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
