//! Questions: `check` and `check/batch`.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use deserr::Deserr;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::caller::Caller;
use super::decision_view::{DecisionView, Shown};
use super::document::{Describe, Description, Doc, NamedSchema};
use super::envelope::{
    DEGRADED, LIMITER, Weighed, add_headers, envelope, json_response, strength, strength_meta, success_body,
};
use super::error::ApiError;
use super::extract::{Body, Demand, Flag, Fresh, HotBody, Permit, Query, Read, flag};
use super::judge::{Asked, asked, judge};
use super::service::{App, Service};
use super::telling::Considered;
use crate::clock;
use crate::domain::ask::WrittenQuestion;
use crate::domain::bound::Quantity;
use crate::domain::decision::Decision;
use crate::domain::explain::Effect;
use crate::domain::issue::Issue;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId};
use crate::domain::refusal::Denial;
use crate::domain::time::{Moment, UtcMillis};
use crate::limiter::Told;
use crate::wire::{self, Issues};

/// The most questions in one batch, so that one request stays small.
const MAX_CHECKS: usize = 100;

/// A question. Which fields it takes depends on the limit key's kind; a field that the kind does not take is a 400.
#[derive(Debug, Deserialize, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckBody {
    /// The org that asks.
    org: OrgId,
    /// What it asks about.
    limit_key: LimitKeyName,
    /// count and quota: how many more; 1 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<Quantity>,
    /// count and quota: the caller's own count. Without it, Plimsoll's usage is used.
    #[deserr(default)]
    current: Option<Quantity>,
    /// The resource, required when the limit key's `per` is not `org`, and refused otherwise.
    #[deserr(default)]
    resource: Option<ResourceId>,
    /// retention: where the range starts. Required.
    #[deserr(default)]
    from: Option<Moment>,
    /// retention: where the range ends; today when left out.
    #[deserr(default)]
    to: Option<Moment>,
    /// interval: the interval asked for, in the limit key's unit. Required.
    #[deserr(default)]
    requested: Option<Quantity>,
    /// rate: the API key whose window it is, and whose own rate applies if it has one. Required.
    #[deserr(default)]
    key_id: Option<RecordId>,
}

impl CheckBody {
    fn into_parts(self) -> (OrgId, LimitKeyName, WrittenQuestion) {
        let Self { org, limit_key, amount, current, resource, from, to, requested, key_id } = self;
        (org, limit_key, WrittenQuestion { amount, current, resource, from, to, requested, key_id })
    }
}

/// In which form a decision is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// With why it is what it is.
    Explained,
    /// A refusal is the response itself.
    Enforced,
}

/// Whether a refusal is the response itself, and whether a decision is explained.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct Enforce {
    /// With `true` a refusal is not a 200: the response is the one for the product's customer, to be relayed as it is.
    #[deserr(default)]
    #[param(inline)]
    enforce: Option<Flag>,
    /// With `true` every decision says in `explanation` what was considered, in order, and what would have allowed it. Not together with
    /// `enforce`, whose response stays to the letter.
    #[deserr(default)]
    #[param(inline)]
    explain: Option<Flag>,
}

/// Whether decisions are explained.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct Explain {
    /// With `true` every decision says in `explanation` what was considered, in order, and what would have allowed it.
    #[deserr(default)]
    #[param(inline)]
    explain: Option<Flag>,
}

impl Enforce {
    /// The form that is asked for. Errors: both of them.
    pub fn form(&self) -> Result<Form, ApiError> {
        match (flag(self.enforce), flag(self.explain)) {
            (false, false) => Ok(Form::Plain),
            (false, true) => Ok(Form::Explained),
            (true, false) => Ok(Form::Enforced),
            (true, true) => {
                let message = "cannot be asked for together with enforce: the response is the customer's then";
                Err(ApiError::InvalidQuery(vec![Issue::new("explain", message)]))
            }
        }
    }
}

/// The answer to one question.
pub enum Answer {
    /// 200, whatever was decided.
    Decision(Vec<u8>),
    /// The response for the product's customer, and whether it is of windows that stood in for others.
    Denial(Box<Told<Denial>>),
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        match self {
            Self::Decision(body) => json_response(StatusCode::OK, body),
            Self::Denial(denial) => {
                let Told { what: denial, is_degraded } = *denial;
                let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::FORBIDDEN);
                let body = serde_json::to_vec(&denial.body).unwrap_or_default();
                let mut response = json_response(status, body);
                add_headers(&mut response, denial.headers.0);
                add_headers(&mut response, is_degraded.then_some((DEGRADED, LIMITER)));
                response
            }
        }
    }
}

