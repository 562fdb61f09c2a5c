//! The audit log: who changed what, when, before and after.

use deserr::Deserr;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::Page;
use super::error::ApiError;
use super::extract::{Admin, Cursor, PageLimit, Permit, Query, page_of};
use super::routes::AUDIT;
use super::service::App;
use crate::domain::issue::Issue;
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;
use crate::store::{Actor, AuditEntry, AuditFilter, Listing, Object, StoreError};
use crate::wire::Issues;

/// One change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct AuditView {
    /// The catalogue revision that it made.
    revision: u64,
    /// When.
    at: UtcMillis,
    /// Who.
    actor: ActorView,
    /// What was done: `create`, `update`, `delete`, `archive`, `ban`, `unban`, `rotate`, `revoke`, `enable`, `disable`, `test`, `redeliver`.
    action: String,
    /// The kind of object: `limitKey`, `tier`, `tierLimit`, `org`, `override`, `user`, `scope`, `apiKey`, `removedEndpoint`, `webhook`.
    object: String,
    /// Which one.
    object_id: String,
    /// The org that it belongs to.
    #[schema(required)]
    org: Option<OrgId>,
    /// As it was; null when it was not.
    #[schema(value_type = Option<Object>, required)]
    before: Option<Json>,
    /// As it is; null when it is no more.
    #[schema(value_type = Option<Object>, required)]
    after: Option<Json>,
    /// The request that asked for it.
    #[schema(required)]
    request_id: Option<String>,
}

/// Who changed something.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorView {
    /// `apiKey`, `token`, `bootstrap`, `commandLine` or `service`.
    kind: String,
    /// The API key's id or the token's subject.
    #[schema(required)]
    id: Option<String>,
}

impl From<&Actor> for ActorView {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind().to_owned(), id: actor.id().map(str::to_owned) }
    }
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { revision, at, actor, action, object, object_id, org, before, after, request_id } = entry;
        let (actor, object) = ((&actor).into(), object.as_str().to_owned());
        Self { revision, at, actor, action, object, object_id, org, before, after, request_id }
    }
}

/// Which changes to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct AuditQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Of this kind of object: `limitKey`, `tier`, `tierLimit`, `org`, `override`, `user`, `scope`, `apiKey`, `removedEndpoint`, `webhook`.
    #[deserr(default)]
    #[param(pattern = "^(limitKey|tier|tierLimit|org|override|user|scope|apiKey|removedEndpoint|webhook)$")]
    object: Option<String>,
    /// Of this object.
    #[deserr(default)]
    #[param(inline)]
    object_id: Option<String>,
    /// Of this org and what belongs to it.
    #[deserr(default)]
    #[param(inline)]
    org: Option<OrgId>,
    /// By the API key of this id, or by the token of this subject.
    #[deserr(default)]
    actor: Option<String>,
    /// That did this.
    #[deserr(default)]
    action: Option<String>,
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
    id: "listAudit",
    tag: AUDIT,
    summary: "Who changed what, newest first",
    text: "Every admin write is recorded in its own transaction, with what was before and after. Secrets and their hashes never are.",
    examples: &[],
    errors: &[],
};

/// Who changed what.
pub async fn list(_: Permit<Admin>, service: App, query: Query<AuditQuery>) -> Result<Page<AuditView>, ApiError> {
    let AuditQuery { limit, cursor, object, object_id, org, actor, action, from, to } = query.0;
    let unknown = || {
        ApiError::InvalidQuery(vec![Issue::new(
            "object",
            format!("must be one of {}", Object::ALL.map(Object::as_str).join(", ")),
        )])
    };
    let object = object.map(|name| Object::parse(&name).ok_or_else(unknown)).transpose()?;
    let filter = AuditFilter { object, object_id, org, actor, action, from, to };
    let listing = service.store.audit(&page_of(limit, cursor), &filter).await;
    let Listing { items, next } = listing.map_err(|error| {
        // What is wrong with a request here stands in its query: it has no body.
        if let StoreError::Invalid(issues) = error { ApiError::InvalidQuery(issues) } else { error.into() }
    })?;
    Ok(Page { items: items.into_iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}
