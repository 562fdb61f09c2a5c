//! `If-Match` and `If-None-Match` on writes.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::Type;

use super::super::document::{Describe, Description};
use super::super::error::ApiError;
use crate::domain::issue::Issue;
use crate::store::{Expected, IfMatch};

/// What must hold of the resource for the write to happen.
pub struct Preconditions(pub Expected);

/// Reads both headers. A weak tag never matches: it is no promise about the bytes.
pub fn expected_of(request: &HttpRequest) -> Result<Expected, ApiError> {
    let text = |name: &HeaderName| -> Result<Option<String>, ApiError> {
        let invalid = |_| ApiError::InvalidParams(vec![Issue::new(name.as_str(), "must be visible ASCII")]);
        request.headers().get(name).map(|value| value.to_str().map(str::to_owned)).transpose().map_err(invalid)
    };
    let if_match = text(&IF_MATCH)?.map(|tags| match tags.trim() {
        "*" => IfMatch::Any,
        tags => IfMatch::Revisions(tags.split(',').filter_map(revision_in).collect()),
    });
    let absent = match text(&IF_NONE_MATCH)?.as_deref().map(str::trim) {
        None => false,
        Some("*") => true,
        Some(_) => return Err(ApiError::InvalidParams(vec![Issue::new("If-None-Match", "must be * on a write")])),
    };
    Ok(Expected { if_match, absent })
}

fn revision_in(tag: &str) -> Option<u64> {
    tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

impl FromRequest for Preconditions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(expected_of(request).map(Self))
    }
}

impl Describe for Preconditions {
    fn describe(description: &mut Description<'_>) {
        description.error("precondition_failed");
        let text = || ObjectBuilder::new().schema_type(Type::String);
        description.header_parameter(
            "If-Match",
            "The `ETag` that the resource must still have, or `*`: it must exist.",
            text(),
        );
        if description.creates_or_replaces() {
            description.header_parameter("If-None-Match", "`*`: it must not exist yet.", text().enum_values(Some(["*"])));
        }
    }
}
