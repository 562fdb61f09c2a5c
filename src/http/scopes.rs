//! Scopes: the built-in ones, and the product's own.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Page, Put, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::API_KEYS;
use super::service::App;
use super::texts::{Text, checked};
use super::writer::{Idempotent, View, Writer};
use crate::domain::limit_key::MAX_DESCRIPTION;
use crate::domain::names::ScopeName;
use crate::store::commands::{DeleteScope, PutScope};
use crate::store::{Listing, ScopeInfo, Stored};
use crate::wire::Issues;

/// A scope.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Scope)]
pub struct ScopeView {
    /// Its name.
    scope: ScopeName,
    /// For people.
    description: String,
    /// Whether it always exists, and is fixed.
    built_in: bool,
}

impl From<&Stored<ScopeInfo>> for ScopeView {
    fn from(stored: &Stored<ScopeInfo>) -> Self {
        let ScopeInfo { name, description, built_in } = stored.value.clone();
        Self { scope: name, description, built_in }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listScopes",
    tag: API_KEYS,
    summary: "All scopes: the built-in ones, then the product's own by name",
    text: "",
    examples: &[],
    errors: &[],
};

/// All scopes.
pub async fn list(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<ScopeView>, ApiError> {
    let Listing { items, next } = service.store.scopes(&query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How creating and replacing is documented.
pub const PUT: Doc = Doc {
    id: "putScope",
    tag: API_KEYS,
    summary: "Create or replace a scope of the product's own",
    text: "`read`, `write` and `admin` are fixed: 409 `state_conflict`.",
    examples: &[("a scope", r#"{"description":"Read the monthly reports"}"#)],
    errors: &["state_conflict"],
};

/// What a scope is for.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct ScopeBody {
    /// For people; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    description: Option<String>,
}

/// Creates or replaces a scope.
pub async fn put(
    permit: Permit<Admin>,
    path: Path<ScopeName>,
    writer: Writer<Idempotent>,
    body: Body<ScopeBody>,
) -> Result<Put<ScopeView>, ApiError> {
    let description = body.value.description;
    checked([Text("description", description.as_deref(), MAX_DESCRIPTION)])?;
    let command = PutScope { name: path.0, description: description.unwrap_or_default() };
    writer.run(&permit, &body.bytes, command, View::put).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteScope",
    tag: API_KEYS,
    summary: "Delete a scope that no API key holds",
    text: "",
    examples: &[],
    errors: &["not_found", "state_conflict"],
};

/// Deletes a scope.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<ScopeName>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<ScopeView>, ApiError> {
    writer.run(&permit, &[], DeleteScope { name: path.0 }, View::deleted).await
}
