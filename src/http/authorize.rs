//! The whole gate for one request of a customer, in one call.

use std::sync::Arc;

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::caller::api_key_by;
use super::check::Enforce;
use super::consume::{ConsumeItemBody, enforced};
use super::decision_view::{DecisionView, DenialSchema};
use super::document::{Description, Doc};
use super::envelope::{DEGRADED, LIMITER, envelope, strength, strength_meta};
use super::error::ApiError;
use super::extract::{Demand, HotBody, Permit, Query, Write};
use super::gate::{Gate, Verdict, Wanted};
use super::rate_headers::rate_headers;
use super::routes::GATE;
use super::taker::{Taken, TakenForm, Taker, WrittenTaking, answer_with};
use super::telling::Telling;
use crate::clock;
use crate::domain::api_key::ApiKey;
use crate::domain::ask::WrittenQuestion;
use crate::domain::bound::Quantity;
use crate::domain::gate::Request;
use crate::domain::issue::Issue;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId, ScopeName, UserId};
use crate::domain::refusal::{Denial, Headers, Presented, Refusal};
use crate::domain::scope::Scopes;
use crate::domain::time::{Moment, UtcMillis};
use crate::ledger::Outcome;
use crate::store::Recorded;
use crate::wire::Issues;

/// The most takings of one request beside those that every request takes.
const MAX_CONSUME: usize = 20;
/// The most questions of one request.
const MAX_CHECK: usize = 20;
/// The longest path, with its query: what proxies take at most in a request line.
pub(super) const MAX_PATH: usize = 8_192;
/// The longest method.
const MAX_METHOD: usize = 32;

/// One request of a customer.
#[derive(Debug, Deserialize, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorizeBody {
    /// The customer's API key, as it was sent. Without one, or with null or an empty text, the decision is `invalid_api_key`.
    #[deserr(default)]
    api_key: Option<String>,
    /// The request's method. Without one, it is taken for one that writes.
    #[deserr(default)]
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
    method: Option<String>,
    /// The request's path, with its query or without. Without one, removed endpoints are not looked for.
    #[deserr(default)]
    #[schema(min_length = 1, max_length = 8192, pattern = "^/")]
    path: Option<String>,
    /// The scope that the request needs, which may be one of the product's own. Without it GET and HEAD need `read`, other methods `write`.
    #[deserr(default)]
    required_scope: Option<ScopeName>,
    /// What the request consumes if it is allowed, beside the limit keys that every request takes.
    #[deserr(default)]
    #[schema(max_items = 20)]
    consume: Option<Vec<ConsumeItemBody>>,
    /// What else must be allowed. Changes nothing.
    #[deserr(default)]
    #[schema(max_items = 20)]
    check: Option<Vec<AuthorizeCheckBody>>,
}

/// A question about the org of the API key. Which fields it takes depends on the limit key's kind, as for `check`.
#[derive(Debug, Deserialize, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorizeCheckBody {
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
    /// rate: the API key whose window it is; the one of the request when left out.
    #[deserr(default)]
    key_id: Option<RecordId>,
}

impl AuthorizeBody {
    fn wanted(&mut self) -> Result<Wanted, ApiError> {
        let consume = self.consume.take().unwrap_or_default();
        let check = self.check.take().unwrap_or_default();
        let issues: Vec<Issue> = [
            at_most("consume", consume.len(), MAX_CONSUME),
            at_most("check", check.len(), MAX_CHECK),
            self.method.as_deref().filter(|method| !is_method(method)).map(|_| Issue::new("method", METHOD)),
            self.path.as_deref().filter(|path| !is_path(path)).map(|_| Issue::new("path", PATH)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !issues.is_empty() {
            return Err(ApiError::InvalidBody(issues));
        }
        Ok(Wanted {
            consume: consume.into_iter().map(WrittenTaking::from).collect(),
            check: check.into_iter().map(AuthorizeCheckBody::into_parts).collect(),
        })
    }
}

impl AuthorizeCheckBody {
    fn into_parts(self) -> (LimitKeyName, WrittenQuestion) {
        let Self { limit_key, amount, current, resource, from, to, requested, key_id } = self;
        (limit_key, WrittenQuestion { amount, current, resource, from, to, requested, key_id })
    }
}

pub(super) const METHOD: &str = "must be a method of HTTP, of at most 32 characters";
pub(super) const PATH: &str = "must start with / and have at most 8192 characters";

/// Whether it is a token, as methods are (RFC 9110, 9.1).
pub(super) fn is_method(text: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=MAX_METHOD).contains(&text.len()) && text.bytes().all(is_token)
}

/// Whether it is a path, and a query or not.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.chars().count() <= MAX_PATH
}

