//! Limit keys.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Changed, Page, Put, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, OptionalBody, Paging, Path, Permit, Query};
use super::routes::LIMIT_KEYS;
use super::service::App;
use super::writer::{Idempotent, Once, View, Writer};
use crate::clock;
use crate::domain::limit_key::{Kind, Per};
use crate::domain::limit_key::{LimitKey, Rule, WrittenLimitKey};
use crate::domain::names::LimitKeyName;
use crate::domain::threshold::Thresholds;
use crate::domain::time::UtcMillis;
use crate::domain::value::{Value, WrittenValue};
use crate::domain::window::Window;
use crate::store::commands::{ArchiveLimitKey, DeleteLimitKey, PutLimitKey};
use crate::store::{Listing, Stored};
use crate::wire::Issues;
use crate::wire::limit_key::LimitKeyBody;

/// A limit key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LimitKey)]
pub struct LimitKeyView {
    /// Its name.
    limit_key: LimitKeyName,
    /// Its kind.
    kind: Kind,
    /// What it is counted per.
    #[schema(value_type = String)]
    per: String,
    /// The value where a tier says nothing.
    #[schema(value_type = WrittenValue)]
    default: Value,
    /// count and quota: the percents of the cap whose crossing is told as an event, when they are not 80 and 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>)]
    thresholds: Option<Thresholds>,
    /// For people.
    description: String,
    /// quota: the calendar window.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    /// quota: what is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// rate: the length of the sliding window in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u64>,
    /// rate: the name that the refusal carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// quota and rate: whether every request through the gate takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_request: Option<bool>,
    /// interval: the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// Whether it is archived: asked about no more.
    archived: bool,
    /// Since when; null when it is not.
    #[schema(required)]
    archived_at: Option<UtcMillis>,
    /// The limit key to ask about instead, when it is archived.
    #[schema(required)]
    replacement: Option<LimitKeyName>,
    /// When it was made.
    created_at: UtcMillis,
    /// When it last changed.
    updated_at: UtcMillis,
}

impl From<&Stored<LimitKey>> for LimitKeyView {
    fn from(stored: &Stored<LimitKey>) -> Self {
        let LimitKey { name, rule, per, default, thresholds, description, archived } = stored.value.clone();
        let mut view = Self {
            limit_key: name,
            kind: rule.kind(),
            per: Per::as_str(&per).to_owned(),
            default,
            thresholds,
            description,
            window: None,
            label: None,
            window_seconds: None,
            bucket: None,
            per_request: None,
            unit: None,
            archived: archived.is_some(),
            archived_at: archived.as_ref().map(|archived| archived.at),
            replacement: archived.and_then(|archived| archived.replacement),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        };
        match rule {
            Rule::Quota { window, label, per_request } => {
                (view.window, view.label, view.per_request) = (Some(window), Some(label), Some(per_request));
            }
            Rule::Rate { window_seconds, bucket, per_request } => {
                view.window_seconds = Some(window_seconds);
                (view.bucket, view.per_request) = (Some(bucket), Some(per_request));
            }
            Rule::Interval { unit } => view.unit = Some(unit),
            Rule::Count | Rule::Retention | Rule::Feature => {}
        }
        view
    }
}

/// How the list is documented.
pub const LIST: Doc =
    Doc { id: "listLimitKeys", tag: LIMIT_KEYS, summary: "All limit keys, by name", text: "", examples: &[], errors: &[] };

/// All limit keys.
pub async fn list(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<LimitKeyView>, ApiError> {
    let Listing { items, next } = service.store.limit_keys(&query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc =
    Doc { id: "getLimitKey", tag: LIMIT_KEYS, summary: "One limit key", text: "", examples: &[], errors: &["not_found"] };

/// One limit key.
pub async fn get(_: Permit<Admin>, service: App, path: Path<LimitKeyName>) -> Result<Resource<LimitKeyView>, ApiError> {
    let stored = service.store.limit_key(&path.0).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating and replacing is documented.
pub const PUT: Doc = Doc {
    id: "putLimitKey",
    tag: LIMIT_KEYS,
    summary: "Create or replace a limit key",
    text: "Replacing says everything anew: what is left out takes its default, and an archived limit key that is put without `archived` is asked about again. \
           The kind cannot change while a tier or an override holds a value for it: 409 `state_conflict`.",
    examples: &[
        ("count", r#"{"kind":"count","per":"org","default":{"max":0},"description":"Saved reports across all projects"}"#),
        ("with thresholds of its own", r#"{"kind":"count","default":{"max":0},"thresholds":[50,90,100]}"#),
        ("quota", r#"{"kind":"quota","window":"day","label":"API request","perRequest":true,"default":{"max":0}}"#),
        ("rate", r#"{"kind":"rate","windowSeconds":60,"bucket":"v1Api","perRequest":true,"default":{"max":60}}"#),
        ("retention", r#"{"kind":"retention","default":{"days":30}}"#),
        ("interval", r#"{"kind":"interval","unit":"hours","default":{"min":24}}"#),
        ("feature", r#"{"kind":"feature","default":{"enabled":false}}"#),
    ],
    errors: &["state_conflict"],
};

/// Creates or replaces a limit key.
pub async fn put(
    permit: Permit<Admin>,
    path: Path<LimitKeyName>,
    writer: Writer<Idempotent>,
    body: Body<LimitKeyBody>,
) -> Result<Put<LimitKeyView>, ApiError> {
    let written = WrittenLimitKey::from(body.value);
    let limit_key = written.named(path.0, "", clock::now()).map_err(ApiError::InvalidBody)?;
    writer.run(&permit, &body.bytes, PutLimitKey { limit_key }, View::put).await
}

/// How archiving is documented.
pub const ARCHIVE: Doc = Doc {
    id: "archiveLimitKey",
    tag: LIMIT_KEYS,
    summary: "Ask about it no more",
    text: "From now on questions about it are answered 410 `gone`, with the replacement if one is named. Its values and what it counted stay.",
    examples: &[("without a replacement", "{}"), ("with one", r#"{"replacement":"max_projects_per_org"}"#)],
    errors: &["not_found", "state_conflict"],
};

/// What to ask about instead.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct ArchiveBody {
    /// The limit key to ask about instead.
    #[deserr(default)]
    replacement: Option<LimitKeyName>,
}

/// Archives a limit key.
pub async fn archive(
    permit: Permit<Admin>,
    path: Path<LimitKeyName>,
    writer: Writer<Once>,
    body: OptionalBody<ArchiveBody>,
) -> Result<Changed<LimitKeyView>, ApiError> {
    let command = ArchiveLimitKey { name: path.0, replacement: body.0.value.replacement };
    writer.run(&permit, &body.0.bytes, command, View::changed).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteLimitKey",
    tag: LIMIT_KEYS,
    summary: "Delete a limit key that is not in use",
    text: "409 `state_conflict` while a tier, an override or another limit key's `replacement` names it: archive it instead.",
    examples: &[],
    errors: &["not_found", "state_conflict"],
};

/// Deletes a limit key.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<LimitKeyName>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<LimitKeyView>, ApiError> {
    writer.run(&permit, &[], DeleteLimitKey { name: path.0 }, View::deleted).await
}
