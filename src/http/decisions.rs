//! Receipts of refused takings, for admins who ask why.

use deserr::Deserr;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use super::decision_view::{DecisionView, DenialSchema};
use super::document::Doc;
use super::envelope::{Data, Page};
use super::error::ApiError;
use super::extract::{Admin, Cursor, PageLimit, Path, Permit, Query, page_of};
use super::routes::DECISIONS;
use super::service::App;
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::store::{DecisionFilter, Listing, Receipt};
use crate::wire::Issues;

/// What is kept of a refused taking.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
pub struct ReceiptView {
    /// Its id, as it stood in the answer.
    id: RecordId,
    /// When it was refused.
    at: UtcMillis,
    /// What was asked for: `consume`, `consumeBatch`, `reserve`, `authorize` or `forwardAuth`.
    operation: String,
    /// The org.
    org: OrgId,
    /// The limit key; null when what refused is about none, such as a ban or a scope.
    #[schema(required)]
    limit_key: Option<LimitKeyName>,
    /// The refusal's code.
    decision: String,
    /// The catalogue revision that was known.
    revision: u64,
    /// The decision as it was answered, with its explanation; null when what refused is about no limit key.
    #[schema(required, value_type = Option<DecisionView<'static>>)]
    answer: Option<Json>,
    /// The response for the product's own customer.
    #[schema(value_type = DenialSchema)]
    denial: Json,
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        let Receipt { id, at, org, limit_key, operation, outcome, revision, mut facts } = receipt;
        let mut part = |name: &str| facts.get_mut(name).map(Json::take).unwrap_or_default();
        let (answer, denial) = (part("answer"), part("denial"));
        let answer = Some(answer).filter(|answer| !answer.is_null());
        Self { id, at, operation, org, limit_key, decision: outcome, revision, answer, denial }
    }
}

/// Which receipts to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct DecisionQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Of this org.
    #[deserr(default)]
    #[param(inline, example = "demo-free")]
    org: Option<OrgId>,
    /// About this limit key.
    #[deserr(default)]
    #[param(inline)]
    limit_key: Option<LimitKeyName>,
    /// At or after this moment.
    #[deserr(default)]
    #[param(inline)]
    from: Option<UtcMillis>,
    /// Before this moment.
    #[deserr(default)]
    #[param(inline)]
    to: Option<UtcMillis>,
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listDecisions",
    tag: DECISIONS,
    summary: "Refused takings, newest first",
    text: "What `consume`, `consume/batch`, `reservations`, `authorize` and `forward-auth` refused, each with its explanation. Receipts are kept for a set time and in a set number, the \
           oldest go first. They are written right after the answer; when more are refused at once than can be written, some are dropped, and \
           `plimsoll_receipts_dropped_total` counts them.",
    examples: &[],
    errors: &[],
};

/// Refused takings.
pub async fn list(_: Permit<Admin>, service: App, query: Query<DecisionQuery>) -> Result<Page<ReceiptView>, ApiError> {
    let DecisionQuery { limit, cursor, org, limit_key, from, to } = query.0;
    service.receipts.flush().await;
    let filter = DecisionFilter { org, limit_key, from, to };
    let Listing { items, next } = service.store.decisions(&page_of(limit, cursor), &filter).await?;
    Ok(Page { items: items.into_iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc = Doc {
    id: "getDecision",
    tag: DECISIONS,
    summary: "Why this was refused",
    text: "By the `decisionId` of an answer, or the header `X-Plimsoll-Decision-Id` of a response that was relayed to a customer.",
    examples: &[],
    errors: &["not_found"],
};

/// One refused taking.
pub async fn get(_: Permit<Admin>, service: App, path: Path<RecordId>) -> Result<Data<ReceiptView>, ApiError> {
    service.receipts.flush().await;
    let found = service.store.decision(&path.0).await?;
    found.map(|receipt| Data(receipt.into())).ok_or(ApiError::NotFound("decision"))
}