fn at_most(field: &str, count: usize, most: usize) -> Option<Issue> {
    (count > most).then(|| Issue::new(field, format!("must have at most {most} items, not {count}")))
}

/// What was decided about a request.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Authorization)]
pub struct AuthorizationView<'a> {
    /// Whether the request may go on.
    allowed: bool,
    /// `allowed`, or the code of the refusal that won.
    decision: &'static str,
    /// The API key; null when there is no such one.
    #[schema(required, inline)]
    key: Option<AuthorizedKey<'a>>,
    /// The org of the key; null for a platform key, and when there is no such key.
    #[schema(required)]
    org: Option<&'a OrgId>,
    /// Every single decision, in the order of the ladder: the sliding windows, the quotas of every request, what is consumed, what was
    /// asked. What was not judged, because the request was refused before, is not among them.
    #[schema(value_type = Vec<DecisionView<'static>>)]
    decisions: Vec<DecisionView<'a>>,
    /// Headers to relay to the customer, whatever was decided.
    #[schema(value_type = HeadersSchema)]
    headers: Headers,
    /// The catalogue revision that the answer knows.
    revision: u64,
    /// The response for the product's own customer; null when allowed.
    #[schema(required, value_type = Option<DenialSchema>)]
    denial: Option<Denial>,
    /// The receipt of the refusal that won; not there when allowed, and when there is no org to keep it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<RecordId>,
}

/// An API key that was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuthorizedKey<'a> {
    /// Its id.
    id: &'a RecordId,
    /// The user that it belongs to.
    #[schema(required)]
    user: Option<&'a UserId>,
    /// What it may do.
    scopes: &'a Scopes,
    /// The first moment that it is no longer good at; null when it does not end.
    #[schema(required)]
    expires_at: Option<UtcMillis>,
}

impl<'a> AuthorizedKey<'a> {
    fn of(key: &'a ApiKey) -> Self {
        Self { id: &key.id, user: key.user.as_ref(), scopes: &key.scopes, expires_at: key.expires_at }
    }
}

/// Headers by their names.
struct HeadersSchema;

impl PartialSchema for HeadersSchema {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let headers = ObjectBuilder::new().additional_properties(Some(text));
        headers.description(Some("Headers to relay to the customer, by name.")).into()
    }
}

impl ToSchema for HeadersSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "RelayHeaders".into()
    }
}

impl<'a> AuthorizationView<'a> {
    /// The view of a verdict.
    pub fn of(gate: &'a Gate, verdict: &'a Verdict<'a>, headers: Vec<(&'static str, String)>, telling: &Telling) -> Self {
        let key = gate.key.as_deref();
        Self {
            allowed: verdict.refusal.is_none(),
            decision: verdict.refusal.map_or("allowed", Refusal::code),
            key: key.map(AuthorizedKey::of),
            org: key.and_then(|key| key.org.as_ref()),
            decisions: verdict.decisions.iter().enumerate().map(|(place, one)| telling.view(place, one)).collect(),
            headers: Headers(headers),
            revision: gate.revision,
            denial: verdict.refusal.map(Refusal::denial),
            decision_id: verdict.receipt(gate, telling),
        }
    }
}

/// What was decided, or with `?enforce=true` a refusal that is the response itself.
pub struct AuthorizationForm;

impl TakenForm for AuthorizationForm {
    fn describe(description: &mut Description<'_>) {
        // The decision brings the names that this schema refers to.
        description.reference::<DecisionView<'_>>();
        let schema = description.reference::<AuthorizationView<'_>>();
        description.success(200, envelope(schema, strength_meta()), &[]);
        refusals(description);
    }
}

/// How a request may be refused, in the order of the ladder.
const REFUSALS: [&str; 9] = [
    "invalid_api_key",
    "org_banned",
    "user_banned",
    "gone",
    "insufficient_scope",
    "rate_limit_exceeded",
    "limit_reached",
    "retention_exceeded",
    "feature_unavailable",
];

fn refusals(description: &mut Description<'_>) {
    REFUSALS.into_iter().for_each(|code| description.error(code));
}

