//! Who is calling, as Plimsoll sees it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Origin, shown_credential};
use super::document::{Describe, Description, Doc};
use super::envelope::Data;
use super::error::ApiError;
use super::extract::{Anyone, Permit};
use super::routes::API_KEYS;
use super::service::{App, Service};
use crate::clock;
use crate::domain::names::{OrgId, RecordId, UserId};
use crate::domain::refusal::{Presented, Refusal};
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;
use crate::store::{Object, StoreError};

/// What a caller is known by.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallerKind {
    /// A stored API key.
    ApiKey,
    /// A JWT.
    Token,
    /// The admin key of the settings.
    Bootstrap,
}

/// A caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Whoami)]
pub struct WhoamiView {
    /// What the caller is known by: a stored API key, a JWT, or the admin key of the settings.
    kind: CallerKind,
    /// apiKey: its id. Null for the others.
    #[schema(required)]
    id: Option<RecordId>,
    /// apiKey: its name. Null for the others.
    #[schema(required)]
    name: Option<String>,
    /// apiKey and bootstrap: the first characters of the secret that was sent: while a rotation overlaps, this says which. Null for a token.
    #[schema(required)]
    prefix: Option<String>,
    /// token: its subject. Null for the others.
    #[schema(required)]
    subject: Option<String>,
    /// The one org that the caller sees; null for the platform, which sees all.
    #[schema(required)]
    org: Option<OrgId>,
    /// apiKey: the user that it belongs to, if any. Null for the others.
    #[schema(required)]
    user: Option<UserId>,
    /// What the caller may do.
    scopes: Scopes,
    /// The first moment that this credential is no longer good at: the key's end, the end of its rotation's overlap, or the token's
    /// `exp`. Null when it does not end.
    #[schema(required)]
    expires_at: Option<UtcMillis>,
    /// apiKey: when it was last used, to some minutes, so often before this call. Null for the others, and when no use is written down yet.
    #[schema(required)]
    last_used_at: Option<UtcMillis>,
}

/// The part that may be shown of the secret that was sent.
pub struct Shown(Option<String>);

impl FromRequest for Shown {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(shown_credential(request.headers()).map(str::to_owned))))
    }
}

impl Describe for Shown {
    fn describe(_: &mut Description<'_>) {}
}

/// How it is documented.
pub const GET: Doc = Doc {
    id: "whoami",
    tag: API_KEYS,
    summary: "Who is calling?",
    text: "What Plimsoll knows of the credential that the request carries. It needs no scope, so it tells a good credential from one that is not: a 401 \
           for one that is missing, unknown, expired or revoked, a 403 when its org or user is banned.",
    examples: &[],
    errors: &[],
};

/// Who is calling.
pub async fn get(permit: Permit<Anyone>, shown: Shown, service: App) -> Result<Data<WhoamiView>, ApiError> {
    let scopes = permit.caller.scopes().clone();
    let view = WhoamiView {
        kind: CallerKind::Bootstrap,
        id: None,
        name: None,
        prefix: shown.0,
        subject: None,
        org: None,
        user: None,
        scopes,
        expires_at: None,
        last_used_at: None,
    };
    Ok(Data(match permit.caller {
        Caller::Key(_, Origin::Bootstrap) => view,
        Caller::Key(key, Origin::Stored) => {
            let (name, last_used_at) = stored(&service, &key.id).await?;
            let (id, org, user) = (Some(key.id.clone()), key.org.clone(), key.user.clone());
            WhoamiView {
                kind: CallerKind::ApiKey,
                id,
                name: Some(name),
                org,
                user,
                expires_at: key.expires_at,
                last_used_at,
                ..view
            }
        }
        Caller::Token(claims) => {
            let (subject, expires_at) = (Some(claims.subject.clone()), Some(claims.expires_at));
            WhoamiView { kind: CallerKind::Token, prefix: None, subject, org: claims.org.clone(), expires_at, ..view }
        }
    }))
}

/// What is not kept in memory of an API key: its name, and when it was last used.
async fn stored(service: &Service, id: &RecordId) -> Result<(String, Option<UtcMillis>), ApiError> {
    match service.store.api_key(id, clock::now()).await {
        Ok(key) => Ok((key.value.name, key.value.last_used_at)),
        // Deleted a moment ago: nobody is calling any more.
        Err(StoreError::NotFound(Object::ApiKey)) => Err(Refusal::InvalidApiKey(Presented::Something).into()),
        Err(error) => Err(error.into()),
    }
}
