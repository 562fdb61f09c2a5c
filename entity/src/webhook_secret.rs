//! The secrets that messages to webhooks are signed with: one for each, several during a rotation's overlap.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_secret")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The webhook.
    pub webhook: String,
    /// 1 when the secret is sealed.
    pub is_sealed: i64,
    /// The secret, sealed or as it is.
    pub secret: Vec<u8>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// The end of a rotation's overlap, in milliseconds since the epoch.
    pub expires_at: Option<i64>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
