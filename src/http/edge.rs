//! The edge that every request passes: its id, who calls, and the headers that every response has.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use tracing::Instrument;
use uuid::Uuid;

use super::caller::{self, Identity};
use super::service::App;
use super::watched::Serving;
use crate::domain::masked::{holds_whole_credential, masked_path};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// The longest request id that is taken over from a caller.
const MAX_REQUEST_ID: usize = 128;

/// The id under which the log speaks of a request.
#[derive(Clone)]
pub struct RequestId(pub HeaderValue);

/// What the edge found out about a request before anybody else looked at it.
pub struct Seen {
    /// The id under which the log speaks of it.
    pub id: RequestId,
    /// Who calls; nothing when no credential was sent.
    pub identity: Option<Identity>,
}

impl RequestId {
    fn of(request: &ServiceRequest) -> Self {
        let is_allowed =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'@' | b'+' | b'/' | b'=');
        let is_well_formed =
            |value: &&HeaderValue| (1..=MAX_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(is_allowed);
        // It goes to the log, the audit log and the answer, where no credential is to be.
        let is_harmless = |value: &&HeaderValue| value.to_str().is_ok_and(|text| !holds_whole_credential(text));
        let given = request.headers().get(&REQUEST_ID).filter(is_well_formed).filter(is_harmless).cloned();
        Self(given.unwrap_or_else(Self::generate))
    }

    fn generate() -> HeaderValue {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::new_v4().simple().encode_lower(&mut buffer);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Passes one request on and sees to what every response has.
pub async fn pass<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let _serving = request.conn_data::<Serving>().map(Serving::begin);
    let id = RequestId::of(&request);
    let service = request.app_data::<App>().copied();
    let is_at_debug = tracing::enabled!(tracing::Level::DEBUG);
    // Without debug logs there is no span to enter; with them every line of the request carries its id.
    let span = if is_at_debug { tracing::debug_span!("request", id = id.as_str()) } else { tracing::Span::none() };
    let mut response = answer(request, next, service, id.clone()).instrument(span).await?;
    if let Some(service) = service {
        service.metrics.answered(response.status().as_u16(), started.elapsed());
    }
    let status = response.status();
    // A probe that says not ready is no failure of this process.
    if status.is_server_error() && response.request().path() != "/readyz" {
        tracing::warn!(request_id = id.as_str(), status = status.as_u16(), method = %response.request().method(), path = %masked_path(response.request().path()), "a request failed");
    } else if is_at_debug {
        tracing::debug!(request_id = id.as_str(), status = status.as_u16(), method = %response.request().method(), path = %masked_path(response.request().path()), "answered");
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.0);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    Ok(response)
}

async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    service: Option<App>,
    id: RequestId,
) -> Result<ServiceResponse<B>, Error> {
    let identity = match &service {
        Some(service) => caller::identify(service, request.headers()).await,
        None => None,
    };
    request.extensions_mut().insert(Seen { id, identity });
    next.call(request).await
}
