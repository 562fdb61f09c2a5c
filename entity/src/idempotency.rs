//! Answers kept so that a repeated request does nothing again.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// Who asked.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    /// The SHA-256 hash of the idempotency key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_hash: Vec<u8>,
    /// The SHA-256 hash of the route and the body.
    pub fingerprint: Vec<u8>,
    /// The status of the answer.
    pub status: i32,
    /// The body of the answer, encrypted under a key that the caller alone can derive.
    pub sealed_body: Vec<u8>,
    /// The entity tag of the answer.
    pub etag: Option<String>,
    /// When it was kept, in milliseconds since the epoch.
    pub created_at: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
