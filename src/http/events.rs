//! The feed of events: what happened, in one order, to be read on from where a consumer was.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use deserr::Deserr;
use serde::Serialize;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::{IntoParams, ToSchema};

use super::document::{Describe, Description, Doc};
use super::envelope::{envelope, json_response, success_body};
use super::error::ApiError;
use super::extract::{Admin, PageLimit, Permit, Query, Sequence, page_of};
use super::routes::EVENTS;
use super::service::{App, Service};
use crate::domain::bound::MAX_QUANTITY;
use crate::domain::event::EventKind;
use crate::domain::issue::Issue;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::store::{Event, EventFilter, Feed};
use crate::wire::{Issues, schema};

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView {
    /// Its place in the feed: each later event has a higher one.
    sequence: u64,
    /// Its id. Where an event is delivered more than once, it has the same one.
    id: RecordId,
    /// What happened: `usage.threshold_crossed`, `limit.reached`, `usage.drift_repaired`, `override.lapsing`, `override.lapsed`,
    /// `org.tier_changed`, `org.banned`, `org.unbanned`, `user.banned`, `user.unbanned`, `api_key.rotated`, `webhook.disabled`, `webhook.tested`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: EventKind,
    /// The org that it happened to; null when it is no org's.
    #[schema(required)]
    org: Option<OrgId>,
    /// When.
    at: UtcMillis,
    /// What is known of it; the fields depend on the type.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { sequence, id, kind, org, at, data } = event;
        Self { sequence, id, kind, org, at, data }
    }
}

impl EventView {
    /// Its place in the feed.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What happened.
    pub const fn kind(&self) -> EventKind {
        self.kind
    }
}

/// Which events to read.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct EventsQuery {
    /// How many at most; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// What happened after the event of this `sequence`: `meta.next` of the answer before. From the oldest that is kept when left out.
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
}

/// How the feed is documented.
pub const LIST: Doc = Doc {
    id: "listEvents",
    tag: EVENTS,
    summary: "What happened, oldest first",
    text: "Events are written in the transaction of their cause: there is one if and only if its cause was committed. Ask again with `after` set to `meta.next`: nothing is \
           left out and nothing comes twice. `usage.threshold_crossed` comes at 80 and 100 percent of a cap, or at the limit key's own `thresholds`, each time that usage gets there; `limit.reached` when a taking is refused \
           while something is used, once until there was room again; `override.lapsing` a day before its end; `org.tier_changed` also when a tier that was scheduled begins, then with its `startsAt`. Events are kept for `PLIMSOLL_KEEP_EVENTS_DAYS`; \
           an `after` that is older is a 400.",
    examples: &[],
    errors: &[],
};

/// A part of the feed.
pub struct EventPage {
    events: Vec<EventView>,
    next: u64,
}

#[derive(Serialize)]
struct FeedMeta {
    next: u64,
}

impl Responder for EventPage {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json_response(StatusCode::OK, success_body(&self.events, FeedMeta { next: self.next }))
    }
}

impl Describe for EventPage {
    fn describe(description: &mut Description<'_>) {
        let event = description.reference::<EventView>();
        let next = schema::number(0, MAX_QUANTITY, "Pass it as `after` to go on from here.");
        let meta = ObjectBuilder::new().property("next", next).required("next");
        description.success(200, envelope(ArrayBuilder::new().items(event).into(), meta.into()), &[]);
    }
}

/// What happened.
pub async fn list(_: Permit<Admin>, service: App, query: Query<EventsQuery>) -> Result<EventPage, ApiError> {
    let EventsQuery { limit, after, kind, org } = query.0;
    let filter = filter_of(kind.as_deref(), org)?;
    let after = after.map(Sequence::get);
    service.store.number_events().await?;
    let read = service.store.events_after(after.unwrap_or(0), &filter, page_of(limit, None).limit).await?;
    let Feed { events, swept } = read;
    check_kept(after, swept)?;
    let events: Vec<EventView> = events.into_iter().map(Into::into).collect();
    let next = events.last().map_or(after.unwrap_or(0), |event| event.sequence).max(swept);
    Ok(EventPage { events, next })
}

/// Which events a type and an org select.
pub(super) fn filter_of(kind: Option<&str>, org: Option<OrgId>) -> Result<EventFilter, ApiError> {
    let kind = kind.map(str::parse::<EventKind>).transpose();
    let kind = kind.map_err(|invalid| ApiError::InvalidQuery(vec![Issue::new("type", invalid.0)]))?;
    Ok(EventFilter { kind, org })
}

/// Refuses to go on behind events that are no longer there: whoever asks must know that some are missing.
pub(super) fn check_kept(after: Option<u64>, swept: u64) -> Result<(), ApiError> {
    match after {
        Some(after) if after > 0 && after < swept => {
            let message = format!("must not be below {swept}: older events are no longer kept, so that some are missed");
            Err(ApiError::InvalidQuery(vec![Issue::new("after", message)]))
        }
        Some(_) | None => Ok(()),
    }
}

/// Numbers what is committed, tells who follows how far the feed goes, and writes what the clock makes happen.
pub async fn tend(service: &Service, now: UtcMillis) -> Result<(), crate::store::StoreError> {
    while service.store.tell_lapses(now).await? {}
    while service.store.tell_turns(now).await? {}
    service.store.number_events().await?;
    service.streams.announce(service.store.last_event().await?);
    Ok(())
}
