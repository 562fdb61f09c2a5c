//! What the store holds, in the words of the domain.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

use crate::domain::api_key::OwnRates;
use crate::domain::effective;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ScopeName, TierName, UserId};
use crate::domain::schedule::{Limit, Schedule};
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;

/// A record with what the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored<T> {
    /// The record.
    pub value: T,
    /// The catalogue revision of its last change: its entity tag.
    pub revision: u64,
    /// When it was made.
    pub created_at: UtcMillis,
    /// When it last changed.
    pub updated_at: UtcMillis,
}

/// The kinds of object that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A limit key.
    LimitKey,
    /// A tier.
    Tier,
    /// A tier's value for a limit key.
    TierLimit,
    /// An org.
    Org,
    /// An override of an org.
    Override,
    /// A user, who is known only for being banned.
    User,
    /// A scope of the product's own.
    Scope,
    /// An API key.
    ApiKey,
    /// An endpoint of the product that no longer exists.
    RemovedEndpoint,
    /// An endpoint that is told of events.
    Webhook,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::LimitKey,
        Self::Tier,
        Self::TierLimit,
        Self::Org,
        Self::Override,
        Self::User,
        Self::Scope,
        Self::ApiKey,
        Self::RemovedEndpoint,
        Self::Webhook,
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LimitKey => "limitKey",
            Self::Tier => "tier",
            Self::TierLimit => "tierLimit",
            Self::Org => "org",
            Self::Override => "override",
            Self::User => "user",
            Self::Scope => "scope",
            Self::ApiKey => "apiKey",
            Self::RemovedEndpoint => "removedEndpoint",
            Self::Webhook => "webhook",
        }
    }

    /// The object of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object| object.as_str() == name)
    }

    /// What a sentence calls it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::LimitKey => "limit key",
            Self::Tier => "tier",
            Self::TierLimit => "value of this tier for this limit key",
            Self::Org => "org",
            Self::Override => "override",
            Self::User => "user",
            Self::Scope => "scope",
            Self::ApiKey => "API key",
            Self::RemovedEndpoint => "removed endpoint",
            Self::Webhook => "webhook",
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A tier without its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierInfo {
    /// Its name.
    #[serde(rename = "tier")]
    pub name: TierName,
    /// For people.
    #[serde(rename = "name")]
    pub display_name: String,
    /// For people.
    pub description: String,
}

/// What a tier says about a limit key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierLimit {
    /// Whose value it is.
    pub tier: TierName,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
    /// The value, and what it changes to by itself.
    #[serde(flatten, serialize_with = "limit_parts")]
    pub limit: Limit,
}

/// A value and what is scheduled of it as two fields, of which the second is left out when there is nothing.
fn limit_parts<S: Serializer>(limit: &Limit, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Parts<'a> {
        value: Value,
        #[serde(skip_serializing_if = "Schedule::is_empty")]
        scheduled: &'a Schedule<Value>,
    }
    Parts { value: limit.value, scheduled: &limit.scheduled }.serialize(serializer)
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Org {
    /// The id that the caller chose.
    #[serde(rename = "org")]
    pub id: OrgId,
    /// The tier that it was given, which it has until something that is scheduled begins.
    pub tier: TierName,
    /// The tiers that it is to have from a moment on.
    #[serde(skip_serializing_if = "Schedule::is_empty")]
    pub scheduled: Schedule<TierName>,
    /// For people.
    pub name: String,
    /// The caller's own data.
    pub metadata: Map<String, Json>,
    /// Set while it is banned.
    pub ban: Option<Ban>,
}

impl Org {
    /// The tier that it has at `now`.
    pub fn tier_at(&self, now: UtcMillis) -> &TierName {
        self.scheduled.after(&self.tier, now)
    }
}

/// That an org or a user may do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// Since when.
    pub at: UtcMillis,
    /// Why.
    pub reason: Option<String>,
}

/// An override, and why it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideInfo {
    /// Whose it is.
    pub org: OrgId,
    /// What it does.
    pub inner: effective::Override,
    /// Why.
    pub reason: String,
}

impl Serialize for OverrideInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Flat<'a> {
            id: &'a RecordId,
            org: &'a OrgId,
            limit_key: &'a LimitKeyName,
            mode: effective::Mode,
            value: Value,
            reason: &'a str,
            starts_at: UtcMillis,
            expires_at: Option<UtcMillis>,
        }
        let effective::Override { id, limit_key, mode, value, starts_at, expires_at } = &self.inner;
        let (org, reason, mode, value) = (&self.org, self.reason.as_str(), *mode, *value);
        Flat { id, org, limit_key, mode, value, reason, starts_at: *starts_at, expires_at: *expires_at }.serialize(serializer)
    }
}

