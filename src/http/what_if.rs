//! What a change would do, before it is made: who would be over, by how much, and whom an override saves.

use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::Summary;
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Flag, PageLimit, Paging, Permit, Query, flag, page_of};
use super::routes::WHAT_IF;
use super::service::{App, Service};
use super::what_if_scan::scan;
use crate::clock;
use crate::domain::bound::Quantity;
use crate::domain::decision::max_of;
use crate::domain::effective::Source;
use crate::domain::limit_key::Archived;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId, TierName};
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, Removed};
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;
use crate::domain::what_if::{Findings, OrgFinding, Place, Scope, Standing, WhatIf};
use crate::store::PageRequest;
use crate::wire::Issues;
use crate::wire::plan::PlanDocument;

/// What a change would do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WhatIf)]
pub struct WhatIfView {
    /// How many registered orgs the change applies to.
    applies_to: u64,
    /// How many orgs would be over.
    over: u64,
    /// How many of them are over none of it already.
    newly_over: u64,
    /// How many orgs an override keeps from being over something.
    saved: u64,
    /// By how much all of them would be over, together.
    excess: Quantity,
    /// Who they are: a page of the orgs that would be over or are saved, by id.
    orgs: Vec<OrgView>,
}

/// An org that would be over, or that an override saves.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WhatIfOrg)]
pub struct OrgView {
    /// The org.
    org: OrgId,
    /// Its tier as it is.
    tier: TierName,
    /// How many of its limits would be over.
    over: u64,
    /// How many of them are not over already.
    newly_over: u64,
    /// How many of its limits an override saves.
    saved: u64,
    /// By how much it would be over, together.
    excess: Quantity,
    /// Which, by limit key and resource; at most the first 20.
    limits: Vec<LimitView>,
}

/// A limit that would be over, or that an override saves.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WhatIfLimit)]
pub struct LimitView {
    /// The limit key.
    limit_key: LimitKeyName,
    /// The resource that it is counted for; null for the org as a whole.
    #[schema(required)]
    resource: Option<ResourceId>,
    /// What is used plus what is held.
    current: Quantity,
    /// The cap that would apply; null when unlimited.
    #[schema(required)]
    max: Option<Quantity>,
    /// Where it would come from.
    source: Source,
    /// By how much it would be over; of one that is saved, without the overrides.
    excess: Quantity,
    /// Whether it would be over; otherwise the overrides save it.
    over: bool,
    /// Whether it is over already.
    already_over: bool,
    /// The overrides that save it.
    saved_by: Vec<RecordId>,
}

impl From<Place> for LimitView {
    fn from(Place { limit_key, resource, current, effective, standing }: Place) -> Self {
        let (over, already_over, excess, saved_by) = match standing {
            Standing::Over { excess, already } => (true, already, excess, Vec::new()),
            Standing::Saved { excess, overrides } => (false, false, excess, overrides),
        };
        let (max, source) = (max_of(effective.value).limit(), effective.source);
        Self { limit_key, resource, current, max, source, excess, over, already_over, saved_by }
    }
}

impl From<OrgFinding> for OrgView {
    fn from(OrgFinding { org, tier, places, over, newly_over, saved, excess }: OrgFinding) -> Self {
        Self { org, tier, over, newly_over, saved, excess, limits: places.into_iter().map(Into::into).collect() }
    }
}

/// Judges a change, and answers a page of whom it would hit.
async fn answer(service: App, what_if: WhatIf, page: PageRequest) -> Result<Summary<WhatIfView>, ApiError> {
    let now = clock::now();
    let applies_to = applies_to(&service, &what_if, now).await?;
    let findings = Findings::new(page.after, usize::try_from(page.limit).unwrap_or(usize::MAX));
    let Findings { over, newly_over, saved, excess, page, has_more, .. } = scan(service, what_if, findings, now).await?;
    let next_cursor = page.last().filter(|_| has_more).map(|last| Cursor::of(last.org.as_str()));
    let orgs = page.into_iter().map(Into::into).collect();
    Ok(Summary { data: WhatIfView { applies_to, over, newly_over, saved, excess, orgs }, next_cursor })
}

async fn applies_to(service: &Service, what_if: &WhatIf, now: UtcMillis) -> Result<u64, ApiError> {
    Ok(match &what_if.scope {
        Scope::Tier(..) => 1,
        Scope::Everything => service.store.count_orgs(None).await?,
        Scope::Limit(..) => {
            let tiers: Vec<&TierName> = what_if.before.tiers.keys().filter(|tier| what_if.applies_to(tier, now)).collect();
            service.store.count_orgs(Some((&tiers, now))).await?
        }
    })
}

/// A value of a tier, or a default, that would be another.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase", as = WhatIfLimitBody)]
pub struct LimitBody {
    /// The tier whose value it is. Null or left out: the limit key's default, which applies to the orgs whose tier says nothing.
    #[deserr(default)]
    tier: Option<TierName>,
    /// The limit key.
    limit_key: LimitKeyName,
    /// The value that it would have.
    value: WrittenValue,
}

