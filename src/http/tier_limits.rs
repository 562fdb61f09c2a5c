//! The values of a tier, and the retention keys as a table of tiers and days.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Changed, Page, Put, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::{RETENTION, TIERS};
use super::service::App;
use super::writer::{Idempotent, View, Writer};
use crate::clock;
use crate::domain::bound::{Bound, Quantity};
use crate::domain::effective::Source;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::Plan;
use crate::domain::schedule::Schedule;
use crate::domain::time::UtcMillis;
use crate::domain::value::{Value, WrittenValue};
use crate::store::commands::{DeleteTierLimit, PutTierLimit, ScheduleTierLimit};
use crate::store::{Listing, PageRequest, Stored, TierLimit};
use crate::wire::Issues;
use crate::wire::schedule::{ScheduledValue, steps};

/// What a tier says about a limit key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TierLimit)]
pub struct TierLimitView {
    /// Whose value it is.
    tier: TierName,
    /// What it is a value of.
    limit_key: LimitKeyName,
    /// The value that applies now.
    #[schema(value_type = WrittenValue)]
    value: Value,
    /// The value that was set: it applies until something that is scheduled begins.
    #[schema(value_type = WrittenValue)]
    assigned_value: Value,
    /// The values that are to apply from a moment on, in order, also those that have begun.
    #[schema(value_type = Vec<ScheduledValue>)]
    scheduled: Schedule<Value>,
}

impl From<&Stored<TierLimit>> for TierLimitView {
    fn from(stored: &Stored<TierLimit>) -> Self {
        let TierLimit { tier, limit_key, limit } = stored.value.clone();
        let value = limit.at(clock::now());
        Self { tier, limit_key, value, assigned_value: limit.value, scheduled: limit.scheduled }
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
    text: "Orgs on the tier have the new value with the next question. What is above it stays, and only what is new is refused. What is scheduled stays: see `…/scheduled`.",
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

/// How what is scheduled is documented.
pub const GET_SCHEDULED: Doc = Doc {
    id: "getScheduledTierLimit",
    tag: TIERS,
    summary: "A tier's value for a limit key, with what is scheduled",
    text: "",
    examples: &[],
    errors: &["not_found"],
};

/// A tier's value, with what is scheduled of it.
pub async fn get_scheduled(
    _: Permit<Admin>,
    service: App,
    path: Path<(TierName, LimitKeyName)>,
) -> Result<Resource<TierLimitView>, ApiError> {
    let stored = service.store.tier_limit(&path.0.0, &path.0.1).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How scheduling is documented.
pub const PUT_SCHEDULED: Doc = Doc {
    id: "putScheduledTierLimit",
    tag: TIERS,
    summary: "Schedule what a tier's value changes to",
    text: "From each `startsAt` on that `value` applies, to every question at that moment or later, whether or not anybody is there to see it. Replaces what was still to come; \
           what has begun has happened, and stays until the tier's value is set. A `startsAt` that is not in the future is a 400, unless it is scheduled already, so that the same body \
           can be put again. 404 when the tier says nothing about the limit key yet.",
    examples: &[
        ("less from next year on", r#"{"scheduled":[{"startsAt":"2099-01-01T00:00:00Z","value":{"max":3}}]}"#),
        (
            "more for a month",
            r#"{"scheduled":[{"startsAt":"2098-12-01T00:00:00Z","value":{"max":10}},{"startsAt":"2099-01-01T00:00:00Z","value":{"max":5}}]}"#,
        ),
    ],
    errors: &["not_found", "gone"],
};

/// What a tier's value is to change to.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct ScheduledBody {
    /// The values that are to apply from a moment on, in order.
    #[schema(max_items = 16)]
    scheduled: Vec<ScheduledValue>,
}

/// Schedules what a tier's value changes to.
pub async fn put_scheduled(
    permit: Permit<Admin>,
    path: Path<(TierName, LimitKeyName)>,
    writer: Writer<Idempotent>,
    body: Body<ScheduledBody>,
) -> Result<Changed<TierLimitView>, ApiError> {
    let (tier, limit_key) = path.0;
    let command = ScheduleTierLimit { tier, limit_key, scheduled: steps(Some(body.value.scheduled)) };
    writer.run(&permit, &body.bytes, command, View::changed).await
}

/// How taking back is documented.
pub const DELETE_SCHEDULED: Doc = Doc {
    id: "deleteScheduledTierLimit",
    tag: TIERS,
    summary: "Take back what is scheduled of a tier's value",
    text: "What has begun stays until the tier's value is set.",
    examples: &[],
    errors: &["not_found"],
};

/// Takes back what is scheduled of a tier's value.
pub async fn delete_scheduled(
    permit: Permit<Admin>,
    path: Path<(TierName, LimitKeyName)>,
    writer: Writer<Idempotent>,
) -> Result<Changed<TierLimitView>, ApiError> {
    let (tier, limit_key) = path.0;
    writer.run(&permit, &[], ScheduleTierLimit { tier, limit_key, scheduled: Vec::new() }, View::changed).await
}

/// How removing is documented.
pub const DELETE: Doc = Doc {
    id: "deleteTierLimit",
    tag: TIERS,
    summary: "Remove a tier's value, so that the default applies",
    text: "What is scheduled of it goes too.",
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

fn row(plan: &Plan, limit_key: &LimitKey, now: UtcMillis) -> RetentionWindowView {
    let tiers = plan.tiers.iter().map(|(name, tier)| {
        let own = tier.value_of(&limit_key.name, now);
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
    let (now, (plan, _)) = (clock::now(), service.store.plan().await?);
    let keys = plan.limit_keys.values().filter(|limit_key| limit_key.kind() == Kind::Retention && limit_key.archived.is_none());
    let rows = keys.map(|limit_key| (limit_key.name.clone(), row(&plan, limit_key, now))).collect();
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