/// A user, who is known only for being banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id that the caller chose.
    #[serde(rename = "user")]
    pub id: UserId,
    /// Set while the user is banned.
    pub ban: Option<Ban>,
}

/// A scope that API keys can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeInfo {
    /// Its name.
    #[serde(rename = "scope")]
    pub name: ScopeName,
    /// For people.
    pub description: String,
    /// Whether it always exists, and so is fixed.
    pub built_in: bool,
}

/// An API key without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyInfo {
    /// Its id.
    pub id: RecordId,
    /// For people.
    pub name: String,
    /// The org that it belongs to; a platform key has none.
    pub org: Option<OrgId>,
    /// The user that it belongs to.
    pub user: Option<UserId>,
    /// What it may do.
    pub scopes: Scopes,
    /// The part that may be shown of each secret that has not been rotated out, newest first.
    pub shown: Vec<String>,
    /// The first moment that it is no longer good at.
    pub expires_at: Option<UtcMillis>,
    /// Set when it was revoked.
    pub revoked_at: Option<UtcMillis>,
    /// The rates that are its own.
    #[serde(rename = "rateLimits")]
    pub rates: OwnRates,
    /// When it was last used, some minutes late. To be used is no change, so the log does not speak of it.
    #[serde(skip)]
    pub last_used_at: Option<UtcMillis>,
}

/// An endpoint of the product that no longer exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedEndpoint {
    /// Its id.
    pub id: RecordId,
    /// The HTTP method.
    pub method: String,
    /// The path, with `{}` around its variable parts.
    pub path: String,
    /// What to call instead.
    pub replacement: Option<String>,
}

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The bearer of an API key.
    ApiKey(RecordId),
    /// The bearer of a token with this subject.
    Token(String),
    /// Plimsoll itself, when it starts.
    Bootstrap,
    /// Who runs the program by hand.
    CommandLine,
    /// Plimsoll itself, while it serves.
    Service,
}

impl Actor {
    /// Its kind on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "apiKey",
            Self::Token(_) => "token",
            Self::Bootstrap => "bootstrap",
            Self::CommandLine => "commandLine",
            Self::Service => "service",
        }
    }

    /// Which of its kind, when there are several.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::ApiKey(id) => Some(id.as_str()),
            Self::Token(subject) => Some(subject),
            Self::Bootstrap | Self::CommandLine | Self::Service => None,
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            kind: &'a str,
            id: Option<&'a str>,
        }
        Flat { kind: self.kind(), id: self.id() }.serialize(serializer)
    }
}

/// Who changed what, when, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The revision that the change made.
    pub revision: u64,
    /// When.
    pub at: UtcMillis,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: String,
    /// The kind of object.
    pub object: Object,
    /// Which one.
    pub object_id: String,
    /// The org that it belongs to.
    pub org: Option<OrgId>,
    /// As it was.
    pub before: Option<Json>,
    /// As it is.
    pub after: Option<Json>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

/// That something changed, without what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRef {
    /// The revision that the change made.
    pub revision: u64,
    /// The kind of object; nothing for one that a newer version of Plimsoll knows, which may write to the same database.
    pub object: Option<Object>,
    /// Which one: a name, an id, or `<tier>/<limitKey>`.
    pub object_id: String,
    /// The org that it belongs to.
    pub org: Option<OrgId>,
}

/// What a decision needs to know of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgFacts {
    /// The tier that it was given.
    pub tier: TierName,
    /// The tiers that it is to have from a moment on.
    pub scheduled: Schedule<TierName>,
    /// Whether it is banned.
    pub banned: bool,
    /// Its overrides that had not expired when they were read, oldest first.
    pub overrides: Vec<effective::Override>,
}

impl OrgFacts {
    /// An org with nothing but a tier.
    pub const fn of_tier(tier: TierName) -> Self {
        Self { tier, scheduled: Schedule::nothing(), banned: false, overrides: Vec::new() }
    }

    /// The tier that it has at `now`.
    pub fn tier_at(&self, now: UtcMillis) -> &TierName {
        self.scheduled.after(&self.tier, now)
    }
}
