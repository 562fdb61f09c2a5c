//! Tiers.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Page, Put, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Paging, Path, Permit, Query};
use super::routes::TIERS;
use super::service::App;
use super::texts::{Text, checked};
use super::writer::{Idempotent, View, Writer};
use crate::domain::limit_key::{MAX_DESCRIPTION, MAX_LABEL};
use crate::domain::names::TierName;
use crate::domain::time::UtcMillis;
use crate::store::commands::{DeleteTier, PutTier};
use crate::store::{Listing, Stored, TierInfo};
use crate::wire::Issues;

/// A tier.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tier)]
pub struct TierView {
    /// Its key.
    tier: TierName,
    /// For people.
    name: String,
    /// For people.
    description: String,
    /// When it was made.
    created_at: UtcMillis,
    /// When it last changed.
    updated_at: UtcMillis,
}

impl From<&Stored<TierInfo>> for TierView {
    fn from(stored: &Stored<TierInfo>) -> Self {
        let TierInfo { name, display_name, description } = stored.value.clone();
        Self { tier: name, name: display_name, description, created_at: stored.created_at, updated_at: stored.updated_at }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc { id: "listTiers", tag: TIERS, summary: "All tiers, by key", text: "", examples: &[], errors: &[] };

/// All tiers.
pub async fn list(_: Permit<Admin>, service: App, query: Query<Paging>) -> Result<Page<TierView>, ApiError> {
    let Listing { items, next } = service.store.tiers(&query.0.into()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc = Doc { id: "getTier", tag: TIERS, summary: "One tier", text: "", examples: &[], errors: &["not_found"] };

/// One tier.
pub async fn get(_: Permit<Admin>, service: App, path: Path<TierName>) -> Result<Resource<TierView>, ApiError> {
    let stored = service.store.tier(&path.0).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating and replacing is documented.
pub const PUT: Doc = Doc {
    id: "putTier",
    tag: TIERS,
    summary: "Create or replace a tier",
    text: "Its values stand under `/limits` and stay as they are.",
    examples: &[("a tier", r#"{"name":"Pro","description":"For growing teams"}"#)],
    errors: &[],
};

/// What a tier is called.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct TierBody {
    /// For people; at most 64 characters. The tier's key when left out.
    #[deserr(default)]
    #[schema(max_length = 64)]
    name: Option<String>,
    /// For people; at most 1024 characters.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    description: Option<String>,
}

/// Creates or replaces a tier.
pub async fn put(
    permit: Permit<Admin>,
    path: Path<TierName>,
    writer: Writer<Idempotent>,
    body: Body<TierBody>,
) -> Result<Put<TierView>, ApiError> {
    let TierBody { name, description } = body.value;
    checked([Text("name", name.as_deref(), MAX_LABEL), Text("description", description.as_deref(), MAX_DESCRIPTION)])?;
    let display_name = name.unwrap_or_else(|| path.0.to_string());
    let command = PutTier { tier: TierInfo { name: path.0, display_name, description: description.unwrap_or_default() } };
    writer.run(&permit, &body.bytes, command, View::put).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteTier",
    tag: TIERS,
    summary: "Delete a tier that no org is on",
    text: "Its values go with it. 409 `state_conflict` while an org is on it.",
    examples: &[],
    errors: &["not_found", "state_conflict"],
};

/// Deletes a tier.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<TierName>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<TierView>, ApiError> {
    writer.run(&permit, &[], DeleteTier { name: path.0 }, View::deleted).await
}
