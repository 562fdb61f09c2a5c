//! Receipts of refused takings.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "decision")]
pub struct Model {
    /// Its id: those made later are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// When it was decided, in milliseconds since the epoch.
    pub at: i64,
    /// The org.
    pub org: String,
    /// The limit key, when one refused.
    pub limit_key: Option<String>,
    /// What was asked for: `consume`, `reserve`, …
    pub operation: String,
    /// The refusal's code.
    pub outcome: String,
    /// The catalogue revision that was known.
    pub revision: i64,
    /// The decision and its explanation as JSON.
    pub facts: String,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
