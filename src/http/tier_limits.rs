//! The values of a tier, and the retention keys as a table of tiers and days.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Page, Put, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::{RETENTION, TIERS};
use super::service::App;
use super::writer::{Idempotent, View, Writer};
use crate::domain::bound::{Bound, Quantity};
use crate::domain::effective::Source;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::Plan;
use crate::domain::value::{Value, WrittenValue};
use crate::store::commands::{DeleteTierLimit, PutTierLimit};
use crate::store::{Listing, PageRequest, Stored, TierLimit};

/// What a tier says about a limit key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TierLimit)]
pub struct TierLimitView {
    /// Whose value it is.
    tier: TierName,
    /// What it is a value of.
    limit_key: LimitKeyName,
    /// The value.
    #[schema(value_type = WrittenValue)]
    value: Value,
}

impl From<&Stored<TierLimit>> for TierLimitView {
    fn from(stored: &Stored<TierLimit>) -> Self {
        let TierLimit { tier, limit_key, value } = stored.value.clone();
        Self { tier, limit_key, value }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listTierLimits",
    tag: TIERS,
    summary: "The values of a tier, by limit key",
    text: "A limit key that is not listed takes its default.",
    examples: &[],
    errors: &["not_found"],
};

/// The values of a tier.
pub async fn list(
    _: Permit<Admin>,
    service: App,
    path: Path<TierName>,
    query: Query<Paging>,
) -> Result<Page<TierLimitView>, ApiError> {
    let Listing { items, next } = service.store.tier_limits(&path.0, &query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How setting is documented.
pub const PUT: Doc = Doc {
    id: "putTierLimit",
    tag: TIERS,
    summary: "Set a tier's value for a limit key",
    text: "Orgs on the tier have the new value with the next question. What is above it stays, and only what is new is refused.",
    examples: &[
        ("count, quota, rate", r#"{"max":5}"#),
        ("retention", r#"{"days":30}"#),
        ("interval", r#"{"min":6}"#),
        ("feature", r#"{"enabled":true}"#),
        ("no limit", r#"{"unlimited":true}"#),
    ],
    errors: &["not_found", "gone"],
};

/// Sets a tier's value.
pub async fn put(
    permit: Permit<Admin>,
    path: Path<(TierName, LimitKeyName)>,
    writer: Writer<Idempotent>,
    body: Body<WrittenValue>,
) -> Result<Put<TierLimitView>, ApiError> {
    let (tier, limit_key) = path.0;
    writer.run(&permit, &body.bytes, PutTierLimit { tier, limit_key, value: body.value }, View::put).await
}

/// How removing is documented.
pub const DELETE: Doc = Doc {
    id: "deleteTierLimit",
    tag: TIERS,
    summary: "Remove a tier's value, so that the default applies",
    text: "",
    examples: &[],
    errors: &["not_found"],
};

/// Removes a tier's value.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<(TierName, LimitKeyName)>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<TierLimitView>, ApiError> {
    let (tier, limit_key) = path.0;
    writer.run(&permit, &[], DeleteTierLimit { tier, limit_key }, View::deleted).await
}

/// One row of the retention table: a retention key, and its days on every tier.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RetentionWindow)]
pub struct RetentionWindowView {
    /// The retention key.
    limit_key: LimitKeyName,
    /// For people.
    description: String,
    /// What applies where a tier says nothing.
    #[schema(value_type = WrittenValue)]
    default: Value,
    /// What applies on each tier, by tier.
    tiers: Vec<TierRetentionView>,
}

/// The days of history on one tier.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TierRetention)]
pub struct TierRetentionView {
    /// The tier.
    tier: TierName,
    /// Days of history; null when unlimited.
    #[schema(required)]
    days: Option<Quantity>,
    /// Whether history is kept for ever.
    unlimited: bool,
    /// `tier`, or `default` where the tier says nothing.
    source: Source,
}

fn row(plan: &Plan, limit_key: &LimitKey) -> RetentionWindowView {
    let tiers = plan.tiers.iter().map(|(name, tier)| {
        let own = tier.limits.get(&limit_key.name).copied();
        let days = match own.unwrap_or(limit_key.default) {
            Value::Days(days) => days,
            Value::Max(_) | Value::Min(_) | Value::Enabled(_) => Bound::Limited(Quantity::ZERO),
        };
        let source = if own.is_some() { Source::Tier } else { Source::Default };
        TierRetentionView { tier: name.clone(), days: days.limit(), unlimited: days == Bound::Unlimited, source }
    });
    RetentionWindowView {
        limit_key: limit_key.name.clone(),
        description: limit_key.description.clone(),
        default: limit_key.default,
        tiers: tiers.collect(),
    }
}

/// The rows of one page, in the order of the names.
fn page(rows: BTreeMap<LimitKeyName, RetentionWindowView>, request: &PageRequest) -> Page<RetentionWindowView> {
    let after = request.after.as_deref().unwrap_or_default();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut rest = rows.into_values().filter(|row| row.limit_key.as_str() > after);
    let items: Vec<RetentionWindowView> = rest.by_ref().take(limit).collect();
    let last = items.last().map(|row| Cursor::of(row.limit_key.as_str()));
    Page { next_cursor: last.filter(|_| rest.next().is_some()), items }
}

/// How the table is documented.
pub const LIST_WINDOWS: Doc = Doc {
    id: "listRetentionWindows",
    tag: RETENTION,
    summary: "The retention keys as a table of tiers and days",
    text: "One row for each retention key; what a tier does not say is its default.",
    examples: &[],
    errors: &[],
};

/// The retention keys as a table of tiers and days.
pub async fn list_windows(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<RetentionWindowView>, ApiError> {
    let (plan, _) = service.store.plan().await?;
    let keys = plan.limit_keys.values().filter(|limit_key| limit_key.kind() == Kind::Retention && limit_key.archived.is_none());
    let rows = keys.map(|limit_key| (limit_key.name.clone(), row(&plan, limit_key))).collect();
    Ok(page(rows, &query.0.into()))
}

/// How setting a window is documented.
pub const PUT_WINDOW: Doc = Doc {
    id: "putRetentionWindow",
    tag: RETENTION,
    summary: "Set the days of history that a tier may read",
    text: "The same as setting the tier's value. 404 when the limit key is not of kind retention.",
    examples: &[("30 days", r#"{"days":30}"#), ("for ever", r#"{"unlimited":true}"#)],
    errors: &["not_found", "gone"],
};

/// Sets the days of history of a tier.
pub async fn put_window(
    permit: Permit<Admin>,
    path: Path<(LimitKeyName, TierName)>,
    writer: Writer<Idempotent>,
    body: Body<WrittenValue>,
) -> Result<Put<TierLimitView>, ApiError> {
    let (limit_key, tier) = path.0;
    let kind = writer.service().store.limit_key(&limit_key).await?.value.kind();
    if kind != Kind::Retention {
        return Err(ApiError::NotFound("retention key"));
    }
    writer.run(&permit, &body.bytes, PutTierLimit { tier, limit_key, value: body.value }, View::put).await
}
