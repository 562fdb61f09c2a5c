//! Refusals: their order, and the exact response that each one is to the product's own customer.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::bound::Quantity;
use super::names::{LimitKeyName, ScopeName};
use super::scope::Scopes;
use super::time::Day;
use super::window::Window;

/// A named refusal. The variants stand in the order of the ladder: of several, the first wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the API key is missing, malformed, unknown, expired or revoked.
    InvalidApiKey(Presented),
    /// 401: the JWT does not hold.
    InvalidToken,
    /// 403: the org is banned.
    OrgBanned,
    /// 403: the user that the API key belongs to is banned.
    UserBanned,
    /// 410: the endpoint was removed, or the limit key archived.
    Gone {
        /// What is gone.
        what: Removed,
        /// What to use instead.
        replacement: Option<String>,
    },
    /// 403: the scope is not granted.
    InsufficientScope {
        /// The scope that is needed.
        required: ScopeName,
        /// Those that there are.
        granted: Scopes,
    },
    /// 429: the sliding window is full.
    RateExceeded {
        /// The window's name.
        bucket: String,
        /// Seconds until there is room.
        retry_after: u64,
    },
    /// 429: the calendar window is used up.
    QuotaExceeded {
        /// The calendar window.
        window: Window,
        /// What is counted.
        label: String,
        /// Seconds until the next window.
        retry_after: u64,
    },
    /// 402: no room under the cap.
    LimitReached {
        /// The limit key.
        limit_key: LimitKeyName,
        /// What is taken.
        current: Quantity,
        /// The cap.
        max: Quantity,
    },
    /// 402: the range starts before the history that the plan keeps.
    RetentionExceeded {
        /// The limit key.
        limit_key: LimitKeyName,
        /// Days of history.
        retention_days: Quantity,
        /// The first day that may be read.
        earliest: Day,
    },
    /// 402: the feature is not in the plan.
    FeatureUnavailable {
        /// The limit key.
        limit_key: LimitKeyName,
    },
}

/// Whether a bearer was there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No `Authorization` header.
    Nothing,
    /// One that does not hold.
    Something,
}

/// What a 410 speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// An endpoint of the product.
    Endpoint,
    /// A limit key.
    LimitKey,
}

/// The response to give to the product's customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The HTTP status.
    pub status: u16,
    /// Headers to send with it.
    pub headers: Headers,
    /// The body, to the letter.
    pub body: DenialBody,
}

/// Response headers, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(&'static str, String)>);

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The envelope of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialBody {
    /// The sentence.
    pub error: String,
    /// What a program reads.
    pub meta: DenialMeta,
}

impl Serialize for DenialBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut envelope = serializer.serialize_struct("DenialBody", 3)?;
        envelope.serialize_field("data", &())?;
        envelope.serialize_field("error", &self.error)?;
        envelope.serialize_field("meta", &self.meta)?;
        envelope.end()
    }
}

/// What a program reads of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DenialMeta {
    /// The refusal's code.
    pub code: &'static str,
    #[serde(flatten)]
    detail: MetaDetail,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum MetaDetail {
    Nothing {},
    Replacement { replacement: String },
    Scope { required: ScopeName, granted: Scopes },
    Rate { bucket: String, retry_after: u64 },
    Limit { limit_key: LimitKeyName, current: Quantity, max: Quantity },
    Retention { limit_key: LimitKeyName, retention_days: Quantity, earliest: Day },
    Feature { limit_key: LimitKeyName },
}

