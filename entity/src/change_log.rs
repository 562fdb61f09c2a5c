//! Every change, in the order of the revisions: the audit log, and what other processes follow.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change_log")]
pub struct Model {
    /// The revision that the change made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// `apiKey`, `token`, `bootstrap` or `commandLine`.
    pub actor_kind: String,
    /// Which API key, or the subject of the token.
    pub actor_id: Option<String>,
    /// What was done.
    pub action: String,
    /// The kind of object.
    pub object: String,
    /// Which one.
    pub object_id: String,
    /// The org that it belongs to.
    pub org: Option<String>,
    /// As it was: JSON.
    pub before: Option<String>,
    /// As it is: JSON.
    pub after: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

/// The tables are joined by hand where that is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
