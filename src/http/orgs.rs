//! Orgs, and their bans.

use deserr::Deserr;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::{Changed, Page, Put, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, Flag, OptionalBody, PageLimit, Path, Permit, Query, page_of};
use super::routes::ORGS;
use super::service::App;
use super::texts::{MAX_REASON, Text, checked};
use super::writer::{Idempotent, Once, View, Writer};
use crate::clock;
use crate::domain::issue::Issue;
use crate::domain::limit_key::MAX_DESCRIPTION;
use crate::domain::names::{OrgId, TierName};
use crate::domain::schedule::Schedule;
use crate::domain::time::UtcMillis;
use crate::store::commands::{BanOrg, DeleteOrg, PutOrg, UnbanOrg};
use crate::store::{Ban, Listing, Org, OrgFilter, Stored};
use crate::wire::Issues;
use crate::wire::schedule::{ScheduledTier, steps};

/// The most that an org's metadata takes as JSON, so that listing orgs stays cheap.
const MAX_METADATA_BYTES: usize = 8_192;

/// An org.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Org)]
pub struct OrgView {
    /// Its id.
    org: OrgId,
    /// The tier that it has now.
    tier: TierName,
    /// The tier that it was given: it has it until something that is scheduled begins.
    assigned_tier: TierName,
    /// The tiers that it is to have from a moment on, in order, also those that have begun.
    #[schema(value_type = Vec<ScheduledTier>)]
    scheduled: Schedule<TierName>,
    /// For people.
    name: String,
    /// The caller's own data.
    #[schema(value_type = Object)]
    metadata: Map<String, Json>,
    /// Whether it is banned.
    banned: bool,
    /// Since when; null when it is not.
    #[schema(required)]
    banned_at: Option<UtcMillis>,
    /// Why; null when nothing was said.
    #[schema(required)]
    ban_reason: Option<String>,
    /// When it was made.
    created_at: UtcMillis,
    /// When it last changed.
    updated_at: UtcMillis,
}

impl From<&Stored<Org>> for OrgView {
    fn from(stored: &Stored<Org>) -> Self {
        let tier = stored.value.tier_at(clock::now()).clone();
        let Org { id, tier: assigned_tier, scheduled, name, metadata, ban } = stored.value.clone();
        let (banned_at, ban_reason) = ban.map_or((None, None), |Ban { at, reason }| (Some(at), reason));
        let (created_at, updated_at) = (stored.created_at, stored.updated_at);
        let (org, banned) = (id, banned_at.is_some());
        Self { org, tier, assigned_tier, scheduled, name, metadata, banned, banned_at, ban_reason, created_at, updated_at }
    }
}

/// How the list is documented.
pub const LIST: Doc = Doc { id: "listOrgs", tag: ORGS, summary: "All orgs, by id", text: "", examples: &[], errors: &[] };

/// Which orgs to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct OrgsQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Those that have this tier now.
    #[deserr(default)]
    #[param(inline)]
    tier: Option<TierName>,
    /// Those that are banned, or those that are not.
    #[deserr(default)]
    #[param(inline)]
    banned: Option<Flag>,
}