/// How a limit's change is documented.
pub const LIMIT: Doc = Doc {
    id: "whatIfLimit",
    tag: WHAT_IF,
    summary: "Whom would another value of a limit hit?",
    text: "The value of a tier, or a default, as it would be: how many orgs of that tier would be over, by how much, who they are, and whom an override saves. \
           Judged by the very rules of `check`, over what is used and held now, of quotas in the present window. Nothing is changed. Nobody is ever over a rate, a \
           retention, an interval or a feature.\n\nOver is who has more than is allowed: what is there stays, and only what is new is refused.",
    examples: &[
        ("one member on Free", r#"{"tier":"free","limitKey":"max_members_per_org","value":{"max":1}}"#),
        ("another default", r#"{"tier":null,"limitKey":"max_creators_per_org","value":{"max":1}}"#),
    ],
    errors: &["not_found", "gone"],
};

/// Whom would another value of a limit hit?
pub async fn limit(
    _: Permit<Admin>,
    query: Query<Paging>,
    service: App,
    body: Body<LimitBody>,
) -> Result<Summary<WhatIfView>, ApiError> {
    let LimitBody { tier, limit_key: name, value } = body.value;
    let (before, _) = service.store.plan().await?;
    let mut after = before.clone();
    let limit_key = after.limit_keys.get_mut(&name).ok_or(ApiError::NotFound("limit key"))?;
    if let Some(Archived { replacement, .. }) = &limit_key.archived {
        let replacement = replacement.as_ref().map(ToString::to_string);
        return Err(Refusal::Gone { what: Removed::LimitKey, replacement }.into());
    }
    let value = value.for_kind_at(limit_key.kind(), "value").map_err(|issue| ApiError::InvalidBody(vec![issue]))?;
    match &tier {
        Some(tier) => {
            let tier = after.tiers.get_mut(tier).ok_or(ApiError::NotFound("tier"))?;
            let present = tier.limits.get(&name);
            let limit = present.map_or_else(|| value.into(), |limit| limit.replaced(value, clock::now()));
            tier.limits.insert(name.clone(), limit);
        }
        None => limit_key.default = value,
    }
    answer(service, WhatIf { before, after, scope: Scope::Limit(tier, name) }, query.0.into()).await
}

/// An org that would have another tier.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(as = WhatIfTierBody)]
pub struct TierBody {
    /// The org.
    org: OrgId,
    /// The tier that it would have.
    tier: TierName,
}

/// How a move is documented.
pub const TIER: Doc = Doc {
    id: "whatIfTier",
    tag: WHAT_IF,
    summary: "What would an org be over in another tier?",
    text: "All that the org has used and held, judged by the limits of the tier. Its overrides go with it.",
    examples: &[("down to Free", r#"{"org":"demo-ultra","tier":"free"}"#)],
    errors: &["not_found"],
};

/// What would an org be over in another tier?
pub async fn tier(
    _: Permit<Admin>,
    query: Query<Paging>,
    service: App,
    body: Body<TierBody>,
) -> Result<Summary<WhatIfView>, ApiError> {
    let TierBody { org, tier } = body.value;
    let (before, _) = service.store.plan().await?;
    service.org(&org, clock::now()).await?.ok_or(ApiError::NotFound("org"))?;
    if !before.tiers.contains_key(&tier) {
        return Err(ApiError::NotFound("tier"));
    }
    let after = before.clone();
    answer(service, WhatIf { before, after, scope: Scope::Tier(org, tier) }, query.0.into()).await
}

/// A page, and what becomes of what a document does not name.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct CatalogQuery {
    /// With `true` what the document does not name would be deleted.
    #[deserr(default)]
    #[param(inline)]
    prune: Option<Flag>,
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// How a document's change is documented.
pub const CATALOG: Doc = Doc {
    id: "whatIfCatalog",
    tag: WHAT_IF,
    summary: "Whom would a catalogue hit?",
    text: "A whole document as it would be applied: who would be over on anything then, also where it changes nothing. It is refused for what `PUT /v1/admin/catalog` is refused for.",
    examples: &[(
        "a smaller Free",
        r#"{"tiers":{"free":{"name":"Free","description":"To try it","limits":{"max_creators_per_org":{"max":3},"max_members_per_org":{"max":1}}}}}"#,
    )],
    errors: &["state_conflict"],
};

/// Whom would a catalogue hit?
pub async fn catalog(
    _: Permit<Admin>,
    query: Query<CatalogQuery>,
    service: App,
    body: Body<PlanDocument>,
) -> Result<Summary<WhatIfView>, ApiError> {
    let CatalogQuery { prune, limit, cursor } = query.0;
    let prune = flag(prune);
    let (before, _) = service.store.plan().await?;
    let nothing = Plan::default();
    let known = if prune { &nothing } else { &before };
    let change = body.value.into_plan(known, clock::now()).map_err(ApiError::InvalidBody)?;
    // Refused for what it would be refused for when it is applied.
    service.store.plan_changes(change.clone(), prune, clock::now()).await?;
    let after = if prune { before.replaced_by(&change) } else { before.merged_with(&change) };
    answer(service, WhatIf { before, after, scope: Scope::Everything }, page_of(limit, cursor)).await
}
