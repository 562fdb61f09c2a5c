//! Removed endpoints of the product: the gate answers 410 for them.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Created, Page, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::REMOVED;
use super::service::App;
use super::texts::{Text, checked};
use super::writer::{Idempotent, Once, View, Writer};
use crate::domain::limit_key::MAX_DESCRIPTION;
use crate::domain::names::RecordId;
use crate::domain::removed_endpoint::{check_method, check_path};
use crate::domain::time::UtcMillis;
use crate::store::commands::{CreateRemovedEndpoint, DeleteRemovedEndpoint};
use crate::store::{Listing, RemovedEndpoint, Stored};
use crate::wire::Issues;

/// A removed endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RemovedEndpoint)]
pub struct RemovedEndpointView {
    /// Its id.
    id: RecordId,
    /// The HTTP method.
    method: String,
    /// The path, with `{name}` for its variable parts.
    path: String,
    /// What to use instead; null when there is nothing.
    #[schema(required)]
    replacement: Option<String>,
    /// When it was entered.
    created_at: UtcMillis,
}

impl From<&Stored<RemovedEndpoint>> for RemovedEndpointView {
    fn from(stored: &Stored<RemovedEndpoint>) -> Self {
        let RemovedEndpoint { id, method, path, replacement } = stored.value.clone();
        Self { id, method, path, replacement, created_at: stored.created_at }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listRemovedEndpoints",
    tag: REMOVED,
    summary: "All removed endpoints, oldest first",
    text: "",
    examples: &[],
    errors: &[],
};

/// All removed endpoints.
pub async fn list(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<RemovedEndpointView>, ApiError> {
    let Listing { items, next } = service.store.removed_endpoints(&query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How entering is documented.
pub const CREATE: Doc = Doc {
    id: "createRemovedEndpoint",
    tag: REMOVED,
    summary: "Enter an endpoint that the product no longer has",
    text: "409 `duplicate` when the method and path are entered already.",
    examples: &[("an endpoint", r#"{"method":"GET","path":"/creators/{id}/stats","replacement":"/creators/{id}/metrics"}"#)],
    errors: &["duplicate"],
};

/// A removed endpoint.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct RemovedEndpointBody {
    /// The HTTP method.
    #[schema(pattern = "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$")]
    method: String,
    /// The path, with `{name}` for its variable parts.
    #[schema(pattern = r"^(/([A-Za-z0-9._~!$&'()*+,;=:@%-]+|\{[A-Za-z][A-Za-z0-9_]{0,63}\})?)+$", max_length = 512)]
    path: String,
    /// What to use instead; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    replacement: Option<String>,
}

/// Enters a removed endpoint.
pub async fn create(
    permit: Permit<Admin>,
    writer: Writer<Once>,
    body: Body<RemovedEndpointBody>,
) -> Result<Created<RemovedEndpointView>, ApiError> {
    let RemovedEndpointBody { method, path, replacement } = body.value;
    let issues: Vec<_> = [check_method(&method).map_err(|e| e.at("method")), check_path(&path).map_err(|e| e.at("path"))]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    if !issues.is_empty() {
        return Err(ApiError::InvalidBody(issues));
    }
    checked([Text("replacement", replacement.as_deref(), MAX_DESCRIPTION)])?;
    writer.run(&permit, &body.bytes, CreateRemovedEndpoint { method, path, replacement }, View::created).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteRemovedEndpoint",
    tag: REMOVED,
    summary: "Take a removed endpoint out",
    text: "",
    examples: &[],
    errors: &["not_found"],
};

/// Takes a removed endpoint out.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<RemovedEndpointView>, ApiError> {
    writer.run(&permit, &[], DeleteRemovedEndpoint { id: path.0 }, View::deleted).await
}
