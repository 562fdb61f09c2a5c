//! Tiers that orgs are to have from a moment on.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "org_schedule")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: String,
    /// The first moment, in milliseconds since the epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_at: i64,
    /// The tier that the org has from then on.
    pub tier: String,
    /// 1 when it was told that it has begun, otherwise 0.
    pub told: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
