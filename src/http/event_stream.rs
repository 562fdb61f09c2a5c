//! The feed as it grows: server-sent events, which a consumer resumes where its connection was lost.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use deserr::Deserr;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::document::{Describe, Description, Doc};
use super::error::ApiError;
use super::events::{EventView, check_kept, filter_of};
use super::extract::{Admin, Permit, Query, Seconds, Sequence};
use super::routes::EVENTS;
use super::service::App;
use crate::domain::issue::Issue;
use crate::domain::names::OrgId;
use crate::domain::refusal::Refusal;
use crate::store::{EventFilter, StoreError};
use crate::wire::{Issues, schema};

/// Streams that one process serves at a time: each holds a connection.
const MOST_STREAMS: usize = 256;
/// What a 429 names when there are so many.
const BUCKET: &str = "eventStreams";
/// Seconds after which one more may be tried.
const RETRY_SECONDS: u64 = 5;
/// Events that are read at a time.
const CHUNK: u64 = 100;
/// How long nothing is said at most: less than the time after which a connection counts as idle.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often a stream looks whether the process is about to stop.
const LOOK: Duration = Duration::from_millis(250);
/// How long a stream goes on when nothing else is asked for. Whoever resumes has to show again that it may.
const USUAL_LENGTH: u64 = 900;
/// What begins a stream: how long a consumer waits before it resumes, in milliseconds.
const BEGINNING: &[u8] = b"retry: 1000\n\n";
/// A comment, which consumers pass over.
const STILL_HERE: &[u8] = b": still here\n\n";

/// The streams that are open, and how far the feed goes.
pub struct Streams {
    open: AtomicUsize,
    last: watch::Sender<u64>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: AtomicUsize::new(0), last: watch::Sender::new(0) }
    }
}

impl Streams {
    /// How far the feed goes, as it grows.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Wakes every stream that has not told so far.
    pub fn announce(&self, last: u64) {
        self.last.send_if_modified(|known| {
            let is_newer = last > *known;
            *known = last.max(*known);
            is_newer
        });
    }
}

/// One of the streams that may be open. Dropped, it makes room for another.
struct Place(App);

impl Place {
    fn take(service: App) -> Result<Self, ApiError> {
        let place = Self(service);
        if service.streams.open.fetch_add(1, Ordering::Relaxed) < MOST_STREAMS {
            return Ok(place);
        }
        Err(Refusal::RateExceeded { bucket: BUCKET.to_owned(), retry_after: RETRY_SECONDS }.into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The last event that a consumer has seen, as it says when it resumes.
pub struct LastEventId(Option<u64>);

impl FromRequest for LastEventId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get("Last-Event-ID") else { return ready(Ok(Self(None))) };
        let number = value.to_str().ok().and_then(Sequence::parse);
        let issue = || Issue::new("Last-Event-ID", "must be the id of an event of the stream: a whole number");
        ready(number.map(|number| Self(Some(number.get()))).ok_or_else(|| ApiError::InvalidParams(vec![issue()])))
    }
}

impl Describe for LastEventId {
    fn describe(description: &mut Description<'_>) {
        description.error("invalid_params");
        let text = "The id of the last event that was seen; it goes before `after`. Clients of server-sent events send it when they resume.";
        description.header_parameter("Last-Event-ID", text, schema::text("^[0-9]{1,15}$", "A place in the feed.", "0"));
    }
}

/// Which events to be told of.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct StreamQuery {
    /// What happened after the event of this `sequence` comes first. What happens from now on when left out.
    #[deserr(default)]
    #[param(inline)]
    after: Option<Sequence>,
    /// Of this type.
    #[deserr(default, rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    /// Of this org.
    #[deserr(default)]
    #[param(inline)]
    org: Option<OrgId>,
    /// The stream ends after so many seconds; 900 when left out. Whoever follows resumes with `Last-Event-ID`.
    #[deserr(default)]
    #[param(inline)]
    max_seconds: Option<Seconds>,
}

