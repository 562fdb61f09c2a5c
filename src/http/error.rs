//! What could not be answered: one error type, and the one match that turns it into a response.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value as Json, json};

use super::envelope::{add_headers, json_response};
use crate::domain::issue::Issue;
use crate::domain::masked::masked;
use crate::domain::refusal::{Refusal, Removed};
use crate::store::{Object, Recorded, StoreError};

/// Seconds after which a caller may try again when storage cannot be reached.
const RETRY_SECONDS: u64 = 1;
/// What a 429 names when a caller has as many kept answers as it may have.
const IDEMPOTENCY_BUCKET: &str = "idempotency";

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub enum ApiError {
    /// 400: the body.
    InvalidBody(Vec<Issue>),
    /// 400: the query.
    InvalidQuery(Vec<Issue>),
    /// 400: the path, or a header.
    InvalidParams(Vec<Issue>),
    /// 401, 403, 410: refused by the same rules, and in the same words, as a product's customer.
    Refused(Refusal),
    /// 404: there is none, or it is not the caller's to see. The text names the kind of thing only.
    NotFound(&'static str),
    /// 405, with the methods that there are.
    MethodNotAllowed(String),
    /// 408: the body took too long.
    RequestTimeout,
    /// 409: it exists.
    Duplicate(String),
    /// 409: it is in use, or in another state.
    StateConflict(String),
    /// 409: what is to be deleted is in use, each with its path.
    InUse(Vec<Issue>),
    /// 409: the idempotency key was used for something else.
    IdempotencyKeyReused,
    /// 409: the first request with this idempotency key is still running.
    IdempotencyInProgress,
    /// 412: `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed,
    /// 400: it is not HTTP.
    MalformedRequest,
    /// 431: the head is too large.
    HeadTooLarge,
    /// 413: the body is too large.
    PayloadTooLarge(usize),
    /// 415: the body is not JSON.
    UnsupportedMediaType,
    /// 500: the detail is in the log.
    Internal,
    /// 503: storage cannot be reached.
    Unavailable,
}

impl ApiError {
    /// The status and `meta.code`.
    pub const fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::InvalidBody(_) => (400, "invalid_body"),
            Self::InvalidQuery(_) => (400, "invalid_query"),
            Self::InvalidParams(_) => (400, "invalid_params"),
            Self::Refused(refusal) => (refusal.status(), refusal.code()),
            Self::NotFound(_) => (404, "not_found"),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed"),
            Self::RequestTimeout => (408, "request_timeout"),
            Self::Duplicate(_) => (409, "duplicate"),
            Self::StateConflict(_) | Self::InUse(_) => (409, "state_conflict"),
            Self::IdempotencyKeyReused => (409, "idempotency_key_reused"),
            Self::IdempotencyInProgress => (409, "idempotency_in_progress"),
            Self::PreconditionFailed => (412, "precondition_failed"),
            Self::MalformedRequest => (400, "malformed_request"),
            Self::HeadTooLarge => (431, "head_too_large"),
            Self::PayloadTooLarge(_) => (413, "payload_too_large"),
            Self::UnsupportedMediaType => (415, "unsupported_media_type"),
            Self::Internal => (500, "internal_error"),
            Self::Unavailable => (503, "unavailable"),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::InvalidBody(issues) => with_first("The request body is not valid", issues),
            Self::InvalidQuery(issues) => with_first("The query is not valid", issues),
            Self::InvalidParams(issues) => with_first("A parameter is not valid", issues),
            Self::Refused(refusal) => refusal.sentence(),
            Self::NotFound(what) => format!("There is no such {what}"),
            Self::MethodNotAllowed(allowed) => format!("This method is not allowed here. Allowed: {allowed}"),
            Self::RequestTimeout => "The request took too long to arrive".to_owned(),
            Self::Duplicate(sentence) | Self::StateConflict(sentence) => sentence.clone(),
            Self::InUse(issues) => with_first("What is to be deleted is in use", issues),
            Self::IdempotencyKeyReused => "This Idempotency-Key was used for another request".to_owned(),
            Self::IdempotencyInProgress => "The first request with this Idempotency-Key is still running".to_owned(),
            Self::PreconditionFailed => "The resource has changed: the precondition does not hold".to_owned(),
            Self::MalformedRequest => "This is not an HTTP request".to_owned(),
            Self::HeadTooLarge => "The head of the request is too large".to_owned(),
            Self::PayloadTooLarge(max) => format!("The request body is larger than {max} bytes"),
            Self::UnsupportedMediaType => "The request body must be application/json".to_owned(),
            Self::Internal => "Something went wrong here. The request id finds it in the log".to_owned(),
            Self::Unavailable => "Plimsoll cannot answer at the moment".to_owned(),
        }
    }

    /// The body, as a value that batches embed.
    pub fn body(&self) -> Json {
        if let Self::Refused(refusal) = self {
            return serde_json::to_value(refusal.denial().body).unwrap_or_default();
        }
        let (_, code) = self.kind();
        let mut meta = Map::new();
        meta.insert("code".to_owned(), Json::from(code));
        if let Self::InvalidBody(issues) | Self::InvalidQuery(issues) | Self::InvalidParams(issues) | Self::InUse(issues) = self
        {
            let shown: Vec<Issue> = issues.iter().map(shown).collect();
            meta.insert("issues".to_owned(), json!(shown));
        }
        json!({"data": null, "error": self.sentence(), "meta": meta})
    }

    /// What the response says in headers.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        match self {
            Self::Refused(refusal) => {
                refusal.denial().headers.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
            Self::MethodNotAllowed(allowed) => vec![(ALLOW.as_str().to_owned(), allowed.clone())],
            Self::Unavailable => vec![(RETRY_AFTER.as_str().to_owned(), RETRY_SECONDS.to_string())],
            Self::InvalidBody(_)
            | Self::InvalidQuery(_)
            | Self::InvalidParams(_)
            | Self::NotFound(_)
            | Self::RequestTimeout
            | Self::Duplicate(_)
            | Self::StateConflict(_)
            | Self::InUse(_)
            | Self::IdempotencyKeyReused
            | Self::IdempotencyInProgress
            | Self::PreconditionFailed
            | Self::MalformedRequest
            | Self::HeadTooLarge
            | Self::PayloadTooLarge(_)
            | Self::UnsupportedMediaType
            | Self::Internal => Vec::new(),
        }
    }

    /// The answer to record under an idempotency key; nothing for what another try may well answer otherwise.
    pub fn to_recorded(&self) -> Option<Recorded> {
        let (status, _) = self.kind();
        (status < 500).then(|| Recorded { status, body: self.body().to_string().into_bytes(), headers: self.headers() })
    }
}

