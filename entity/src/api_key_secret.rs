//! The secrets of API keys, as hashes: one for each key, several during a rotation's overlap.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key_secret")]
pub struct Model {
    /// The SHA-256 hash of the secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    /// The API key.
    pub key_id: String,
    /// The part of the secret that a listing shows.
    pub shown: String,
    /// The end of a rotation's overlap, in milliseconds since the epoch.
    pub expires_at: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
