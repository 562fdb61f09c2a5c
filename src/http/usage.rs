//! What orgs have used, and how it is set right.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::consume::COUNTED;
use super::document::{Description, Doc};
use super::entitlements::is_counted_per_org;
use super::envelope::{Page, envelope, null};
use super::error::ApiError;
use super::extract::{Body, Cursor, Demand, Fresh, PageLimit, Path, Permit, Query, Read, Write, page_of};
use super::judge::visible_org;
use super::routes::TAKING;
use super::service::App;
use super::taker::{Aim, Taken, TakenForm, Taker, WrittenTaking, answer};
use crate::clock;
use crate::domain::bound::{Bound, Quantity};
use crate::domain::counter::Counter;
use crate::domain::effective::{Effective, Source};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey, Per};
use crate::domain::names::{LimitKeyName, OrgId, ResourceId};
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;
use crate::ledger::{CounterUsage, Operation, Outcome, UsagePage, UsagePlace, span_of};
use crate::snapshot::KnownOrg;
use crate::wire::Issues;

/// What an org has used of one limit key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub struct UsageView {
    /// The limit key.
    limit_key: LimitKeyName,
    /// Its kind: count or quota.
    kind: Kind,
    /// The resource that it is counted for; null for the org as a whole.
    #[schema(required)]
    resource: Option<ResourceId>,
    /// What is used.
    used: Quantity,
    /// What is held by reservations.
    held: Quantity,
    /// Both together: what counts against the cap.
    current: Quantity,
    /// The cap; null when unlimited.
    #[schema(required)]
    max: Option<Quantity>,
    /// Whether there is no cap.
    unlimited: bool,
    /// What is left, never below 0; null when unlimited.
    #[schema(required)]
    remaining: Option<Quantity>,
    /// Whether more is taken than the cap allows, as after a downgrade: it stays, and blocks only what is new.
    over: bool,
    /// Where the cap came from.
    source: Source,
    /// quota: the window's first moment.
    #[schema(required)]
    window_start: Option<UtcMillis>,
    /// quota: the first moment of the next window.
    #[schema(required)]
    resets_at: Option<UtcMillis>,
}

fn usage_view(limit_key: &LimitKey, effective: Effective, found: CounterUsage, now: UtcMillis) -> UsageView {
    let usage = found.counter.usage(now);
    let max = match effective.value {
        Value::Max(max) => max,
        Value::Days(_) | Value::Min(_) | Value::Enabled(_) => Bound::Limited(Quantity::ZERO),
    };
    let span = span_of(limit_key, now);
    UsageView {
        limit_key: limit_key.name.clone(),
        kind: limit_key.kind(),
        resource: found.place.resource,
        used: usage.used,
        held: usage.held,
        current: usage.taken(),
        max: max.limit(),
        unlimited: max == Bound::Unlimited,
        remaining: max.remaining(usage.taken()),
        over: max.limit().is_some_and(|max| usage.taken() > max),
        source: effective.source,
        window_start: span.map(|span| span.start),
        resets_at: span.map(|span| span.end),
    }
}

/// Which usage to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct UsageQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Of this limit key.
    #[deserr(default)]
    #[param(inline)]
    limit_key: Option<LimitKeyName>,
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listUsage",
    tag: TAKING,
    summary: "What an org has used, by limit key and resource",
    text: "Limit keys of kind count and quota that are not archived. What is counted per org is always listed, also when nothing is used; what is counted per resource once something was taken. \
           Of a quota, the present window.",
    examples: &[],
    errors: &["not_found"],
};

/// What an org has used.
pub async fn list(
    permit: Permit<Read>,
    demand: Demand,
    service: App,
    path: Path<OrgId>,
    query: Query<UsageQuery>,
) -> Result<Page<UsageView>, ApiError> {
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let (org, UsageQuery { limit, cursor, limit_key: only }) = (path.0, query.0);
    let facts = visible_org(&service, &fresh, &permit.caller, &org, now).await?;
    let page = page_of(limit, cursor);
    let after = page.after.as_deref().map(place_of).transpose()?;
    let wanted = page.limit.saturating_add(1);
    let mut stored = service
        .ledger
        .counters_of(&org, UsagePage { only: only.as_ref(), after: after.as_ref(), limit: wanted }, now, fresh.max_stale)
        .await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = stored.len() > limit;
    stored.truncate(limit);
    let end = stored.last().map(|last| last.place.clone()).filter(|_| has_more);
    let is_within = |place: &UsagePlace| {
        after.as_ref().is_none_or(|after| place > after)
            && end.as_ref().is_none_or(|end| place <= end)
            && only.as_ref().is_none_or(|only| place.limit_key == *only)
    };
    let mut listed: BTreeMap<UsagePlace, CounterUsage> =
        unused(&fresh, now).filter(|found| is_within(&found.place)).map(by_place).collect();
    listed.extend(stored.into_iter().map(by_place));
    let items: Vec<_> = listed.into_values().collect();
    let next = items.get(limit.saturating_sub(1)).filter(|_| items.len() > limit).map(|last| last.place.clone()).or(end);
    let items = items.into_iter().take(limit).filter_map(|found| shown(&fresh, &facts, found, now)).collect();
    Ok(Page { items, next_cursor: next.as_ref().map(|place| Cursor::of(&key_of(place))) })
}