/// A sentence that names what is wrong, also for those who read no further.
fn with_first(sentence: &str, issues: &[Issue]) -> String {
    match issues.first().map(shown) {
        Some(Issue { path, message }) if path.is_empty() => format!("{sentence}: it {message}"),
        Some(Issue { path, message }) => format!("{sentence}: {path} {message}"),
        None => sentence.to_owned(),
    }
}

/// A finding as it may be told. Its path holds names that the caller chose, such as that of an unknown field.
fn shown(Issue { path, message }: &Issue) -> Issue {
    Issue::new(masked(path), masked(message))
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.kind().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = json_response(self.status_code(), self.body().to_string().into_bytes());
        add_headers(&mut response, self.headers());
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a 404 calls the things that Plimsoll keeps.
pub(super) const fn name_of(object: Object) -> &'static str {
    match object {
        Object::LimitKey => "limit key",
        Object::Tier => "tier",
        Object::TierLimit => "limit in this tier",
        Object::Org => "org",
        Object::Override => "override",
        Object::User => "user",
        Object::Scope => "scope",
        Object::ApiKey => "API key",
        Object::RemovedEndpoint => "removed endpoint",
        Object::Webhook => "webhook",
    }
}

/// The one conversion at the border to storage. What is ours to mend goes to the log, never to the caller.
impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound(object) => Self::NotFound(name_of(*object)),
            StoreError::NoReservation => Self::NotFound("reservation"),
            StoreError::NoDelivery => Self::NotFound("delivery"),
            StoreError::Duplicate(sentence) => Self::Duplicate(sentence.clone()),
            StoreError::Conflict(sentence) => Self::StateConflict(sentence.clone()),
            StoreError::InUse(issues) => Self::InUse(issues.clone()),
            StoreError::PreconditionFailed => Self::PreconditionFailed,
            StoreError::Invalid(issues) => Self::InvalidBody(issues.clone()),
            StoreError::NotKept(since) => {
                let message = format!("must not be before {since}: what was before is no longer kept");
                Self::InvalidQuery(vec![Issue::new("at", message)])
            }
            StoreError::Gone { replacement } => {
                Self::Refused(Refusal::Gone { what: Removed::LimitKey, replacement: replacement.clone() })
            }
            StoreError::IdempotencyKeyReused => Self::IdempotencyKeyReused,
            StoreError::IdempotencyInProgress => Self::IdempotencyInProgress,
            StoreError::TooManyAnswers { retry_after } => {
                Self::Refused(Refusal::RateExceeded { bucket: IDEMPOTENCY_BUCKET.to_owned(), retry_after: *retry_after })
            }
            StoreError::Unavailable(_) | StoreError::Overtaken => {
                tracing::warn!(detail = %error, "storage is unavailable");
                Self::Unavailable
            }
            StoreError::Internal(detail) => {
                tracing::error!(%detail, "storage failed");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}
