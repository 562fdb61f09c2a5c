//! Overrides: values for one org beside its tier.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "org_override")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: String,
    /// Its id; ids are ordered by creation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What it is a value of.
    pub limit_key: String,
    /// `set` or `add`.
    pub mode: String,
    /// The form of the value; always that of the limit key.
    pub value_form: String,
    /// A number, 0 or 1 for a feature, or nothing when unlimited.
    pub value: Option<i64>,
    /// Why.
    pub reason: String,
    /// The first moment that it applies at, in milliseconds since the epoch.
    pub starts_at: i64,
    /// The first moment that it no longer applies at, in milliseconds since the epoch.
    pub expires_at: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it last changed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// The catalogue revision of its last change.
    pub revision: i64,
    /// 1 when it was told that it is about to lapse, 2 when that it has, otherwise 0.
    pub told: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
