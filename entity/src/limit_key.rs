//! Limit keys: what is limited, and the value where a tier says nothing.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "limit_key")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// `count`, `quota`, `rate`, `retention`, `interval` or `feature`.
    pub kind: String,
    /// `org`, or the kind of resource that it is counted per.
    pub per: String,
    /// `max`, `days`, `min` or `enabled`: the form that values of its kind take.
    pub value_form: String,
    /// The default: a number, 0 or 1 for a feature, or nothing when unlimited.
    pub default_value: Option<i64>,
    /// Quota: the calendar window.
    pub calendar_window: Option<String>,
    /// Quota: what is counted.
    pub label: Option<String>,
    /// Quota and rate: whether every request takes one.
    pub per_request: Option<bool>,
    /// Rate: the length of the sliding window.
    pub window_seconds: Option<i64>,
    /// Rate: the name that the refusal carries.
    pub bucket: Option<String>,
    /// Interval: the unit.
    pub unit: Option<String>,
    /// Count and quota: the percents of the cap whose crossing is told, with commas between them; nothing for the usual ones.
    pub thresholds: Option<String>,
    /// For people.
    pub description: String,
    /// When it was archived, in milliseconds since the epoch.
    pub archived_at: Option<i64>,
    /// The limit key to ask about instead.
    pub replacement: Option<String>,
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