/// All orgs.
pub async fn list(_: Permit<Admin>, service: App, query: Query<OrgsQuery>) -> Result<Page<OrgView>, ApiError> {
    let OrgsQuery { limit, cursor, tier, banned } = query.0;
    let filter = OrgFilter { tier: tier.map(|tier| (tier, clock::now())), banned: banned.map(Flag::get) };
    let Listing { items, next } = service.store.orgs(&page_of(limit, cursor), &filter).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc = Doc { id: "getOrg", tag: ORGS, summary: "One org", text: "", examples: &[], errors: &["not_found"] };

/// One org.
pub async fn get(_: Permit<Admin>, service: App, path: Path<OrgId>) -> Result<Resource<OrgView>, ApiError> {
    let stored = service.store.org(&path.0).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating and replacing is documented.
pub const PUT: Doc = Doc {
    id: "putOrg",
    tag: ORGS,
    summary: "Register an org, or move it to another tier",
    text: "A ban stays. A tier that does not exist is a 400.\n\n\
           `scheduled` says which tiers the org is to have later: from `startsAt` on it has that `tier`, whether or not anybody is there to see it. A trial is a tier with one \
           that follows it. What is left out is scheduled no more: to give a tier is to end a trial. A `startsAt` that is not in the future is a 400, unless the org has \
           this very change already, so that the same body can be put again.",
    examples: &[
        ("an org", r#"{"tier":"free","name":"Acme","metadata":{"crmId":"42"}}"#),
        (
            "a trial that falls back to free",
            r#"{"tier":"ultra","scheduled":[{"startsAt":"2099-01-01T00:00:00Z","tier":"free"}]}"#,
        ),
        (
            "a trial, and then what was signed",
            r#"{"tier":"ultra","scheduled":[{"startsAt":"2098-12-15T00:00:00Z","tier":"free"},{"startsAt":"2099-01-01T00:00:00Z","tier":"starter"}]}"#,
        ),
    ],
    errors: &[],
};

/// An org.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct OrgBody {
    /// Its tier, until something that is scheduled begins.
    tier: TierName,
    /// The tiers that it is to have from a moment on, in order. None when left out.
    #[deserr(default)]
    #[schema(max_items = 16)]
    scheduled: Option<Vec<ScheduledTier>>,
    /// For people; at most 1024 characters. The org's id when left out.
    #[deserr(default)]
    #[schema(max_length = 1024)]
    name: Option<String>,
    /// The caller's own data: a JSON object of at most 8192 bytes.
    #[deserr(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Json>,
}

fn metadata_of(metadata: Option<Json>) -> Result<Map<String, Json>, Issue> {
    let map = match metadata {
        None | Some(Json::Null) => Map::new(),
        Some(Json::Object(map)) => map,
        Some(_) => return Err(Issue::new("metadata", "must be an object")),
    };
    let text = serde_json::to_string(&map).unwrap_or_default();
    if text.len() > MAX_METADATA_BYTES {
        return Err(Issue::new("metadata", format!("must be at most {MAX_METADATA_BYTES} bytes of JSON")));
    }
    if text.contains("\\u0000") {
        return Err(Issue::new("metadata", "must not hold the character U+0000"));
    }
    Ok(map)
}

/// Registers an org, or replaces what is known of it.
pub async fn put(
    permit: Permit<Admin>,
    path: Path<OrgId>,
    writer: Writer<Idempotent>,
    body: Body<OrgBody>,
) -> Result<Put<OrgView>, ApiError> {
    let OrgBody { tier, scheduled, name, metadata } = body.value;
    checked([Text("name", name.as_deref(), MAX_DESCRIPTION)])?;
    let metadata = metadata_of(metadata).map_err(|issue| ApiError::InvalidBody(vec![issue]))?;
    let name = name.unwrap_or_else(|| path.0.to_string());
    let command = PutOrg { id: path.0, tier, scheduled: steps(scheduled), name, metadata };
    writer.run(&permit, &body.bytes, command, View::put).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteOrg",
    tag: ORGS,
    summary: "Delete an org with its overrides and API keys",
    text: "Its API keys are refused from the next request on.",
    examples: &[],
    errors: &["not_found"],
};

/// Deletes an org.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<OrgId>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<OrgView>, ApiError> {
    let ledger = writer.service().ledger.clone();
    let deleted = writer.run(&permit, &[], DeleteOrg { id: path.0.clone() }, View::deleted).await?;
    // Its usage is gone from the disk; now no question finds it in memory either.
    ledger.settle(&path.0).await?;
    Ok(deleted)
}

/// Why somebody is banned.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct BanBody {
    /// For people; at most 512 characters.
    #[deserr(default)]
    #[schema(max_length = 512)]
    pub(super) reason: Option<String>,
}

/// How banning is documented.
pub const BAN: Doc = Doc {
    id: "banOrg",
    tag: ORGS,
    summary: "Refuse an org everything",
    text: "Every question about it is answered `org_banned`, and its own API keys are refused with 403, from the next request on. Banning again replaces the reason.",
    examples: &[("with a reason", r#"{"reason":"chargeback"}"#)],
    errors: &["not_found"],
};

/// Bans an org.
pub async fn ban(
    permit: Permit<Admin>,
    path: Path<OrgId>,
    writer: Writer<Once>,
    body: OptionalBody<BanBody>,
) -> Result<Changed<OrgView>, ApiError> {
    let reason = body.0.value.reason;
    checked([Text("reason", reason.as_deref(), MAX_REASON)])?;
    writer.run(&permit, &body.0.bytes, BanOrg { id: path.0, reason }, View::changed).await
}

/// How lifting a ban is documented.
pub const UNBAN: Doc = Doc {
    id: "unbanOrg",
    tag: ORGS,
    summary: "Lift the ban of an org",
    text: "",
    examples: &[("nothing to say", "{}")],
    errors: &["not_found"],
};

/// A body with nothing in it.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct EmptyBody {}

/// Lifts the ban of an org.
pub async fn unban(
    permit: Permit<Admin>,
    path: Path<OrgId>,
    writer: Writer<Once>,
    body: OptionalBody<EmptyBody>,
) -> Result<Changed<OrgView>, ApiError> {
    writer.run(&permit, &body.0.bytes, UnbanOrg { id: path.0 }, View::changed).await
}
