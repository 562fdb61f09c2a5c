//! Taking usage and giving it back: `consume`, `consume/batch` and `release`.

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::check::Enforce;
use super::decision_view::DecisionView;
use super::document::{Description, Doc};
use super::envelope::{envelope, null};
use super::error::ApiError;
use super::extract::{Body, Demand, Fresh, HotBody, Permit, Query, Write};
use super::judge::visible_org;
use super::routes::TAKING;
use super::service::Service;
use super::taker::{Aim, Taken, TakenForm, Taker, WrittenTaking, answer, denial_answer};
use super::telling::{RECEIPT, Telling};
use crate::clock;
use crate::domain::bound::Quantity;
use crate::domain::decision::Decision;
use crate::domain::explain::Effect;
use crate::domain::gate::first;
use crate::domain::issue::Issue;
use crate::domain::limit_key::Kind;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId};
use crate::domain::refusal::{Denial, Refusal};
use crate::domain::time::UtcMillis;
use crate::ledger::{Operation, Outcome};
use crate::store::Recorded;
use crate::wire::Issues;

/// The most takings in one batch: all of them are judged and written together.
const MAX_ITEMS: usize = 20;
/// The kinds that are counted.
pub(super) const COUNTED: [Kind; 2] = [Kind::Count, Kind::Quota];

/// What is to be taken.
#[derive(Debug, Deserialize, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumeBody {
    /// The org that takes it.
    org: OrgId,
    /// Of what: a limit key of kind count or quota.
    limit_key: LimitKeyName,
    /// How much; 1 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<Quantity>,
    /// The resource, required when the limit key's `per` is not `org`, and refused otherwise.
    #[deserr(default)]
    resource: Option<ResourceId>,
}

impl ConsumeBody {
    fn into_parts(self) -> (OrgId, WrittenTaking) {
        let Self { org, limit_key, amount, resource } = self;
        (org, WrittenTaking { limit_key, amount, resource })
    }
}

/// A decision, or with `?enforce=true` a refusal that is the response itself.
pub struct DecisionForm;

impl TakenForm for DecisionForm {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<DecisionView<'_>>();
        description.success(200, envelope(schema, null()), &[]);
        refusals(description);
    }
}

/// How a taking may be refused with `?enforce=true`.
pub(super) fn refusals(description: &mut Description<'_>) {
    for code in ["limit_reached", "org_banned", "rate_limit_exceeded"] {
        description.error(code);
    }
}