fn by_place(found: CounterUsage) -> (UsagePlace, CounterUsage) {
    (found.place.clone(), found)
}

/// A counter of nothing for every limit key that is counted per org.
fn unused(fresh: &Fresh, now: UtcMillis) -> impl Iterator<Item = CounterUsage> {
    let limit_keys = fresh.catalogue.active_limit_keys().into_iter().filter(|limit_key| is_counted_per_org(limit_key));
    limit_keys.map(move |limit_key| CounterUsage {
        place: UsagePlace { limit_key: limit_key.name.clone(), resource: None },
        window_start: span_of(limit_key, now).map_or(0, |span| span.start.get()),
        counter: Counter::default(),
    })
}

/// What is shown of a counter. One that was made when its limit key was another is not shown.
fn shown(fresh: &Fresh, facts: &KnownOrg, found: CounterUsage, now: UtcMillis) -> Option<UsageView> {
    let limit_key = fresh.catalogue.limit_key(&found.place.limit_key)?;
    let is_present = span_of(limit_key, now).map_or(0, |span| span.start.get()) == found.window_start;
    let is_per_org = limit_key.per == Per::Org;
    let fits = is_present && is_per_org == found.place.resource.is_none() && COUNTED.contains(&limit_key.kind());
    let effective = fresh.catalogue.effective(facts, limit_key, now);
    (fits && limit_key.archived.is_none()).then(|| usage_view(limit_key, effective, found, now))
}

/// No name has a space in it.
fn key_of(UsagePlace { limit_key, resource }: &UsagePlace) -> String {
    format!("{limit_key} {}", resource.as_ref().map_or("", ResourceId::as_str))
}

fn place_of(key: &str) -> Result<UsagePlace, ApiError> {
    let invalid = || ApiError::InvalidQuery(vec![Issue::new("cursor", "must be the nextCursor of an earlier page")]);
    let (limit_key, resource) = key.split_once(' ').ok_or_else(invalid)?;
    let limit_key = LimitKeyName::parse(limit_key).map_err(|_| invalid())?;
    let resource = if resource.is_empty() { None } else { Some(ResourceId::parse(resource).map_err(|_| invalid())?) };
    Ok(UsagePlace { limit_key, resource })
}

/// The true count.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ReconcileBody {
    /// What there really is, without what reservations hold.
    current: Quantity,
    /// The resource, required when the limit key's `per` is not `org`, and refused otherwise.
    #[deserr(default)]
    resource: Option<ResourceId>,
    /// Only look how far the record is off.
    #[deserr(default)]
    dry_run: Option<bool>,
}

/// How far the record was off.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reconciliation)]
struct ReconcileView<'a> {
    /// The org.
    org: &'a OrgId,
    /// The limit key.
    limit_key: &'a LimitKeyName,
    /// The resource.
    #[schema(required)]
    resource: Option<&'a ResourceId>,
    /// What was recorded before, without what reservations hold.
    recorded: Quantity,
    /// What there really is.
    actual: Quantity,
    /// `actual` minus `recorded`.
    drift: i64,
    /// Whether `actual` is what is recorded now by this call: false for a dry run.
    applied: bool,
}

/// 200 with the drift.
pub struct ReconcileForm;

impl TakenForm for ReconcileForm {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<ReconcileView<'_>>();
        description.success(200, envelope(schema, null()), &[]);
    }
}

/// How reconciling is documented.
pub const RECONCILE: Doc = Doc {
    id: "reconcileUsage",
    tag: TAKING,
    summary: "Set usage to the true count",
    text: "The owner of the things counts them, and the record follows; also above the cap, where it blocks only what is new. For a quota, the present window. \
           What reservations hold stays held beside it.",
    examples: &[("look only", r#"{"current":3,"dryRun":true}"#), ("apply", r#"{"current":3}"#)],
    errors: &["not_found", "gone", "state_conflict"],
};

/// Sets usage to the true count.
pub async fn reconcile(
    permit: Permit<Write>,
    demand: Demand,
    path: Path<(OrgId, LimitKeyName)>,
    taker: Taker,
    body: Body<ReconcileBody>,
) -> Result<Taken<ReconcileForm>, ApiError> {
    let ((org, limit_key), ReconcileBody { current: actual, resource, dry_run }) = (path.0, body.value);
    let service = taker.service();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let facts = visible_org(&service, &fresh, &permit.caller, &org, now).await?;
    let written = WrittenTaking { limit_key, amount: None, resource };
    let aim = Aim::at(&fresh, &org, &facts, written, &COUNTED, now)?;
    let is_dry_run = dry_run == Some(true);
    let operation = Operation::Reconcile { org, taking: aim.taking.clone(), actual, is_dry_run };
    let view = move |outcome: &Outcome| {
        let Outcome::Reconciled(recorded) = outcome else { return None };
        let signed = |quantity: Quantity| i64::try_from(quantity.get()).unwrap_or(i64::MAX);
        let drift = signed(actual).saturating_sub(signed(*recorded));
        let (limit_key, resource) = (&aim.taking.limit_key.name, aim.taking.resource.as_ref());
        let (org, recorded, applied) = (&aim.org, *recorded, !is_dry_run);
        Some(answer(200, &ReconcileView { org, limit_key, resource, recorded, actual, drift, applied }))
    };
    taker.run(&permit, (&body.bytes, body.is_late), operation, view).await
}
