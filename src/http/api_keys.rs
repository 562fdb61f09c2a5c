//! API keys: made once, listed by a short prefix, rotated, revoked.

use deserr::Deserr;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::document::Doc;
use super::envelope::{Changed, Created, Page, Resource, Untagged};
use super::error::ApiError;
use super::extract::{Admin, Body, Cursor, OptionalBody, PageLimit, Path, Permit, Query, page_of};
use super::routes::API_KEYS;
use super::service::App;
use super::texts::{Text, checked};
use super::writer::{Idempotent, Once, View, Writer};
use crate::clock;
use crate::domain::api_key::OwnRates;
use crate::domain::issue::Issue;
use crate::domain::limit_key::MAX_LABEL;
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ScopeName, UserId};
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;
use crate::identity::secret::NewSecret;
use crate::store::commands::{CreateApiKey, DeleteApiKey, NewSecret as SecretRecord, PatchApiKey, RotateApiKey, WrittenRates};
use crate::store::{ApiKeyFilter, ApiKeyInfo, Listing, Stored};
use crate::wire::Issues;
use crate::wire::entries::Entries;
use crate::wire::patch::Patch;
use crate::wire::value::{MAX_RATES, RateLimits};

/// The longest overlap of a rotation: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 2_592_000;
/// The most scopes that one key holds.
const MAX_SCOPES: usize = 64;

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// Its id.
    id: RecordId,
    /// For people.
    name: String,
    /// The first characters of its secret, the newest one.
    prefix: String,
    /// The first characters of the secrets that are good until a rotation's overlap ends.
    overlapping: Vec<String>,
    /// The org that it belongs to; null for a platform key.
    #[schema(required)]
    org: Option<OrgId>,
    /// The user that it belongs to.
    #[schema(required)]
    user: Option<UserId>,
    /// What it may do.
    scopes: Scopes,
    /// The first moment that it is no longer good at; null when it does not end.
    #[schema(required)]
    expires_at: Option<UtcMillis>,
    /// When it was revoked; null when it was not.
    #[schema(required)]
    revoked_at: Option<UtcMillis>,
    /// The rates that are its own: for limit keys of kind rate, each in the place of its org's value.
    #[schema(value_type = RateLimits)]
    rate_limits: OwnRates,
    /// When it was last used, to some minutes: use is written down seldom, so this is up to six minutes early. Null when it never was.
    /// It changes neither `updatedAt` nor the `ETag`.
    #[schema(required)]
    last_used_at: Option<UtcMillis>,
    /// When it was made.
    created_at: UtcMillis,
    /// When it last changed.
    updated_at: UtcMillis,
}

/// An API key with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKeyWithSecret)]
pub struct ApiKeyWithSecret {
    /// The secret: `<prefix>_<64 lowercase hex>`. Only its hash is kept.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,15}_[0-9a-f]{64}$")]
    key: String,
    /// The key.
    #[serde(flatten)]
    #[schema(inline)]
    api_key: ApiKeyView,
}