/// How `consume` is documented.
pub const CONSUME: Doc = Doc {
    id: "consume",
    tag: TAKING,
    summary: "Take usage, if there is room",
    text: "The same question as `check` for kinds count and quota; if it is allowed, the usage is taken, atomically and durably: the answer is sent after the commit, \
           and `current` is the usage after it. A refusal takes nothing, and leaves a receipt that admins find under its `decisionId` (with `?enforce=true` the header \
           `X-Plimsoll-Decision-Id`).\n\nAfter a 500, a 503 or a lost answer the outcome is not known: repeat the request with the same \
           `Idempotency-Key`, and it has one effect.",
    examples: &[
        ("count", r#"{"org":"demo-starter","limitKey":"max_creators_per_org","amount":1}"#),
        ("quota", r#"{"org":"demo-starter","limitKey":"max_api_requests_per_day"}"#),
        ("count per resource", r#"{"org":"demo-starter","limitKey":"max_campaigns_per_project","resource":"project-1"}"#),
        ("refused with limit_reached", r#"{"org":"demo-free","limitKey":"max_creators_per_org","amount":6}"#),
    ],
    errors: &["not_found", "gone", "state_conflict"],
};

/// Takes usage, if there is room.
pub async fn consume(
    permit: Permit<Write>,
    demand: Demand,
    query: Query<Enforce>,
    taker: Taker,
    body: HotBody<ConsumeBody>,
) -> Result<Taken<DecisionForm>, ApiError> {
    let service = taker.service();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let telling = Telling::of(&query.0, &fresh, now, (service, "consume"))?;
    let (org, written) = body.value.into_parts();
    let aim = match Aim::find(&service, &fresh, &permit.caller, (&org, written), &COUNTED, now).await {
        Ok(aim) => aim,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    let operation = Operation::Consume { org, takings: vec![aim.taking.clone()] };
    let view = move |outcome: &Outcome, telling: &Telling| {
        let Outcome::Consumed(decisions) = outcome else { return None };
        let decision = decisions.first()?;
        telling.count(&aim.taking.limit_key, decision);
        decided(&aim, decision, telling)
    };
    taker.tell(&permit, (&body.bytes, body.is_late), operation, telling, view).await
}

/// The answer to a taking of one.
pub(super) fn decided(aim: &Aim, decision: &Decision, telling: &Telling) -> Option<Recorded> {
    let considered = aim.considered(decision, effect_of(decision, Effect::Taken));
    match &decision.refusal {
        Some(refusal) if telling.enforces() => enforced(refusal, telling.receipt(0, &considered)),
        Some(_) | None => Some(answer(200, &telling.view(0, &considered))),
    }
}

/// The response for the customer, with the id of the receipt.
pub(super) fn enforced(refusal: &Refusal, id: Option<RecordId>) -> Option<Recorded> {
    let mut recorded = denial_answer(&refusal.denial())?;
    recorded.headers.extend(id.map(|id| (RECEIPT.to_owned(), id.to_string())));
    Some(recorded)
}

/// What a decision about a single taking did: a refusal does nothing.
pub(super) const fn effect_of(decision: &Decision, effect: Effect) -> Effect {
    if decision.refusal.is_some() { Effect::None } else { effect }
}

/// What is to be taken together.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ConsumeBatchBody {
    /// The org that takes it.
    org: OrgId,
    /// The takings.
    #[schema(min_items = 1, max_items = 20)]
    items: Vec<ConsumeItemBody>,
}

/// One of them.
#[derive(Debug, Deserialize, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumeItemBody {
    /// Of what: a limit key of kind count or quota.
    limit_key: LimitKeyName,
    /// How much; 1 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<Quantity>,
    /// The resource, required when the limit key's `per` is not `org`, and refused otherwise.
    #[deserr(default)]
    resource: Option<ResourceId>,
}

impl From<ConsumeItemBody> for WrittenTaking {
    fn from(ConsumeItemBody { limit_key, amount, resource }: ConsumeItemBody) -> Self {
        Self { limit_key, amount, resource }
    }
}

/// What came of a batch.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConsumeBatchAnswer)]
pub struct BatchView<'a> {
    /// Whether all of it was taken. Otherwise nothing was.
    allowed: bool,
    /// `allowed`, or the code of the first refusal on the ladder.
    decision: &'static str,
    /// The org.
    org: &'a OrgId,
    /// A decision for each item, in order. Items of the same counter are judged together: `requested` is their sum.
    #[schema(value_type = Vec<DecisionView<'static>>)]
    results: Vec<DecisionView<'a>>,
    /// The catalogue revision that the answer knows.
    revision: u64,
    /// The response for the product's own customer; null when allowed.
    #[schema(required, value_type = Option<super::decision_view::DenialSchema>)]
    denial: Option<Denial>,
    /// The receipt of the refusal that won; not there when allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<RecordId>,
}

/// A batch, or with `?enforce=true` a refusal that is the response itself.
pub struct BatchForm;

impl TakenForm for BatchForm {
    fn describe(description: &mut Description<'_>) {
        // The decision brings the names that this schema refers to.
        description.reference::<DecisionView<'_>>();
        let schema = description.reference::<BatchView<'_>>();
        description.success(200, envelope(schema, null()), &[]);
        refusals(description);
    }
}

/// How `consume/batch` is documented.
pub const BATCH: Doc = Doc {
    id: "consumeBatch",
    tag: TAKING,
    summary: "Take several together, or nothing",
    text: "All or nothing: if one of the items has no room, nothing is taken, and every one that has none is listed. Items of the same limit key and resource add up.",
    examples: &[
        (
            "two limit keys",
            r#"{"org":"demo-starter","items":[{"limitKey":"max_creators_per_org","amount":2},{"limitKey":"max_api_requests_per_day"}]}"#,
        ),
        (
            "the same one twice",
            r#"{"org":"demo-free","items":[{"limitKey":"max_creators_per_org","amount":3},{"limitKey":"max_creators_per_org","amount":3}]}"#,
        ),
    ],
    errors: &["not_found", "gone", "state_conflict"],
};

/// Takes several together, or nothing.
pub async fn batch(
    permit: Permit<Write>,
    demand: Demand,
    query: Query<Enforce>,
    taker: Taker,
    body: Body<ConsumeBatchBody>,
) -> Result<Taken<BatchForm>, ApiError> {
    let ConsumeBatchBody { org, items } = body.value;
    if !(1..=MAX_ITEMS).contains(&items.len()) {
        let issue = Issue::new("items", format!("must have 1 to {MAX_ITEMS} items, not {}", items.len()));
        return Err(ApiError::InvalidBody(vec![issue]));
    }
    let service = taker.service();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let telling = Telling::of(&query.0, &fresh, now, (service, "consumeBatch"))?;
    let aims = match aims_at(&service, &fresh, &permit.caller, (&org, items), now).await {
        Ok(aims) => aims,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    let takings = aims.iter().map(|aim| aim.taking.clone()).collect();
    let operation = Operation::Consume { org: org.clone(), takings };
    let revision = fresh.revision;
    let view = move |outcome: &Outcome, telling: &Telling| {
        let Outcome::Consumed(decisions) = outcome else { return None };
        for (aim, decision) in aims.iter().zip(decisions) {
            telling.count(&aim.taking.limit_key, decision);
        }
        decided_together((&org, revision), &aims, decisions, telling)
    };
    taker.tell(&permit, (&body.bytes, body.is_late), operation, telling, view).await
}

/// What the items are about; what is wrong with them is named for all of them at once.
async fn aims_at(
    service: &Service,
    fresh: &Fresh,
    caller: &Caller,
    (org, items): (&OrgId, Vec<ConsumeItemBody>),
    now: UtcMillis,
) -> Result<Vec<Aim>, ApiError> {
    let facts = visible_org(service, fresh, caller, org, now).await?;
    let (mut aims, mut issues) = (Vec::with_capacity(items.len()), Vec::new());
    for (position, item) in items.into_iter().enumerate() {
        match Aim::at(fresh, org, &facts, item.into(), &COUNTED, now) {
            Ok(aim) => aims.push(aim),
            Err(ApiError::InvalidBody(found)) => {
                let placed = |Issue { path, message }| Issue::new(format!("items[{position}].{path}"), message);
                issues.extend(found.into_iter().map(placed));
            }
            Err(error) => return Err(error),
        }
    }
    if issues.is_empty() { Ok(aims) } else { Err(ApiError::InvalidBody(issues)) }
}

fn decided_together(
    (org, revision): (&OrgId, u64),
    aims: &[Aim],
    decisions: &[Decision],
    telling: &Telling,
) -> Option<Recorded> {
    let refused: Vec<&Refusal> = decisions.iter().filter_map(|decision| decision.refusal.as_ref()).collect();
    let first = first(refused);
    let effect = if first.is_none() { Effect::Taken } else { Effect::None };
    let considered = aims.iter().zip(decisions).map(|(aim, decision)| aim.considered(decision, effect));
    let id = first.and_then(|first| telling.id_of(decisions.iter().position(|one| one.refusal.as_ref() == Some(first))?));
    if let (Some(refusal), true) = (first, telling.enforces()) {
        considered.enumerate().for_each(|(place, considered)| drop(telling.receipt(place, &considered)));
        return enforced(refusal, id);
    }
    let results = considered.enumerate().map(|(place, considered)| telling.view(place, &considered)).collect();
    let (allowed, decision) = (first.is_none(), first.map_or("allowed", Refusal::code));
    let denial = first.map(Refusal::denial);
    Some(answer(200, &BatchView { allowed, decision, org, results, revision, denial, decision_id: id }))
}

/// How `release` is documented.
pub const RELEASE: Doc = Doc {
    id: "release",
    tag: TAKING,
    summary: "Give usage back",
    text: "For limit keys of kind count: what is deleted makes room again. Releasing more than is used is a 409, and nothing changes. The answer has the shape of a decision: `requested` is what \
           was given back, `current` is the usage after it.",
    examples: &[("one", r#"{"org":"demo-starter","limitKey":"max_creators_per_org","amount":1}"#)],
    errors: &["not_found", "gone", "state_conflict"],
};

/// What giving back is answered with.
pub struct ReleaseForm;

impl TakenForm for ReleaseForm {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<DecisionView<'_>>();
        description.success(200, envelope(schema, null()), &[]);
    }
}

/// Gives usage back.
pub async fn release(
    permit: Permit<Write>,
    demand: Demand,
    taker: Taker,
    body: HotBody<ConsumeBody>,
) -> Result<Taken<ReleaseForm>, ApiError> {
    let service = taker.service();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let (org, written) = body.value.into_parts();
    let aim = match Aim::find(&service, &fresh, &permit.caller, (&org, written), &[Kind::Count], now).await {
        Ok(aim) => aim,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    let operation = Operation::Release { org, taking: aim.taking.clone() };
    let view = move |outcome: &Outcome| {
        let Outcome::Released(decision) = outcome else { return None };
        Some(answer(200, &DecisionView::of(aim.shown(), decision)))
    };
    taker.run(&permit, (&body.bytes, body.is_late), operation, view).await
}
