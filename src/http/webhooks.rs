//! Webhooks: endpoints that are told of events.

use std::collections::BTreeSet;

use deserr::Deserr;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Changed, Created, Page, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, OptionalBody, Paging, Path, Permit, Query};
use super::orgs::EmptyBody;
use super::routes::WEBHOOKS;
use super::service::{App, Service};
use super::texts::{Text, checked};
use super::writer::{Idempotent, Once, View, Writer};
use crate::domain::bound::Quantity;
use crate::domain::event::EventKind;
use crate::domain::issue::Issue;
use crate::domain::limit_key::MAX_DESCRIPTION;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::webhook::{Because, USUAL_OVERLAP_SECONDS};
use crate::store::commands::{
    CreateWebhook, DeleteWebhook, DisableWebhook, EnableWebhook, PatchWebhook, RotateWebhookSecret, TestWebhook,
};
use crate::store::{KeptSecret, Listing, Stored, Webhook};
use crate::webhooks::checked_url;
use crate::wire::Issues;
use crate::wire::patch::Patch;

/// The longest overlap of a rotation: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 2_592_000;

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its id.
    id: RecordId,
    /// Where it is.
    url: String,
    /// For people.
    description: String,
    /// The types of events that it is told of; null for all.
    #[schema(required)]
    types: Option<BTreeSet<EventKind>>,
    /// The org whose events it is told of; null for those of all, and of none.
    #[schema(required)]
    org: Option<OrgId>,
    /// Whether it is told of anything.
    enabled: bool,
    /// Why it is not: `admin`, `gone` (it answered 410), or `failing` (for days, and nothing else); null when it is.
    #[schema(required, value_type = Option<String>)]
    disabled_because: Option<Because>,
    /// Since when it is not; null when it is.
    #[schema(required)]
    disabled_at: Option<UtcMillis>,
    /// When it was made.
    created_at: UtcMillis,
    /// When it last changed.
    updated_at: UtcMillis,
}

/// A webhook with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookWithSecret)]
pub struct WebhookWithSecret {
    /// What messages are verified with, by any library for Standard Webhooks.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    secret: String,
    /// The webhook.
    #[serde(flatten)]
    #[schema(inline)]
    webhook: WebhookView,
}

