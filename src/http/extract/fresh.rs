//! The catalogue to answer from, as fresh as the caller demands.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};

use super::super::document::{Describe, Description};
use super::super::error::ApiError;
use super::super::service::Service;
use crate::domain::bound::MAX_QUANTITY;
use crate::domain::issue::Issue;
use crate::snapshot::Current;
use crate::wire::schema;

/// Names the revision that an answer must know.
const AT_LEAST: HeaderName = HeaderName::from_static("plimsoll-at-least");
/// Says how old what is known of usage may be, in milliseconds.
const MAX_STALE: HeaderName = HeaderName::from_static("plimsoll-max-stale");
/// The oldest that a caller may accept: a minute.
const MAX_STALE_MILLIS: u64 = 60_000;
/// How long a question waits for the revision that it demands.
const PATIENCE: Duration = Duration::from_secs(1);

/// How fresh the caller demands the answer to be. It is met when the question is judged, not when its head arrives:
/// a body may take its time, and what was changed meanwhile counts.
pub struct Demand {
    at_least: u64,
    max_stale: Duration,
}

/// The catalogue as it is when a question is judged.
pub struct Fresh {
    /// The compiled catalogue.
    pub catalogue: Current,
    /// The revision up to which the answer knows every change.
    pub revision: u64,
    /// How old what is known of usage may be.
    pub max_stale: Duration,
}

impl Demand {
    /// The catalogue now, once it has the revision that is demanded.
    pub async fn met(&self, service: &Service) -> Result<Fresh, ApiError> {
        if self.at_least > service.directory.revision() {
            Box::pin(self.wait(service)).await?;
        }
        // The revision first: what is read after it can only be newer.
        let revision = service.directory.revision();
        Ok(Fresh { catalogue: service.directory.catalogue(), revision, max_stale: self.max_stale })
    }

    async fn wait(&self, service: &Service) -> Result<(), ApiError> {
        // One that was never answered will not come by waiting.
        let latest = service.store.refresh().await?;
        if self.at_least > latest {
            let message = format!("must be a revision that a write was answered with: the latest is {latest}");
            return Err(ApiError::InvalidParams(vec![Issue::new("Plimsoll-At-Least", message)]));
        }
        let caught_up = tokio::time::timeout(PATIENCE, service.directory.reaches(self.at_least)).await;
        caught_up.map_err(|_| ApiError::Unavailable)
    }
}

fn demanded(request: &HttpRequest) -> Result<Demand, ApiError> {
    let revision = "must be a revision: a whole number from 0 to 9007199254740991";
    let at_least = number(request, &AT_LEAST, "Plimsoll-At-Least", MAX_QUANTITY, revision)?;
    let millis = "must be milliseconds: a whole number from 0 to 60000";
    let max_stale = number(request, &MAX_STALE, "Plimsoll-Max-Stale", MAX_STALE_MILLIS, millis)?;
    Ok(Demand { at_least, max_stale: Duration::from_millis(max_stale) })
}

/// The number in a header; 0 without one.
fn number(request: &HttpRequest, header: &HeaderName, name: &str, max: u64, must: &str) -> Result<u64, ApiError> {
    let Some(value) = request.headers().get(header) else { return Ok(0) };
    let text = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number <= max);
    number.ok_or_else(|| ApiError::InvalidParams(vec![Issue::new(name, must)]))
}

impl FromRequest for Demand {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(demanded(request))
    }
}

impl Describe for Demand {
    fn describe(description: &mut Description<'_>) {
        description.error("unavailable");
        description.error("invalid_params");
        let schema = schema::number(0, MAX_QUANTITY, "A catalogue revision.");
        let text = "Answer only from a catalogue that has this revision or a later one: the `meta.revision` of an admin write. \
                    One that no write was answered with is a 400.";
        description.header_parameter("Plimsoll-At-Least", text, schema);
        let schema = schema::number(0, MAX_STALE_MILLIS, "Milliseconds.");
        let text = "How old what is known of usage may be, where several processes share a database; without it, the database is \
                    asked. What takes usage always asks it.";
        description.header_parameter("Plimsoll-Max-Stale", text, schema);
    }
}