/// How `authorize` is documented.
pub const AUTHORIZE: Doc = Doc {
    id: "authorize",
    tag: GATE,
    summary: "May this request of a customer go on?",
    text: "The whole gate in one call. The first refusal wins, in this order: 401 unknown, expired or revoked API key; 403 banned org or user; 410 removed endpoint; \
           403 scope; 429 sliding window; 429 quota; 402 in the order listed, `consume` before `check`. Of several full windows the longest wait is told.\n\n\
           Limit keys marked `perRequest` are taken by every call: the sliding windows of the API key, the quotas of its org. A refused call takes no quota and no count; the sliding \
           windows count every call that reached them and fitted in. What is taken is taken durably, in one operation with `consume`.\n\n\
           A refusal is an answer: HTTP 200 with `allowed: false`, and in `denial` the exact response for the customer. With `?enforce=true` the response is that one, and the \
           headers to relay are its own; `X-Plimsoll-Degraded` is where `meta.degraded` would be. A platform key has no org: it is held to its scopes only, and `consume` and `check` are a 400.",
    examples: &[
        ("a customer without a key", r#"{"method":"GET","path":"/api/v1/creators"}"#),
        (
            "write a creator",
            r#"{"apiKey":"plm_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","method":"POST","path":"/api/v1/creators","requiredScope":"write","consume":[{"limitKey":"max_creators_per_org"}]}"#,
        ),
        (
            "read history",
            r#"{"apiKey":"plm_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","method":"GET","path":"/api/v1/stats?from=2020-01-01","check":[{"limitKey":"stats_history_retention_days","from":"2020-01-01"}]}"#,
        ),
    ],
    errors: &["not_found", "gone", "state_conflict"],
};

/// May this request of a customer go on?
pub async fn authorize(
    permit: Permit<Write>,
    demand: Demand,
    query: Query<Enforce>,
    taker: Taker,
    body: HotBody<AuthorizeBody>,
) -> Result<Taken<AuthorizationForm>, ApiError> {
    let service = taker.service();
    let HotBody { value: mut asked, bytes, is_late } = body;
    let wanted = asked.wanted()?;
    taker.still_permitted(is_late).await?;
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let telling = Telling::of(&query.0, &fresh, now, (service, "authorize"))?;
    let key = api_key_by(&service, asked.api_key.as_deref().unwrap_or_default(), now).await?;
    let key = key.and_then(|key| if permit.caller.may_use(&key) { Ok(key) } else { Err(Presented::Something) });
    let request = Request {
        key: key.as_deref().map_err(|presented| *presented),
        method: asked.method.as_deref(),
        path: asked.path.as_deref(),
        required_scope: asked.required_scope.as_ref(),
    };
    let gate = match Gate::open(service, &fresh, key.clone().ok(), &request, wanted, now).await {
        Ok(gate) => Arc::new(gate),
        Err(error) => return taker.repeat_or_fail(&permit, &bytes, error).await,
    };
    let (has_older, operation) = (service.older_rate_headers, gate.operation());
    let admission = gate.admission();
    let view = move |outcome: &Outcome, telling: &Telling| {
        gate.count(outcome, telling);
        answered(&gate, outcome, telling, has_older)
    };
    taker.tell_if(&permit, (&bytes, is_late), (Some(admission), operation), telling, view).await
}

fn answered(gate: &Gate, outcome: &Outcome, telling: &Telling, has_older: bool) -> Option<Recorded> {
    let verdict = gate.verdict(outcome);
    let headers = verdict.rate_headers(gate.now, has_older);
    let owned = |headers: &[(&'static str, String)]| -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let relayed = if telling.enforces() { owned(&headers) } else { Vec::new() };
    let mut recorded = match verdict.refusal {
        Some(refusal) if telling.enforces() => {
            let mut recorded = enforced(refusal, verdict.receipts(gate, telling))?;
            recorded.headers.extend(verdict.is_degraded.then(|| (DEGRADED.to_owned(), LIMITER.to_owned())));
            recorded
        }
        Some(_) | None => {
            let view = AuthorizationView::of(gate, &verdict, headers, telling);
            answer_with(200, &view, strength(verdict.is_degraded))
        }
    };
    recorded.headers.extend(relayed);
    Some(recorded)
}

impl Verdict<'_> {
    /// Leaves a receipt of every refusal, and says which is that of the one that won.
    pub fn receipts(&self, gate: &Gate, telling: &Telling) -> Option<RecordId> {
        self.decisions.iter().enumerate().for_each(|(place, one)| drop(telling.receipt(place, one)));
        self.receipt(gate, telling)
    }

    /// The receipt of the refusal that won; where that is about no limit key, it is left here.
    fn receipt(&self, gate: &Gate, telling: &Telling) -> Option<RecordId> {
        let refusal = self.refusal?;
        match self.decisions.iter().position(|one| one.decision.refusal.as_ref() == Some(refusal)) {
            Some(place) => telling.id_of(place),
            None => telling.receipt_of(gate.key.as_ref()?.org.as_ref()?, gate.revision, refusal),
        }
    }

    /// The headers that tell the customer how much is left.
    pub fn rate_headers(&self, now: UtcMillis, has_older: bool) -> Vec<(&'static str, String)> {
        let decisions = self.decisions.iter().map(|considered| (considered.shown.limit_key, considered.decision));
        rate_headers(decisions, now, has_older)
    }
}
