//! Overrides: values for one org beside its tier.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Created, Page, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::ORGS;
use super::service::App;
use super::texts::{MAX_REASON, Text, checked};
use super::writer::{Idempotent, Once, View, Writer};
use crate::domain::effective::{Mode, Override};
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::value::{Value, WrittenValue};
use crate::store::commands::{CreateOverride, DeleteOverride};
use crate::store::{Listing, OverrideInfo, Stored};
use crate::wire::Issues;

/// An override.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Override)]
pub struct OverrideView {
    /// Its id.
    id: RecordId,
    /// Whose it is.
    org: OrgId,
    /// What it is a value of.
    limit_key: LimitKeyName,
    /// Whether it replaces the tier's value or adds to it.
    mode: Mode,
    /// The value.
    #[schema(value_type = WrittenValue)]
    value: Value,
    /// Why it was given.
    reason: String,
    /// The first moment that it applies at.
    starts_at: UtcMillis,
    /// The first moment that it no longer applies at; null when it does not end.
    #[schema(required)]
    expires_at: Option<UtcMillis>,
    /// When it was made.
    created_at: UtcMillis,
}

impl From<&Stored<OverrideInfo>> for OverrideView {
    fn from(stored: &Stored<OverrideInfo>) -> Self {
        let OverrideInfo { org, inner, reason } = stored.value.clone();
        let Override { id, limit_key, mode, value, starts_at, expires_at } = inner;
        Self { id, org, limit_key, mode, value, reason, starts_at, expires_at, created_at: stored.created_at }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listOverrides",
    tag: ORGS,
    summary: "The overrides of an org, oldest first",
    text: "Also those that have ended or not begun.",
    examples: &[],
    errors: &["not_found"],
};

/// The overrides of an org.
pub async fn list(
    _: Permit<Admin>,
    service: App,
    path: Path<OrgId>,
    query: Query<Paging>,
) -> Result<Page<OverrideView>, ApiError> {
    let Listing { items, next } = service.store.overrides(&path.0, &query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc =
    Doc { id: "getOverride", tag: ORGS, summary: "One override", text: "", examples: &[], errors: &["not_found"] };

/// One override.
pub async fn get(_: Permit<Admin>, service: App, path: Path<(OrgId, RecordId)>) -> Result<Resource<OverrideView>, ApiError> {
    let stored = service.store.override_(&path.0.0, &path.0.1).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating is documented.
pub const CREATE: Doc = Doc {
    id: "createOverride",
    tag: ORGS,
    summary: "Give an org a value beside its tier's",
    text: "`set` replaces the tier's value, `add` adds to it: the effective value is the active `set` override's, else the tier's, else the default, plus all active \
           `add` overrides. Of several active `set` overrides the one that started last wins.",
    examples: &[
        ("ten more", r#"{"limitKey":"max_creators_per_org","mode":"add","value":{"max":10},"reason":"goodwill"}"#),
        (
            "unlimited for a while",
            r#"{"limitKey":"stats_history_retention_days","mode":"set","value":{"unlimited":true},"reason":"trial","expiresAt":"2099-01-01T00:00:00Z"}"#,
        ),
    ],
    errors: &["not_found", "gone"],
};

/// A value for one org.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct OverrideBody {
    /// What it is a value of.
    limit_key: LimitKeyName,
    /// Whether it replaces the tier's value or adds to it.
    mode: Mode,
    /// The value, in the form of the limit key's kind.
    value: WrittenValue,
    /// For people; at most 512 characters.
    #[deserr(default)]
    #[schema(max_length = 512)]
    reason: Option<String>,
    /// The first moment that it applies at; now when left out.
    #[deserr(default)]
    starts_at: Option<UtcMillis>,
    /// The first moment that it no longer applies at; never when left out.
    #[deserr(default)]
    expires_at: Option<UtcMillis>,
}

/// Gives an org an override.
pub async fn create(
    permit: Permit<Admin>,
    path: Path<OrgId>,
    writer: Writer<Once>,
    body: Body<OverrideBody>,
) -> Result<Created<OverrideView>, ApiError> {
    let OverrideBody { limit_key, mode, value, reason, starts_at, expires_at } = body.value;
    checked([Text("reason", reason.as_deref(), MAX_REASON)])?;
    let reason = reason.unwrap_or_default();
    let command = CreateOverride { org: path.0, limit_key, mode, value, reason, starts_at, expires_at };
    writer.run(&permit, &body.bytes, command, View::created).await
}

/// How deleting is documented.
pub const DELETE: Doc =
    Doc { id: "deleteOverride", tag: ORGS, summary: "Take an override back", text: "", examples: &[], errors: &["not_found"] };

/// Takes an override back.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<(OrgId, RecordId)>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<OverrideView>, ApiError> {
    let (org, id) = path.0;
    writer.run(&permit, &[], DeleteOverride { org, id }, View::deleted).await
}
