//! JSON bodies: bounded in size and time, and strict.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpRequest};
use deserr::Deserr;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::super::caller::{self, Identity};
use super::super::document::{Describe, Description};
use super::super::error::ApiError;
use super::super::guard;
use super::super::service::App;
use super::super::watched::Serving;
use crate::domain::issue::Issue;
use crate::wire::{self, Issues};

/// The content type of every body; parameters may follow it.
const JSON: &str = "application/json";
/// The largest body: a catalogue of some thousand values fits several times over.
pub const MAX_BODY_BYTES: usize = 1_048_576;
/// What is read and thrown away of a body that is too large, so that its sender can read the answer.
const MAX_DRAINED_BYTES: usize = 16 * MAX_BODY_BYTES;
/// The longest that a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A JSON body that must be there.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The bytes that said it.
    pub bytes: Vec<u8>,
    /// Whether it was waited for: what was known of the caller before may no longer hold.
    pub is_late: bool,
}

/// A JSON body that may be left out, which means `{}`.
pub struct OptionalBody<T>(pub Body<T>);

async fn read(payload: &mut Payload) -> Result<Vec<u8>, ApiError> {
    let mut bytes = BytesMut::new();
    let mut dropped: usize = 0;
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| ApiError::InvalidBody(vec![Issue::new("", format!("did not arrive whole: {error}"))]))?;
        if dropped == 0 && bytes.len().saturating_add(chunk.len()) <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else {
            dropped = dropped.saturating_add(chunk.len());
            if dropped > MAX_DRAINED_BYTES {
                break;
            }
        }
    }
    if dropped == 0 { Ok(bytes.into()) } else { Err(ApiError::PayloadTooLarge(MAX_BODY_BYTES)) }
}

async fn read_in_time(payload: &mut Payload, serving: Option<Serving>) -> Result<(Vec<u8>, bool), ApiError> {
    let _wanting = serving.as_ref().map(Serving::want_body);
    let mut reading = std::pin::pin!(read(payload));
    // A handler starts before the bytes behind the head are looked at, so the usual body is there at the second look.
    // Only one that is still on its way is worth a timer.
    for _ in 0..2 {
        if let Poll::Ready(bytes) = futures_util::poll!(reading.as_mut()) {
            return bytes.map(|bytes| (bytes, false));
        }
        look_again().await;
    }
    let bytes = tokio::time::timeout(BODY_DEADLINE, reading).await.unwrap_or(Err(ApiError::RequestTimeout));
    bytes.map(|bytes| (bytes, true))
}

/// Waits for the next look, and asks for it at once. Yielding to the runtime would make it ask the system for news first.
async fn look_again() {
    let mut has_asked = false;
    let next_look = |context: &mut Context<'_>| {
        if std::mem::replace(&mut has_asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    };
    poll_fn(next_look).await;
}

/// What came of a body.
struct Arrived {
    bytes: Vec<u8>,
    is_late: bool,
    is_json: bool,
}

/// Reads the body. Whoever was revoked while it was waited for is answered nothing else.
async fn arrived(request: &HttpRequest, mut payload: Payload) -> Result<Arrived, ApiError> {
    let is_json = is_json(request);
    let (bytes, is_late) = read_in_time(&mut payload, request.conn_data().cloned()).await?;
    if is_late {
        Box::pin(still_known(request)).await?;
    }
    Ok(Arrived { bytes, is_late, is_json })
}

async fn still_known(request: &HttpRequest) -> Result<(), ApiError> {
    let Some(service) = request.app_data::<App>() else { return Ok(()) };
    match caller::identify(service, request.headers()).await {
        Some(Identity::Refused(error)) => Err(guard::instead_of_error(error, service, request)),
        Some(Identity::Known(_)) | None => Ok(()),
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    if content_type.is_some_and(|value| value == JSON) {
        return true;
    }
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(JSON))
}

fn parsed<T: Deserr<Issues>>(bytes: &[u8]) -> Result<T, ApiError> {
    wire::document::read(bytes).and_then(wire::parse).map_err(ApiError::InvalidBody)
}

/// A JSON body that must be there and is asked for very often: it is read without a document in between,
/// and only when it is not valid is it read again, to name every issue.
pub struct HotBody<T> {
    /// What it says.
    pub value: T,
    /// The bytes that said it.
    pub bytes: Vec<u8>,
    /// Whether it was waited for: what was known of the caller before may no longer hold.
    pub is_late: bool,
}

impl<T: Deserr<Issues> + DeserializeOwned + 'static> FromRequest for HotBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let Arrived { bytes, is_late, is_json } = arrived(&request, payload).await?;
            if !is_json {
                return Err(ApiError::UnsupportedMediaType);
            }
            let value = serde_json::from_slice(&bytes).or_else(|_| parsed(&bytes))?;
            Ok(Self { value, bytes, is_late })
        })
    }
}

impl<T: ToSchema> Describe for HotBody<T> {
    fn describe(description: &mut Description<'_>) {
        description.body::<T>(true);
    }
}

impl<T: Deserr<Issues> + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let Arrived { bytes, is_late, is_json } = arrived(&request, payload).await?;
            if !is_json {
                return Err(ApiError::UnsupportedMediaType);
            }
            Ok(Self { value: parsed(&bytes)?, bytes, is_late })
        })
    }
}

impl<T: Deserr<Issues> + 'static> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let Arrived { bytes, is_late, is_json } = arrived(&request, payload).await?;
            match bytes.as_slice() {
                [] => Ok(Self(Body { value: parsed(b"{}")?, bytes, is_late })),
                _ if !is_json => Err(ApiError::UnsupportedMediaType),
                written => Ok(Self(Body { value: parsed(written)?, bytes, is_late })),
            }
        })
    }
}

impl<T: ToSchema> Describe for Body<T> {
    fn describe(description: &mut Description<'_>) {
        description.body::<T>(true);
    }
}

impl<T: ToSchema> Describe for OptionalBody<T> {
    fn describe(description: &mut Description<'_>) {
        description.body::<T>(false);
    }
}