impl From<&Stored<ApiKeyInfo>> for ApiKeyView {
    fn from(stored: &Stored<ApiKeyInfo>) -> Self {
        let key = stored.value.clone();
        let mut shown = key.shown.into_iter();
        Self {
            id: key.id,
            name: key.name,
            prefix: shown.next().unwrap_or_default(),
            overlapping: shown.collect(),
            org: key.org,
            user: key.user,
            scopes: key.scopes,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            rate_limits: key.rates,
            last_used_at: key.last_used_at,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

fn with_secret(secret: SecretString) -> impl FnOnce(&Stored<ApiKeyInfo>) -> View<ApiKeyWithSecret> + Send + 'static {
    move |stored| {
        let data = ApiKeyWithSecret { key: secret.expose_secret().to_owned(), api_key: stored.into() };
        View { status: 201, data, revision: Some(stored.revision) }
    }
}

fn new_secret() -> Result<(SecretString, SecretRecord), ApiError> {
    let NewSecret { secret, hash, shown } = NewSecret::generate().map_err(|error| {
        tracing::error!(%error, "the system has no randomness");
        ApiError::Internal
    })?;
    Ok((secret, SecretRecord { hash, shown }))
}

/// How the list is documented.
pub const LIST: Doc = Doc {
    id: "listApiKeys",
    tag: API_KEYS,
    summary: "All API keys, oldest first",
    text: "Secrets are never shown again: a key is known by its prefix.",
    examples: &[],
    errors: &[],
};

/// Which API keys to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct ApiKeysQuery {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Those of this org.
    #[deserr(default)]
    #[param(inline)]
    org: Option<OrgId>,
    /// Those of this user.
    #[deserr(default)]
    #[param(inline)]
    user: Option<UserId>,
}

/// All API keys.
pub async fn list(_: Permit<Admin>, service: App, query: Query<ApiKeysQuery>) -> Result<Page<ApiKeyView>, ApiError> {
    let ApiKeysQuery { limit, cursor, org, user } = query.0;
    let Listing { items, next } =
        service.store.api_keys(&page_of(limit, cursor), &ApiKeyFilter { org, user }, clock::now()).await?;
    Ok(Page { items: items.iter().map(Into::into).collect(), next_cursor: next.as_deref().map(Cursor::of) })
}

/// How one is documented.
pub const GET: Doc =
    Doc { id: "getApiKey", tag: API_KEYS, summary: "One API key", text: "", examples: &[], errors: &["not_found"] };

/// One API key.
pub async fn get(_: Permit<Admin>, service: App, path: Path<RecordId>) -> Result<Resource<ApiKeyView>, ApiError> {
    let stored = service.store.api_key(&path.0, clock::now()).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How creating is documented.
pub const CREATE: Doc = Doc {
    id: "createApiKey",
    tag: API_KEYS,
    summary: "Make an API key",
    text: "The secret is in `key`, this once. A key without `org` is a platform key and may ask about every org; an org's key sees its own org only, and can never hold \
           `admin`. An org, or a scope, that does not exist is a 400.\n\nWith `rateLimits` the key has rates of its own: an entry replaces what its org has \
           for that limit key, overrides and all, for this key only; its `source` is then `override`.",
    examples: &[
        ("a platform key for a backend", r#"{"name":"billing service"}"#),
        ("an org's key", r#"{"name":"Acme dashboard","org":"demo-free","scopes":["read"]}"#),
        (
            "a key with a rate of its own",
            r#"{"name":"Acme importer","org":"demo-free","rateLimits":{"v1_api_requests_per_key":{"max":600}}}"#,
        ),
    ],
    errors: &[],
};

/// An API key to make.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ApiKeyBody {
    /// For people; at most 64 characters.
    #[schema(max_length = 64)]
    name: String,
    /// The org that it belongs to; none makes a platform key.
    #[deserr(default)]
    org: Option<OrgId>,
    /// The user that it belongs to: banning the user refuses the key.
    #[deserr(default)]
    user: Option<UserId>,
    /// What it may do; `read` and `write` when left out.
    #[deserr(default)]
    #[schema(max_items = 64)]
    scopes: Option<Vec<ScopeName>>,
    /// The first moment that it is no longer good at; never when left out.
    #[deserr(default)]
    expires_at: Option<UtcMillis>,
    /// Rates of its own: names of limit keys of kind rate, each with the value that replaces the org's for this key. At most 64.
    #[deserr(default)]
    #[schema(value_type = Option<RateLimits>)]
    rate_limits: Option<Entries<LimitKeyName, WrittenValue>>,
}

fn bounded(scopes: Option<Vec<ScopeName>>) -> Result<Option<Vec<ScopeName>>, ApiError> {
    match scopes {
        Some(scopes) if scopes.len() > MAX_SCOPES => {
            let issue = Issue::new("scopes", format!("must have at most {MAX_SCOPES} items"));
            Err(ApiError::InvalidBody(vec![issue]))
        }
        scopes => Ok(scopes),
    }
}

fn bounded_rates(rates: Entries<LimitKeyName, WrittenValue>) -> Result<WrittenRates, ApiError> {
    if rates.0.len() > MAX_RATES {
        let issue = Issue::new("rateLimits", format!("must have at most {MAX_RATES} entries"));
        return Err(ApiError::InvalidBody(vec![issue]));
    }
    Ok(rates.0)
}

/// Makes an API key.
pub async fn create(
    permit: Permit<Admin>,
    writer: Writer<Once>,
    body: Body<ApiKeyBody>,
) -> Result<Created<ApiKeyWithSecret>, ApiError> {
    let ApiKeyBody { name, org, user, scopes, expires_at, rate_limits } = body.value;
    checked([Text("name", Some(&name), MAX_LABEL)])?;
    let scopes = bounded(scopes)?.unwrap_or_else(|| Scopes::built_in(&["read", "write"]).iter().cloned().collect());
    let rates = bounded_rates(rate_limits.unwrap_or_default())?;
    let (secret, record) = new_secret()?;
    let command = CreateApiKey { name, org, user, scopes, expires_at, rates, secret: record };
    writer.run(&permit, &body.bytes, command, with_secret(secret)).await
}

/// How changing is documented.
pub const PATCH: Doc = Doc {
    id: "patchApiKey",
    tag: API_KEYS,
    summary: "Change an API key, or revoke it",
    text: "What is left out stays; `null` clears `user`, `expiresAt` and `rateLimits`; lists and `rateLimits` are replaced whole. `\"revoked\": true` refuses it from the next request on and cannot be undone.",
    examples: &[("rename", r#"{"name":"old dashboard"}"#), ("revoke", r#"{"revoked":true}"#)],
    errors: &["not_found"],
};

/// What to change of an API key.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ApiKeyPatchBody {
    /// For people; at most 64 characters.
    #[deserr(default)]
    #[schema(max_length = 64)]
    name: Option<String>,
    /// The user that it belongs to; null for none.
    #[deserr(default)]
    #[schema(value_type = Option<UserId>)]
    user: Patch<UserId>,
    /// What it may do.
    #[deserr(default)]
    #[schema(max_items = 64)]
    scopes: Option<Vec<ScopeName>>,
    /// The first moment that it is no longer good at; null for never.
    #[deserr(default)]
    #[schema(value_type = Option<UtcMillis>)]
    expires_at: Patch<UtcMillis>,
    /// All of its own rates, in the place of those that it had; null for none.
    #[deserr(default)]
    #[schema(value_type = Option<RateLimits>)]
    rate_limits: Patch<Entries<LimitKeyName, WrittenValue>>,
    /// `true` revokes it.
    #[deserr(default)]
    revoked: Option<bool>,
}

/// Changes an API key.
pub async fn patch(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Idempotent>,
    body: Body<ApiKeyPatchBody>,
) -> Result<Changed<ApiKeyView>, ApiError> {
    let ApiKeyPatchBody { name, user, scopes, expires_at, rate_limits, revoked } = body.value;
    checked([Text("name", name.as_deref(), MAX_LABEL)])?;
    let scopes = bounded(scopes)?;
    let rates = Option::<Option<_>>::from(rate_limits).map(|rates| bounded_rates(rates.unwrap_or_default())).transpose()?;
    let (user, expires_at) = (user.into(), expires_at.into());
    let command = PatchApiKey { id: path.0, name, user, scopes, expires_at, rates, revoked };
    writer.run(&permit, &body.bytes, command, View::changed).await
}

/// How rotating is documented.
pub const ROTATE: Doc = Doc {
    id: "rotateApiKey",
    tag: API_KEYS,
    summary: "Give an API key a new secret",
    text: "The new secret is in `key`, this once. The older ones stay good for `overlapSeconds`; at once no more when it is left out.",
    examples: &[("a day's overlap", r#"{"overlapSeconds":86400}"#)],
    errors: &["not_found", "state_conflict"],
};

/// How to rotate.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct RotateBody {
    /// Seconds for which the older secrets stay good, from 0 (the default) to 2592000 (30 days).
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<crate::domain::bound::Quantity>,
}

/// Gives an API key a new secret.
pub async fn rotate(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Once>,
    body: OptionalBody<RotateBody>,
) -> Result<Created<ApiKeyWithSecret>, ApiError> {
    let overlap_seconds = body.0.value.overlap_seconds.unwrap_or_default().get();
    if overlap_seconds > MAX_OVERLAP_SECONDS {
        let range = format!("must be a whole number from 0 to {MAX_OVERLAP_SECONDS}");
        return Err(ApiError::InvalidBody(vec![Issue::new("overlapSeconds", range)]));
    }
    let (secret, record) = new_secret()?;
    let command = RotateApiKey { id: path.0, overlap_seconds, secret: record };
    writer.run(&permit, &body.0.bytes, command, with_secret(secret)).await
}

/// How deleting is documented.
pub const DELETE: Doc = Doc {
    id: "deleteApiKey",
    tag: API_KEYS,
    summary: "Revoke an API key and forget it",
    text: "It is refused from the next request on. The audit log keeps what it was. To keep it listed, revoke it by `PATCH`.",
    examples: &[],
    errors: &["not_found"],
};

/// Revokes an API key and forgets it.
pub async fn delete(
    permit: Permit<Admin>,
    path: Path<RecordId>,
    writer: Writer<Idempotent>,
) -> Result<Untagged<ApiKeyView>, ApiError> {
    writer.run(&permit, &[], DeleteApiKey { id: path.0 }, View::deleted).await
}