impl Refusal {
    /// The code in `meta.code`, which is also the name of the decision.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidApiKey(_) => "invalid_api_key",
            Self::InvalidToken => "invalid_token",
            Self::OrgBanned => "org_banned",
            Self::UserBanned => "user_banned",
            Self::Gone { .. } => "gone",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::RateExceeded { .. } | Self::QuotaExceeded { .. } => "rate_limit_exceeded",
            Self::LimitReached { .. } => "limit_reached",
            Self::RetentionExceeded { .. } => "retention_exceeded",
            Self::FeatureUnavailable { .. } => "feature_unavailable",
        }
    }

    /// Its place on the ladder: of several refusals, the lowest wins.
    pub const fn rung(&self) -> u8 {
        match self {
            Self::InvalidApiKey(_) | Self::InvalidToken => 0,
            Self::OrgBanned | Self::UserBanned => 1,
            Self::Gone { .. } => 2,
            Self::InsufficientScope { .. } => 3,
            Self::RateExceeded { .. } => 4,
            Self::QuotaExceeded { .. } => 5,
            Self::LimitReached { .. } | Self::RetentionExceeded { .. } | Self::FeatureUnavailable { .. } => 6,
        }
    }

    /// Seconds until a window has room again, when it is one that is full.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateExceeded { retry_after, .. } | Self::QuotaExceeded { retry_after, .. } => Some(*retry_after),
            Self::InvalidApiKey(_)
            | Self::InvalidToken
            | Self::OrgBanned
            | Self::UserBanned
            | Self::Gone { .. }
            | Self::InsufficientScope { .. }
            | Self::LimitReached { .. }
            | Self::RetentionExceeded { .. }
            | Self::FeatureUnavailable { .. } => None,
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::InvalidApiKey(_) | Self::InvalidToken => 401,
            Self::LimitReached { .. } | Self::RetentionExceeded { .. } | Self::FeatureUnavailable { .. } => 402,
            Self::OrgBanned | Self::UserBanned | Self::InsufficientScope { .. } => 403,
            Self::Gone { .. } => 410,
            Self::RateExceeded { .. } | Self::QuotaExceeded { .. } => 429,
        }
    }

    /// The sentence in `error`.
    pub fn sentence(&self) -> String {
        match self {
            Self::InvalidApiKey(Presented::Nothing) => "Missing API key".to_owned(),
            Self::InvalidApiKey(Presented::Something) => "Invalid or expired API key".to_owned(),
            Self::InvalidToken => "Invalid or expired token".to_owned(),
            Self::OrgBanned => "This organization is banned".to_owned(),
            Self::UserBanned => "This user is banned".to_owned(),
            Self::Gone { what: Removed::Endpoint, .. } => "This endpoint has been removed".to_owned(),
            Self::Gone { what: Removed::LimitKey, .. } => "This limit key is archived".to_owned(),
            Self::InsufficientScope { required, granted } => {
                format!("This action requires the '{required}' scope. Granted: {granted}")
            }
            Self::RateExceeded { .. } => "Rate limit exceeded".to_owned(),
            Self::QuotaExceeded { window, label, .. } => format!("{} {label} limit exceeded", window.adjective()),
            Self::LimitReached { limit_key, .. } => format!("Limit reached: {limit_key}"),
            Self::RetentionExceeded { limit_key, .. } => format!("Date range exceeds history retention: {limit_key}"),
            Self::FeatureUnavailable { limit_key } => format!("Feature not in plan: {limit_key}"),
        }
    }

    /// The response to give to the product's customer.
    pub fn denial(&self) -> Denial {
        let meta = DenialMeta { code: self.code(), detail: self.meta_detail() };
        let body = DenialBody { error: self.sentence(), meta };
        Denial { status: self.status(), headers: self.headers(), body }
    }

    fn headers(&self) -> Headers {
        Headers(match self {
            Self::InvalidApiKey(Presented::Nothing) => vec![("WWW-Authenticate", r#"Bearer realm="plimsoll""#.to_owned())],
            Self::InvalidApiKey(Presented::Something) | Self::InvalidToken => {
                vec![("WWW-Authenticate", r#"Bearer realm="plimsoll", error="invalid_token""#.to_owned())]
            }
            Self::RateExceeded { retry_after, .. } | Self::QuotaExceeded { retry_after, .. } => {
                vec![("Retry-After", retry_after.to_string())]
            }
            Self::OrgBanned
            | Self::UserBanned
            | Self::Gone { .. }
            | Self::InsufficientScope { .. }
            | Self::LimitReached { .. }
            | Self::RetentionExceeded { .. }
            | Self::FeatureUnavailable { .. } => Vec::new(),
        })
    }

    fn meta_detail(&self) -> MetaDetail {
        match self.clone() {
            Self::InvalidApiKey(_) | Self::InvalidToken | Self::OrgBanned | Self::UserBanned | Self::QuotaExceeded { .. } => {
                MetaDetail::Nothing {}
            }
            Self::Gone { replacement, .. } => {
                replacement.map_or(MetaDetail::Nothing {}, |replacement| MetaDetail::Replacement { replacement })
            }
            Self::InsufficientScope { required, granted } => MetaDetail::Scope { required, granted },
            Self::RateExceeded { bucket, retry_after } => MetaDetail::Rate { bucket, retry_after },
            Self::LimitReached { limit_key, current, max } => MetaDetail::Limit { limit_key, current, max },
            Self::RetentionExceeded { limit_key, retention_days, earliest } => {
                MetaDetail::Retention { limit_key, retention_days, earliest }
            }
            Self::FeatureUnavailable { limit_key } => MetaDetail::Feature { limit_key },
        }
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
