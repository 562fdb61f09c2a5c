//! What webhooks are told.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_delivery")]
pub struct Model {
    /// Its id, ordered by time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The webhook.
    pub webhook: String,
    /// The event's place in the feed.
    pub seq: i64,
    /// The event's id.
    pub event: String,
    /// What happened.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// The org that it happened to; empty when it is no org's.
    pub org: String,
    /// 1 when it is sent once more by hand.
    pub is_manual: i64,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// When it was written down, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it is tried next at the earliest, in milliseconds since the epoch.
    pub next_at: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was tried first, in milliseconds since the epoch.
    pub first_at: Option<i64>,
    /// When it was tried last, in milliseconds since the epoch.
    pub last_at: Option<i64>,
    /// The status of the last answer.
    pub status: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How long the last try took, in milliseconds.
    pub duration_ms: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
