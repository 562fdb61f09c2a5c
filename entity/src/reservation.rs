//! Usage that is held until it is confirmed, released, or expires.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reservation")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: String,
    /// Its id within the org; ids are ordered by creation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What it is held of.
    pub limit_key: String,
    /// The resource that it is held for; empty for the org as a whole.
    pub resource: String,
    /// The first moment of the calendar window that it counts in, in milliseconds since the epoch; 0 for a count.
    pub window_start: i64,
    /// The first moment after that window, in milliseconds since the epoch.
    pub window_end: Option<i64>,
    /// How much, from 1.
    pub amount: i64,
    /// `held`, `confirmed`, `released` or `expired`. One that says `held` is alive only before `expires_at`.
    pub status: String,
    /// How much of it became usage.
    pub confirmed: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// The first moment that it no longer holds at, in milliseconds since the epoch.
    pub expires_at: i64,
    /// When it was confirmed, released, or found expired, in milliseconds since the epoch.
    pub settled_at: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
