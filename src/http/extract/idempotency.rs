//! `Idempotency-Key`: the same request twice has one effect.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::Type;

use super::super::document::{Describe, Description};
use super::super::error::ApiError;
use crate::domain::issue::Issue;

/// The longest key.
const MAX_KEY: usize = 255;

/// The key, if the caller sent one.
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get("Idempotency-Key") else { return ready(Ok(Self(None))) };
        let is_valid = (1..=MAX_KEY).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
        let text = value.to_str().ok().filter(|_| is_valid);
        let issue = || Issue::new("Idempotency-Key", "must be 1 to 255 visible ASCII characters");
        ready(text.map(|text| Self(Some(text.to_owned()))).ok_or_else(|| ApiError::InvalidParams(vec![issue()])))
    }
}

impl Describe for IdempotencyKey {
    fn describe(description: &mut Description<'_>) {
        description.error("idempotency_key_reused");
        description.error("idempotency_in_progress");
        description.error("invalid_params");
        description.error("rate_limit_exceeded");
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
        let text = "The same key, route and body replays the first answer, with `Idempotent-Replayed: true`, for 24 hours. \
                    Bodies are the same if their bytes are. What is refused before it is understood (a body with issues of its own, 401, 403, 413, 415) is not kept. \
                    An answer to an admin write is opened by the credential that it was given to. \
                    A caller that has as many answers kept as it may have is refused with `rate_limit_exceeded` and the bucket `idempotency`.";
        description.header_parameter("Idempotency-Key", text, schema);
    }
}
