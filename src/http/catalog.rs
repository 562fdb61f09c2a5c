//! The catalogue as one document: limit keys, tiers and values.

use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::{Changed, Resource};
use super::error::ApiError;
use super::extract::{Admin, Body, Flag, Permit, Query, flag};
use super::past::{self, At};
use super::routes::CATALOG;
use super::service::App;
use super::writer::{Idempotent, View, Writer};
use crate::clock;
use crate::domain::plan::Plan;
use crate::store::PlanChanges;
use crate::store::commands::ApplyPlan;
use crate::wire::Issues;
use crate::wire::difference::Difference;
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

/// How the export is documented.
pub const GET: Doc = Doc {
    id: "getCatalog",
    tag: CATALOG,
    summary: "The whole catalogue as one document",
    text: "Limit keys, tiers and values, with what is scheduled of them, in a stable order: what it answers can be put as it is and changes nothing. \
           The `ETag` moves when one of them changes, and with nothing else.\n\nWith `at` it is the document of a past moment, to be looked at, compared or put again.",
    examples: &[],
    errors: &[],
};

/// The whole catalogue.
pub async fn get(_: Permit<Admin>, service: App, query: Query<At>) -> Result<Resource<CatalogView>, ApiError> {
    let (plan, revision) = match query.0.at {
        Some(at) => past::catalogue(&service, at).await?,
        None => service.store.catalogue().await?,
    };
    Ok(Resource { data: CatalogView(plan), revision })
}

/// Whether to change anything, and what becomes of the rest.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct Applying {
    /// With `true` nothing changes: the answer is the difference.
    #[deserr(default)]
    #[param(inline)]
    dry_run: Option<Flag>,
    /// With `true` what the document does not name is deleted.
    #[deserr(default)]
    #[param(inline)]
    prune: Option<Flag>,
}

/// How applying is documented.
pub const PUT: Doc = Doc {
    id: "putCatalog",
    tag: CATALOG,
    summary: "Apply a document to the catalogue, whole or not at all",
    text: "Creates and replaces what the document names. What it does not name stays, unless `prune=true`: then it is deleted. The answer says what changed, or with \
           `dryRun=true` what would.\n\nA document that contradicts itself or the catalogue is refused with every finding at once, each with its path. What is to be \
           deleted and is in use (a tier that orgs have; a limit key with overrides, with rates of API keys or with recorded usage) is a 409 that names all of it in `issues`.\n\n\
           `If-Match` takes the `ETag` of the catalogue, which moves when a limit key, a tier or a tier's value changes and with nothing else.\n\n\
           `warnings` name what is allowed and probably not meant: a limit key in no tier, an unlimited rate over a finite quota (both or neither `perRequest`), a higher tier that \
           grants less. Of two tiers that is the higher which grants more of more limit keys; of as many, the one that grants more altogether.",
    examples: &[
        (
            "a limit key, a tier and its value",
            r#"{"limitKeys":{"max_reports":{"kind":"count","default":{"max":1}}},"tiers":{"pro":{"name":"Pro","limits":{"max_reports":{"max":20}}}}}"#,
        ),
        (
            "a lower limit, for a dry run",
            r#"{"tiers":{"free":{"name":"Free","description":"To try it","limits":{"max_creators_per_org":{"max":3}}}}}"#,
        ),
    ],
    errors: &["state_conflict"],
};

/// Applies a document.
pub async fn put(
    permit: Permit<Admin>,
    query: Query<Applying>,
    writer: Writer<Idempotent>,
    body: Body<PlanDocument>,
) -> Result<Changed<Difference>, ApiError> {
    let (dry_run, prune) = (flag(query.0.dry_run), flag(query.0.prune));
    let known = if prune { Plan::default() } else { writer.service().store.plan().await?.0 };
    let change = body.value.into_plan(&known, clock::now()).map_err(ApiError::InvalidBody)?;
    let view = move |found: &PlanChanges| View {
        status: 200,
        data: Difference::of(dry_run, &found.changes, &found.oddities),
        revision: Some(found.revision),
    };
    writer.run(&permit, &body.bytes, ApplyPlan { change, prune, dry_run }, view).await
}