impl Describe for Answer {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<DecisionView<'_>>();
        description.success(200, envelope(schema, strength_meta()), &[]);
        for code in ["limit_reached", "retention_exceeded", "feature_unavailable", "org_banned", "rate_limit_exceeded"] {
            description.error(code);
        }
    }
}

/// How `check` is documented.
pub const CHECK: Doc = Doc {
    id: "check",
    tag: super::routes::ASKING,
    summary: "May this org do this?",
    text: "Changes nothing. A refusal is an answer: HTTP 200 with `allowed: false`, and in `denial` the exact response for the product's own customer. \
           With `?enforce=true` the response is that one, with the header `X-Plimsoll-Degraded` where `meta.degraded` would be.\n\nThe org is looked for first, then the limit key: 404 for what does not exist or is not the caller's, \
           410 for an archived limit key. Of several reasons to refuse, a banned org comes first.\n\nWith `?explain=true` the decision says why it is what it is.",
    examples: &[
        (
            "count: refused with limit_reached",
            r#"{"org":"demo-free","limitKey":"max_creators_per_org","amount":1,"current":5}"#,
        ),
        ("count: allowed", r#"{"org":"demo-starter","limitKey":"max_creators_per_org","amount":1,"current":5}"#),
        (
            "count per resource",
            r#"{"org":"demo-free","limitKey":"max_campaigns_per_project","resource":"project-1","current":0}"#,
        ),
        ("quota", r#"{"org":"demo-starter","limitKey":"max_api_requests_per_day","current":999}"#),
        ("rate", r#"{"org":"demo-free","limitKey":"v1_api_requests_per_key","keyId":"key_0192f0c1b7e07000a0000000000000aa"}"#),
        (
            "retention: refused with retention_exceeded",
            r#"{"org":"demo-free","limitKey":"stats_history_retention_days","from":"2020-01-01"}"#,
        ),
        ("interval", r#"{"org":"demo-free","limitKey":"min_video_stats_hours","requested":1}"#),
    ],
    errors: &["not_found", "gone"],
};

/// May this happen?
pub async fn check(
    permit: Permit<Read>,
    demand: Demand,
    query: Query<Enforce>,
    service: App,
    body: HotBody<CheckBody>,
) -> Result<Answer, ApiError> {
    let form = query.0.form()?;
    let fresh = demand.met(&service).await?;
    let (org, limit_key, question) = body.value.into_parts();
    let now = clock::now();
    let asked = asked(&service, &fresh, &permit.caller, (&org, &limit_key), question, now).await?;
    let Told { what: decision, is_degraded } = judge(&service, &org, &asked, now).await?;
    if form == Form::Enforced
        && let Some(refusal) = &decision.refusal
    {
        return Ok(Answer::Denial(Box::new(Told { what: refusal.denial(), is_degraded })));
    }
    let view = viewed(&org, &asked, &fresh, &decision, (form == Form::Explained, now));
    Ok(Answer::Decision(success_body(&view, strength(is_degraded))))
}

/// The view of a decision, with why it is what it is if that was asked for.
fn viewed<'a>(
    org: &'a OrgId,
    asked: &'a Asked<'_>,
    fresh: &Fresh,
    decision: &'a Decision,
    (is_explained, now): (bool, UtcMillis),
) -> DecisionView<'a> {
    let shown = Shown::asked(org, asked, fresh.revision);
    if !is_explained {
        return DecisionView::of(shown, decision);
    }
    let (grounds, question) = (asked.grounds(), asked.question.clone());
    let considered = Considered { shown, decision, grounds, question, effect: Effect::None };
    considered.plain().explained(considered.explained(&fresh.catalogue, now))
}

/// Up to 100 questions.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct BatchBody {
    /// The questions.
    #[schema(value_type = Vec<CheckBody>, min_items = 1, max_items = 100)]
    checks: Vec<Json>,
}

/// The answers, in the order of the questions.
#[derive(Serialize, ToSchema)]
pub struct BatchAnswers {
    /// Each a decision, or the error envelope that the single call would have answered with.
    #[schema(value_type = Vec<BatchResult>)]
    results: Vec<Json>,
}

/// A decision, or an error with its own code: how the document shows a result.
struct BatchResult;

impl PartialSchema for BatchResult {
    fn schema() -> RefOr<Schema> {
        let forms = OneOfBuilder::new().item(Ref::from_schema_name("Decision")).item(Ref::from_schema_name("ErrorEnvelope"));
        forms.description(Some("A decision, or the error envelope of a question that has none.")).into()
    }
}

impl ToSchema for BatchResult {
    fn schemas(schemas: &mut Vec<NamedSchema>) {
        schemas.push((DecisionView::name().into_owned(), DecisionView::schema()));
        DecisionView::schemas(schemas);
    }
}

/// How `check/batch` is documented.
pub const BATCH: Doc = Doc {
    id: "checkBatch",
    tag: super::routes::ASKING,
    summary: "Up to 100 questions at once",
    text: "Answers in the order of the questions, all judged at the same moment and by the same catalogue. Each result is a decision, or the error envelope \
           that the single call would have answered with: one bad item spoils no other.",
    examples: &[(
        "two questions",
        r#"{"checks":[{"org":"demo-free","limitKey":"max_creators_per_org","current":5},{"org":"demo-ultra","limitKey":"stats_history_retention_days","from":"2020-01-01"}]}"#,
    )],
    errors: &[],
};

/// May these happen?
pub async fn batch(
    permit: Permit<Read>,
    demand: Demand,
    query: Query<Explain>,
    service: App,
    body: Body<BatchBody>,
) -> Result<Weighed<BatchAnswers>, ApiError> {
    let checks = body.value.checks;
    if !(1..=MAX_CHECKS).contains(&checks.len()) {
        let issue = Issue::new("checks", format!("must have 1 to {MAX_CHECKS} items, not {}", checks.len()));
        return Err(ApiError::InvalidBody(vec![issue]));
    }
    let checks: Vec<_> = checks.into_iter().map(wire::parse::<CheckBody>).collect();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let told = (flag(query.0.explain), now);
    read_orgs(&service, &permit.caller, &checks, now).await;
    let items = checks.into_iter().map(|item| item_of(&service, &fresh, &permit.caller, item, told));
    // All at once: what has to be read of a shared database for them is read together.
    let judged = join_all(items).await.into_iter().enumerate();
    let told = judged.map(|(position, result)| result.unwrap_or_else(|error| Told::fully(at_position(error, position).body())));
    let told: Vec<Told<Json>> = told.collect();
    let is_degraded = told.iter().any(|told| told.is_degraded);
    let results = told.into_iter().map(|told| told.what).collect();
    Ok(Weighed(Told { what: BatchAnswers { results }, is_degraded }))
}

/// Reads the orgs that are asked about together. What cannot be read now is read, or fails, item by item.
async fn read_orgs(service: &Service, caller: &Caller, checks: &[Result<CheckBody, Vec<Issue>>], now: UtcMillis) {
    let orgs = checks.iter().flatten().map(|check| &check.org).filter(|org| caller.may_see(org).is_ok());
    if let Err(error) = service.directory.read_orgs(&orgs.collect(), now).await {
        tracing::debug!(%error, "the orgs of a batch could not be read together");
    }
}

async fn item_of(
    service: &Service,
    fresh: &Fresh,
    caller: &Caller,
    item: Result<CheckBody, Vec<Issue>>,
    told @ (_, now): (bool, UtcMillis),
) -> Result<Told<Json>, ApiError> {
    let (org, limit_key, question) = item.map_err(ApiError::InvalidBody)?.into_parts();
    let asked = asked(service, fresh, caller, (&org, &limit_key), question, now).await?;
    let Told { what: decision, is_degraded } = judge(service, &org, &asked, now).await?;
    let view = viewed(&org, &asked, fresh, &decision, told);
    let what = serde_json::to_value(view).map_err(|_| ApiError::Internal)?;
    Ok(Told { what, is_degraded })
}

/// Findings about an item are placed in the whole body.
fn at_position(error: ApiError, position: usize) -> ApiError {
    let ApiError::InvalidBody(issues) = error else { return error };
    let placed = issues.into_iter().map(|Issue { path, message }| match path.as_str() {
        "" => Issue::new(format!("checks[{position}]"), message),
        path => Issue::new(format!("checks[{position}].{path}"), message),
    });
    ApiError::InvalidBody(placed.collect())
}
