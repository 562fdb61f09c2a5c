//! Everything that an org has.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::Data;
use super::error::ApiError;
use super::extract::{Demand, Path, Permit, Query, Read};
use super::judge::visible_org;
use super::past::{self, At, PastOrg};
use super::routes::ASKING;
use super::service::{App, Service};
use crate::clock;
use crate::domain::bound::Quantity;
use crate::domain::decision::Usage;
use crate::domain::effective::{Effective, Source};
use crate::domain::limit_key::{Kind, LimitKey, Per, Rule};
use crate::domain::names::{LimitKeyName, OrgId, TierName};
use crate::domain::retention::earliest;
use crate::domain::time::{Day, UtcMillis};
use crate::domain::value::{Value, WrittenValue};
use crate::ledger::CounterRef;

/// Everything that an org has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Entitlements)]
pub struct EntitlementsView {
    /// The org.
    org: OrgId,
    /// Its tier.
    tier: TierName,
    /// Whether it is banned, and so may use none of this.
    banned: bool,
    /// The catalogue revision that the answer knows.
    revision: u64,
    /// One for each limit key that is not archived, by name.
    entitlements: Vec<EntitlementView>,
}

/// What an org has of one limit key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Entitlement)]
pub struct EntitlementView {
    /// The limit key.
    limit_key: LimitKeyName,
    /// Its kind.
    kind: Kind,
    /// What it is counted per.
    #[schema(value_type = String)]
    per: String,
    /// The value that applies.
    #[schema(value_type = WrittenValue)]
    value: Value,
    /// Where the value came from.
    source: Source,
    /// count and quota per org: what is used plus what is held. Null for the others, for what is counted per resource, and with `at`.
    #[schema(required)]
    current: Option<Quantity>,
    /// count and quota per org: what of it is held by reservations. Null where `current` is null.
    #[schema(required)]
    held: Option<Quantity>,
    /// count and quota per org: what is left, never below 0. Null when unlimited, and where `current` is null.
    #[schema(required)]
    remaining: Option<Quantity>,
    /// quota: the first moment of the next window.
    #[schema(required)]
    resets_at: Option<UtcMillis>,
    /// retention: the first day that may be read; null when unlimited.
    #[schema(required)]
    earliest: Option<Day>,
}

/// Whether there is one counter of it for the org as a whole.
pub fn is_counted_per_org(limit_key: &LimitKey) -> bool {
    matches!(limit_key.kind(), Kind::Count | Kind::Quota) && limit_key.per == Per::Org
}

fn entitlement(limit_key: &LimitKey, effective: Effective, usage: Option<Usage>, now: UtcMillis) -> EntitlementView {
    let Effective { value, source } = effective;
    let remaining = match (value, usage) {
        (Value::Max(max), Some(usage)) => max.remaining(usage.taken()),
        (Value::Max(_) | Value::Days(_) | Value::Min(_) | Value::Enabled(_), _) => None,
    };
    let resets_at = match &limit_key.rule {
        Rule::Quota { window, .. } => Some(window.span(now).end),
        Rule::Count | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => None,
    };
    let earliest = match value {
        Value::Days(days) => earliest(days, now),
        Value::Max(_) | Value::Min(_) | Value::Enabled(_) => None,
    };
    EntitlementView {
        limit_key: limit_key.name.clone(),
        kind: limit_key.kind(),
        per: limit_key.per.as_str().to_owned(),
        value,
        source,
        current: usage.map(Usage::taken),
        held: usage.map(|usage| usage.held),
        remaining,
        resets_at,
        earliest,
    }
}

/// How entitlements are documented.
pub const GET: Doc = Doc {
    id: "getEntitlements",
    tag: ASKING,
    summary: "Everything that an org has",
    text: "For each limit key the value that applies, where it came from, and for counts and quotas what is used, held and left. \
           What is counted per resource stands under `/usage`.\n\nWith `at` it is what the org had at a past moment: the values, their sources, the tier and the ban as they were \
           answered then. What was used is not kept, so `current`, `held` and `remaining` are null. 404 for an org that did not exist then.",
    examples: &[],
    errors: &["not_found"],
};

/// Everything that an org has.
pub async fn get(
    permit: Permit<Read>,
    demand: Demand,
    service: App,
    path: Path<OrgId>,
    query: Query<At>,
) -> Result<Data<EntitlementsView>, ApiError> {
    match query.0.at {
        Some(at) => Box::pin(of_past(&permit, &service, path.0, at)).await,
        None => of_present(&permit, &demand, &service, path.0).await,
    }
}

async fn of_past(
    permit: &Permit<Read>,
    service: &Service,
    id: OrgId,
    at: UtcMillis,
) -> Result<Data<EntitlementsView>, ApiError> {
    permit.caller.may_see(&id)?;
    let PastOrg { catalogue, org, revision } = past::org(service, &id, at).await?;
    let of = |limit_key: &&Arc<LimitKey>| entitlement(limit_key, catalogue.effective(&org, limit_key, at), None, at);
    let entitlements = catalogue.active_limit_keys().iter().map(of).collect();
    Ok(Data(EntitlementsView { org: id, tier: org.tier.clone(), banned: org.banned, revision, entitlements }))
}

async fn of_present(
    permit: &Permit<Read>,
    demand: &Demand,
    service: &Service,
    id: OrgId,
) -> Result<Data<EntitlementsView>, ApiError> {
    let fresh = demand.met(service).await?;
    let now = clock::now();
    let facts = visible_org(service, &fresh, &permit.caller, &id, now).await?;
    let limit_keys = fresh.catalogue.active_limit_keys();
    let counted = limit_keys.iter().filter(|limit_key| is_counted_per_org(limit_key));
    let keys = counted.map(|limit_key| CounterRef::new(&id, limit_key, None, now).to_owned()).collect();
    let mut usages = service.ledger.counters(keys, fresh.max_stale).await?.into_iter().map(|counter| counter.usage(now));
    let of = |limit_key: &&Arc<LimitKey>| {
        let usage = if is_counted_per_org(limit_key) { usages.next() } else { None };
        entitlement(limit_key, fresh.catalogue.effective(&facts, limit_key, now), usage, now)
    };
    let entitlements = limit_keys.iter().map(of).collect();
    let (tier, banned) = (facts.tier.clone(), facts.banned);
    Ok(Data(EntitlementsView { org: id, tier, banned, revision: fresh.revision, entitlements }))
}