/// How the stream is documented.
pub const STREAM: Doc = Doc {
    id: "streamEvents",
    tag: EVENTS,
    summary: "What happens, as it happens: server-sent events",
    text: "Each has the event's `sequence` as its `id`, its type as `event`, and the event as JSON as `data`. A client that resumes with `Last-Event-ID` misses none and gets none twice. \
           A comment comes every ten seconds when nothing else does. A process serves 256 streams at a time; one more is a 429.",
    examples: &[],
    errors: &["rate_limit_exceeded"],
};

/// What happens, as it happens.
pub async fn stream(
    _: Permit<Admin>,
    service: App,
    query: Query<StreamQuery>,
    last_seen: LastEventId,
) -> Result<EventStream, ApiError> {
    let StreamQuery { after, kind, org, max_seconds } = query.0;
    let filter = filter_of(kind.as_deref(), org)?;
    let place = Place::take(service)?;
    service.store.number_events().await?;
    let last = service.store.last_event().await?;
    let after = last_seen.0.or(after.map(Sequence::get));
    // Read for whether it is still kept only.
    check_kept(after, service.store.events_after(last, &EventFilter::default(), 1).await?.swept)?;
    service.streams.announce(last);
    let length = Duration::from_secs(max_seconds.map_or(USUAL_LENGTH, Seconds::get));
    let last = service.streams.follow();
    let ends_at = Instant::now().checked_add(length);
    Ok(EventStream { place, filter, after: after.unwrap_or_else(|| *last.borrow()), last, ends_at, has_begun: false })
}

/// A stream, and how far it has told.
pub struct EventStream {
    place: Place,
    filter: EventFilter,
    after: u64,
    last: watch::Receiver<u64>,
    ends_at: Option<Instant>,
    has_begun: bool,
}

impl EventStream {
    /// What is said next; nothing at the end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.has_begun {
            self.has_begun = true;
            return Some((Ok(Bytes::from_static(BEGINNING)), self));
        }
        let silent_since = Instant::now();
        while !self.is_over() {
            match self.read().await {
                Ok(Some(told)) => return Some((Ok(told), self)),
                Ok(None) => {}
                Err(error) => {
                    // Whoever follows resumes where this ended.
                    tracing::warn!(%error, "a stream of events ended");
                    return None;
                }
            }
            if silent_since.elapsed() >= HEARTBEAT {
                return Some((Ok(Bytes::from_static(STILL_HERE)), self));
            }
            // Whether it woke up or not, it looks again.
            timeout(LOOK, self.last.changed()).await.ok();
        }
        None
    }

    fn is_over(&self) -> bool {
        self.place.0.is_draining() || self.ends_at.is_some_and(|end| Instant::now() >= end)
    }

    /// What has happened since, if something has.
    async fn read(&mut self) -> Result<Option<Bytes>, StoreError> {
        let last = *self.last.borrow_and_update();
        if last <= self.after {
            return Ok(None);
        }
        let feed = self.place.0.store.events_after(self.after, &self.filter, CHUNK).await?;
        if self.after > 0 && self.after < feed.swept {
            return Err(StoreError::Unavailable(
                "it was so far behind that events it has not told are no longer kept".to_owned(),
            ));
        }
        let told: String = feed.events.into_iter().map(|event| self.tell(&event.into())).collect();
        if told.is_empty() {
            self.after = last;
            return Ok(None);
        }
        Ok(Some(Bytes::from(told)))
    }

    fn tell(&mut self, event: &EventView) -> String {
        self.after = event.sequence();
        // Views have string keys and finite numbers only: there is nothing that can fail. JSON has no line breaks.
        let data = serde_json::to_string(event).unwrap_or_default();
        format!("id: {}\nevent: {}\ndata: {data}\n\n", self.after, event.kind())
    }
}

impl Responder for EventStream {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type("text/event-stream");
        if request.method() == Method::HEAD {
            return response.finish();
        }
        response.streaming(unfold(self, Self::next))
    }
}

impl Describe for EventStream {
    fn describe(description: &mut Description<'_>) {
        let text = "Events: `id`, `event` and `data` of each on lines of their own, and an empty line behind.";
        let body = schema::text("^(retry: [0-9]+|:|id:|$)", text, "retry: 1000\n\n");
        description.success_of(200, "text/event-stream", body.into(), &[]);
    }
}
