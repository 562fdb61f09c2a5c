//! The catalogue as one document: limit keys, tiers and values.

use deserr::Deserr;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::{Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Flag, Permit, Query, flag};
use super::routes::CATALOG;
use super::service::App;
use super::writer::{Idempotent, View, Writer};
use crate::clock;
use crate::domain::plan::{Change, Plan};
use crate::store::commands::ApplyPlan;
use crate::wire::Issues;
use crate::wire::plan::PlanDocument;

/// A catalogue, as it is answered: the form that it can be put in.
#[derive(Serialize)]
#[serde(transparent)]
pub struct CatalogView(Plan);

impl utoipa::PartialSchema for CatalogView {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        PlanDocument::schema()
    }
}

impl ToSchema for CatalogView {
    fn name() -> std::borrow::Cow<'static, str> {
        PlanDocument::name()
    }

    fn schemas(schemas: &mut Vec<super::document::NamedSchema>) {
        PlanDocument::schemas(schemas);
    }
}

/// What a document changes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CatalogDifference)]
pub struct DifferenceView {
    /// Whether it was only asked what would change.
    dry_run: bool,
    /// What changes, in the order of the paths; empty when there is no difference.
    changes: Vec<ChangeView>,
}

/// One thing that changes.
#[derive(Serialize, ToSchema)]
#[schema(as = CatalogChange)]
pub struct ChangeView {
    /// `create` or `update`.
    action: &'static str,
    /// Where in the document.
    path: String,
    /// As it was; null when it was not.
    #[schema(value_type = Option<Object>, required)]
    before: Option<Json>,
    /// As it is.
    #[schema(value_type = Object)]
    after: Json,
}

fn json_of<T: Serialize>(value: &T) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// A tier's own texts: its values are changes of their own.
fn texts_of(tier: &crate::domain::plan::Tier) -> Json {
    serde_json::json!({"name": tier.name, "description": tier.description})
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        let (before, after) = match change {
            Change::LimitKey { before, after } => (before.as_ref().map(json_of), json_of(after)),
            Change::Tier { before, after, .. } => (before.as_ref().map(texts_of), texts_of(after)),
            Change::Limit { before, after, .. } => (before.as_ref().map(json_of), json_of(after)),
        };
        Self { action: if before.is_some() { "update" } else { "create" }, path: change.path(), before, after }
    }
}

/// How the export is documented.
pub const GET: Doc = Doc {
    id: "getCatalog",
    tag: CATALOG,
    summary: "The whole catalogue as one document",
    text: "Limit keys, tiers and values, in a stable order: what it answers can be put as it is and changes nothing.",
    examples: &[],
    errors: &[],
};

/// The whole catalogue.
pub async fn get(_: Permit<Admin>, service: App) -> Result<Resource<CatalogView>, ApiError> {
    let (plan, revision) = service.store.plan().await?;
    Ok(Resource { data: CatalogView(plan), revision })
}

/// Whether to change anything.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct DryRun {
    /// With `true` nothing changes: the answer is the difference.
    #[deserr(default)]
    #[param(inline)]
    dry_run: Option<Flag>,
}

/// How applying is documented.
pub const PUT: Doc = Doc {
    id: "putCatalog",
    tag: CATALOG,
    summary: "Apply a document to the catalogue, whole or not at all",
    text: "Creates and replaces what the document names, and deletes nothing: what it does not name stays. A document that contradicts itself or the catalogue \
           is refused with every finding at once. `If-Match` takes the `ETag` of the catalogue.",
    examples: &[(
        "a limit key, a tier and its value",
        r#"{"limitKeys":{"max_reports":{"kind":"count","default":{"max":1}}},"tiers":{"pro":{"name":"Pro","limits":{"max_reports":{"max":20}}}}}"#,
    )],
    errors: &[],
};

/// Applies a document.
pub async fn put(
    permit: Permit<Admin>,
    query: Query<DryRun>,
    writer: Writer<Idempotent>,
    body: Body<PlanDocument>,
) -> Result<Untagged<DifferenceView>, ApiError> {
    let dry_run = flag(query.0.dry_run);
    let (known, _) = writer.service().store.plan().await?;
    let change = body.value.into_plan(&known, clock::now()).map_err(ApiError::InvalidBody)?;
    let view = move |changes: &Vec<Change>| View {
        status: 200,
        data: DifferenceView { dry_run, changes: changes.iter().map(Into::into).collect() },
        revision: None,
    };
    writer.run(&permit, &body.bytes, ApplyPlan { change, dry_run }, view).await
}