impl From<&Stored<Webhook>> for WebhookView {
    fn from(stored: &Stored<Webhook>) -> Self {
        let Webhook { id, url, description, types, org, disabled } = stored.value.clone();
        Self {
            id,
            url,
            description,
            types,
            org,
            enabled: disabled.is_none(),
            disabled_because: disabled.map(|disabled| disabled.because),
            disabled_at: disabled.map(|disabled| disabled.at),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

fn with_secret(secret: SecretString) -> impl FnOnce(&Stored<Webhook>) -> View<WebhookWithSecret> + Send + 'static {
    move |stored| {
        let data = WebhookWithSecret { secret: secret.expose_secret().to_owned(), webhook: stored.into() };
        View { status: 201, data, revision: Some(stored.revision) }
    }
}

fn new_secret(service: &Service) -> Result<(SecretString, KeptSecret), ApiError> {
    service.vault.make().map_err(|error| {
        tracing::error!(%error, "the system has no randomness");
        ApiError::Internal
    })
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listWebhooks",
    tag: WEBHOOKS,
    summary: "All webhooks, oldest first",
    text: "Secrets are never shown again.",
    examples: &[],
    errors: &[],
};

/// All webhooks.
pub async fn list(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<WebhookView>, ApiError> {
    let Listing { items, next } = service.store.webhooks(&query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc =
    Doc { id: "getWebhook", tag: WEBHOOKS, summary: "One webhook", text: "", examples: &[], errors: &["not_found"] };

/// One webhook.
pub async fn get(_: Permit<Admin>, service: App, path: Path<RecordId>) -> Result<Resource<WebhookView>, ApiError> {
    let stored = service.store.webhook(&path.0).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating is documented.
pub const CREATE: Doc = Doc {
    id: "createWebhook",
    tag: WEBHOOKS,
    summary: "Let an endpoint be told of events",
    text: "Events from now on are sent to it by POST, as [Standard Webhooks](https://www.standardwebhooks.com) has it: `webhook-id` (the event's id, the same each time), \
           `webhook-timestamp`, `webhook-signature`, and the body `{\"type\", \"timestamp\", \"id\", \"sequence\", \"org\", \"data\"}`. The secret is in `secret`, this once.\n\n\
           Each event comes at least once, and those of an org in their order: one that is not taken holds back the later ones of its org at this endpoint, and nothing else. \
           Only 2xx means taken; a redirect does not. What is not taken is tried again for three days; 410 disables the webhook at once, and nothing but failures for as long as \
           a delivery is tried disables it too.\n\nThe URL must be http or https, hold no credentials, and lead to the public internet unless `PLIMSOLL_WEBHOOK_ALLOW_PRIVATE` allows \
           more: addresses are judged here, names each time that they are connected to. There may be 64 webhooks.",
    examples: &[
        ("every event", r#"{"url":"https://example.com/plimsoll","description":"Billing"}"#),
        (
            "thresholds of one org",
            r#"{"url":"https://example.com/plimsoll","types":["usage.threshold_crossed","limit.reached"],"org":"demo-free"}"#,
        ),
    ],
    errors: &["state_conflict"],
};

/// A webhook to make.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct WebhookBody {
    /// Where it is: an http or https URL.
    #[schema(pattern = "^https?://", max_length = 2048, example = "https://example.com/plimsoll")]
    url: String,
    /// For people; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The types of events that it is told of; all when left out.
    #[deserr(default)]
    #[schema(min_items = 1)]
    types: Option<Vec<EventKind>>,
    /// The org whose events it is told of; when left out those of all, and what happens to no org.
    #[deserr(default)]
    org: Option<OrgId>,
}

/// Everything that is wrong with what a body says of a webhook.
fn judge(service: &Service, url: Option<&str>, types: Option<&[EventKind]>) -> Result<(), ApiError> {
    let url = url.and_then(|url| checked_url(url, &service.webhooks_allowed).err()).map(|invalid| invalid.at("url"));
    let none = types.is_some_and(<[EventKind]>::is_empty);
    let types = none.then(|| Issue::new("types", "must have at least one item, or be left out for all"));
    let issues: Vec<Issue> = url.into_iter().chain(types).collect();
    if issues.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody(issues)) }
}

/// Makes a webhook.
pub async fn create(
    permit: Permit<Admin>,
    writer: Writer<Once>,
    body: Body<WebhookBody>,
) -> Result<Created<WebhookWithSecret>, ApiError> {
    let WebhookBody { url, description, types, org } = body.value;
    checked([Text("description", description.as_deref(), MAX_DESCRIPTION)])?;
    judge(writer.service(), Some(&url), types.as_deref())?;
    let (secret, kept) = new_secret(writer.service())?;
    let (description, types) = (description.unwrap_or_default(), types.map(|types| types.into_iter().collect()));
    // What happened before it was made comes before it in the feed.
    writer.service().store.number_events().await?;
    let command = CreateWebhook { url, description, types, org, secret: kept };
    writer.run(&permit, &body.bytes, command, with_secret(secret)).await
}

/// How changing is documented.
pub const PATCH: Doc = Doc {
    id: "patchWebhook",
    tag: WEBHOOKS,
    summary: "Change a webhook",
    text: "What is left out stays; `null` clears `types` and `org`. What waits goes to the new URL; what it is told of changes for events that come.",
    examples: &[("another address", r#"{"url":"https://example.com/other"}"#), ("every type", r#"{"types":null}"#)],
    errors: &["not_found"],
};

/// What to change of a webhook.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct WebhookPatchBody {
    /// Where it is: an http or https URL.
    #[deserr(default)]
    #[schema(pattern = "^https?://", max_length = 2048, example = "https://example.com/plimsoll")]
    url: Option<String>,
    /// For people; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The types of events that it is told of; null for all.
    #[deserr(default)]
    #[schema(value_type = Option<Vec<EventKind>>, min_items = 1)]
    types: Patch<Vec<EventKind>>,
    /// The org whose events it is told of; null for those of all, and of none.
    #[deserr(default)]
    #[schema(value_type = Option<OrgId>)]
    org: Patch<OrgId>,
}

/// Changes a webhook.
pub async fn patch(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Idempotent>,
    body: Body<WebhookPatchBody>,
) -> Result<Changed<WebhookView>, ApiError> {
    let WebhookPatchBody { url, description, types, org } = body.value;
    checked([Text("description", description.as_deref(), MAX_DESCRIPTION)])?;
    let types: Option<Option<Vec<EventKind>>> = types.into();
    judge(writer.service(), url.as_deref(), types.as_ref().and_then(Option::as_deref))?;
    let types = types.map(|types| types.map(|types| types.into_iter().collect()));
    let command = PatchWebhook { id: path.0, url, description, types, org: org.into() };
    writer.run(&permit, &body.bytes, command, View::changed).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteWebhook",
    tag: WEBHOOKS,
    summary: "Delete a webhook with its deliveries",
    text: "What waits is not delivered. The audit log keeps what it was.",
    examples: &[],
    errors: &["not_found"],
};

/// Deletes a webhook.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<WebhookView>, ApiError> {
    writer.run(&permit, &[], DeleteWebhook { id: path.0 }, View::deleted).await
}

/// How rotating is documented.
pub const ROTATE: Doc = Doc {
    id: "rotateWebhookSecret",
    tag: WEBHOOKS,
    summary: "Give a webhook a new secret",
    text: "The new secret is in `secret`, this once. Messages are signed by the older ones too for `overlapSeconds`, a day when it is left out: verify with the new one from \
           whenever it suits you within that time. 409 `state_conflict` while five secrets sign.",
    examples: &[("an hour's overlap", r#"{"overlapSeconds":3600}"#)],
    errors: &["not_found", "state_conflict"],
};

/// How to rotate.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct RotateSecretBody {
    /// Seconds for which the older secrets sign too, from 0 to 2592000 (30 days); 86400 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<Quantity>,
}

/// Gives a webhook a new secret.
pub async fn rotate(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Once>,
    body: OptionalBody<RotateSecretBody>,
) -> Result<Created<WebhookWithSecret>, ApiError> {
    let given = body.0.value.overlap_seconds;
    let overlap_seconds = given.map_or(USUAL_OVERLAP_SECONDS, Quantity::get);
    if overlap_seconds > MAX_OVERLAP_SECONDS {
        let range = format!("must be a whole number from 0 to {MAX_OVERLAP_SECONDS}");
        return Err(ApiError::InvalidBody(vec![Issue::new("overlapSeconds", range)]));
    }
    let (secret, kept) = new_secret(writer.service())?;
    let command = RotateWebhookSecret { id: path.0, overlap_seconds, secret: kept };
    writer.run(&permit, &body.0.bytes, command, with_secret(secret)).await
}

/// How enabling is documented.
pub const ENABLE: Doc = Doc {
    id: "enableWebhook",
    tag: WEBHOOKS,
    summary: "Tell a webhook again",
    text: "It goes on where it was: what happened meanwhile is delivered, in order, as far as events are kept. With `\"skipMissed\": true` it is told of what happens from now on.",
    examples: &[("from where it was", "{}"), ("from now on", r#"{"skipMissed":true}"#)],
    errors: &["not_found"],
};

/// Where to go on.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct EnableBody {
    /// Whether what happened meanwhile is left out. No when left out.
    #[deserr(default)]
    skip_missed: Option<bool>,
}

/// Tells a webhook again.
pub async fn enable(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Once>,
    body: OptionalBody<EnableBody>,
) -> Result<Changed<WebhookView>, ApiError> {
    writer.service().store.number_events().await?;
    let command = EnableWebhook { id: path.0, skip_missed: body.0.value.skip_missed == Some(true) };
    writer.run(&permit, &body.0.bytes, command, View::changed).await
}

/// How disabling is documented.
pub const DISABLE: Doc = Doc {
    id: "disableWebhook",
    tag: WEBHOOKS,
    summary: "Tell a webhook nothing for a while",
    text: "What happens meanwhile waits until it is enabled, as far as events are kept.",
    examples: &[("disable", "{}")],
    errors: &["not_found"],
};

/// Tells a webhook nothing for a while.
pub async fn disable(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Once>,
    body: OptionalBody<EmptyBody>,
) -> Result<Changed<WebhookView>, ApiError> {
    let command = DisableWebhook { id: path.0, because: Because::Admin, url: None };
    writer.run(&permit, &body.0.bytes, command, View::changed).await
}

/// How testing is documented.
pub const TEST: Doc = Doc {
    id: "testWebhook",
    tag: WEBHOOKS,
    summary: "Send a webhook an event to try it",
    text: "An event `webhook.tested` happens, which is sent to this webhook only, whatever it is told of else. What came of it is among its deliveries.",
    examples: &[("test", "{}")],
    errors: &["not_found", "state_conflict"],
};

/// Sends a webhook an event to try it.
pub async fn test(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Once>,
    body: OptionalBody<EmptyBody>,
) -> Result<Changed<WebhookView>, ApiError> {
    writer.run(&permit, &body.0.bytes, TestWebhook { id: path.0 }, View::changed).await
}
