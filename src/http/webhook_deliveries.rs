//! What webhooks are told, and what came of it.

use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::{Page, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Cursor, OptionalBody, PageLimit, Path, Permit, Query, page_of};
use super::orgs::EmptyBody;
use super::routes::WEBHOOKS;
use super::service::App;
use super::writer::{Once, View, Writer};
use crate::domain::event::EventKind;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::webhook::DeliveryState;
use crate::store::commands::Redeliver;
use crate::store::{Delivery, DeliveryFilter, Listing};
use crate::wire::Issues;

/// Something that a webhook is told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its id.
    id: RecordId,
    /// The event's id: what is sent as `webhook-id`.
    event: RecordId,
    /// The event's place in the feed.
    sequence: u64,
    /// What happened.
    #[serde(rename = "type")]
    kind: EventKind,
    /// The org that it happened to; null when it is no org's.
    #[schema(required)]
    org: Option<OrgId>,
    /// `pending` while it is tried or waits, `delivered` when it was taken, `failed` when it is not tried again.
    state: DeliveryState,
    /// Whether it was sent once more by hand.
    manual: bool,
    /// How often it was tried.
    attempts: u64,
    /// When it is tried next at the earliest, if those before it are done; null when it is not.
    #[schema(required)]
    next_attempt_at: Option<UtcMillis>,
    /// When it was tried last.
    #[schema(required)]
    last_attempt_at: Option<UtcMillis>,
    /// The status of the last answer; null when there was none.
    #[schema(required)]
    last_status: Option<u16>,
    /// Why there was no answer.
    #[schema(required)]
    last_error: Option<String>,
    /// How long the last try took, in milliseconds.
    #[schema(required)]
    last_duration_ms: Option<u64>,
    /// When it was written down.
    created_at: UtcMillis,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let Delivery { id, event, sequence, kind, org, state, is_manual, attempts, .. } = delivery;
        let Delivery { next_at, last_at, status, error, duration_ms, created_at, .. } = delivery;
        Self {
            id,
            event,
            sequence,
            kind,
            org,
            state,
            manual: is_manual,
            attempts,
            next_attempt_at: next_at,
            last_attempt_at: last_at,
            last_status: status,
            last_error: error,
            last_duration_ms: duration_ms,
            created_at,
        }
    }
}

/// Which deliveries to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct DeliveriesQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Those of which this became.
    #[deserr(default)]
    #[param(inline)]
    state: Option<DeliveryState>,
    /// Of events of this type.
    #[deserr(default, rename = "type")]
    #[param(rename = "type", inline)]
    kind: Option<EventKind>,
    /// Of events of this org.
    #[deserr(default)]
    #[param(inline)]
    org: Option<OrgId>,
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listWebhookDeliveries",
    tag: WEBHOOKS,
    summary: "What a webhook was told, newest first",
    text: "Each with what came of it. Deliveries are kept as long as their events.",
    examples: &[],
    errors: &["not_found"],
};

/// What a webhook was told.
pub async fn list(
    _: Permit<Admin>,
    service: App,
    path: Path<RecordId>,
    query: Query<DeliveriesQuery>,
) -> Result<Page<DeliveryView>, ApiError> {
    let DeliveriesQuery { limit, cursor, state, kind, org } = query.0;
    let filter = DeliveryFilter { state, kind, org };
    let Listing { items, next } = service.store.deliveries(&path.0, &page_of(limit, cursor), &filter).await?;
    Ok(Page { items: items.into_iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How redelivering is documented.
pub const REDELIVER: Doc = Doc {
    id: "redeliver",
    tag: WEBHOOKS,
    summary: "Send a webhook something once more",
    text: "What was delivered, or is not tried again, is sent again with the same `webhook-id`: a delivery of its own, which holds back nothing and is held back by nothing. \
           What waits is tried at once. 409 `state_conflict` while the webhook is disabled.",
    examples: &[("once more", "{}")],
    errors: &["not_found", "state_conflict"],
};

/// Sends a webhook something once more.
pub async fn redeliver(
    permit: Permit<Admin>,
    path: Path<(RecordId, RecordId)>,
    writer: Writer<Once>,
    body: OptionalBody<EmptyBody>,
) -> Result<Untagged<DeliveryView>, ApiError> {
    let (webhook, delivery) = path.0;
    let made = |delivery: &Delivery| View { status: 200, data: DeliveryView::from(delivery.clone()), revision: None };
    writer.run(&permit, &body.0.bytes, Redeliver { webhook, delivery }, made).await
}
