//! What lists are asked by, and what they answer.

use super::records::Object;
use crate::domain::names::{OrgId, TierName, UserId};
use crate::domain::time::UtcMillis;

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many at most.
    pub limit: u64,
    /// The last key of the page before.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; nothing on the last one.
    pub next: Option<String>,
}

/// Which orgs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgFilter {
    /// Those that have this tier at a moment.
    pub tier: Option<(TierName, UtcMillis)>,
    /// Those that are banned, or those that are not.
    pub banned: Option<bool>,
}

/// Which API keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyFilter {
    /// Those of this org.
    pub org: Option<OrgId>,
    /// Those of this user.
    pub user: Option<UserId>,
}

/// Which changes to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this kind of object.
    pub object: Option<Object>,
    /// Of this object.
    pub object_id: Option<String>,
    /// Of objects of this org.
    pub org: Option<OrgId>,
    /// By this API key or subject, or by all actors of this kind.
    pub actor: Option<String>,
    /// That did this.
    pub action: Option<String>,
    /// At or after this moment.
    pub from: Option<UtcMillis>,
    /// Before this moment.
    pub to: Option<UtcMillis>,
}
