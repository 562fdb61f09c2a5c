//! Who is calling: found out once, at the edge, before anything of the request is looked at.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::service::Service;
use crate::clock;
use crate::domain::api_key::{ApiKey, shown_part};
use crate::domain::names::OrgId;
use crate::domain::refusal::{Presented, Refusal};
use crate::domain::scope::{Reach, Scopes};
use crate::domain::time::UtcMillis;
use crate::identity::jwt::{Claims, TokenRefused};
use crate::identity::secret::hash_of;
use crate::store::Actor;

/// No credential is longer; what is longer is refused before any work is done on it.
const MAX_CREDENTIAL_BYTES: usize = 8_192;

/// What the edge found out about the caller. Nothing at all when no credential was sent.
pub enum Identity {
    /// Known, and not banned.
    Known(Caller),
    /// A credential was sent that does not hold, or could not be looked up.
    Refused(ApiError),
}

/// A caller that is known.
#[derive(Clone)]
pub enum Caller {
    /// By an API key.
    Key(Arc<ApiKey>, Origin),
    /// By a JWT.
    Token(Arc<Claims>),
}

/// Where an API key comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The database.
    Stored,
    /// The settings.
    Bootstrap,
}

impl Caller {
    /// What the caller may do.
    pub fn scopes(&self) -> &Scopes {
        match self {
            Self::Key(key, _) => &key.scopes,
            Self::Token(claims) => &claims.scopes,
        }
    }

    /// Whether the caller may ask about an API key: one of another org, or of none, is as good as unknown to an org's caller.
    pub fn may_use(&self, key: &ApiKey) -> bool {
        match &key.org {
            Some(org) => self.may_see(org).is_ok(),
            None => match self {
                Self::Key(own, _) => own.org.is_none(),
                Self::Token(claims) => claims.org.is_none(),
            },
        }
    }

    /// Refuses an org that is not the caller's, in the words for one that does not exist.
    pub fn may_see(&self, org: &OrgId) -> Result<(), ApiError> {
        let is_within = match self {
            Self::Key(key, _) => key.org.as_ref().is_none_or(|own| own == org),
            Self::Token(claims) => Reach::of(claims.org.clone()).covers(org),
        };
        if is_within { Ok(()) } else { Err(ApiError::NotFound("org")) }
    }

    /// Who the audit log says it was.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Key(_, Origin::Bootstrap) => Actor::Bootstrap,
            Self::Key(key, Origin::Stored) => Actor::ApiKey(key.id.clone()),
            Self::Token(claims) => Actor::Token(claims.subject.clone()),
        }
    }

    /// Under what name the caller's idempotency keys are kept.
    pub fn idempotency_scope(&self) -> String {
        match self {
            Self::Key(key, _) => format!("key:{}", key.id),
            Self::Token(claims) => format!("sub:{}", claims.subject),
        }
    }

    /// A key that only this caller can derive again: from the credential, which is not kept. An idempotency key alone may be guessed.
    /// Under another credential, also a newer one of the same caller, a recorded answer stays closed.
    pub fn seal(headers: &HeaderMap, idempotency_key: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"plimsoll recorded answer\0");
        let credential = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        // The scheme may be written in either case; the credential is what follows it.
        hasher.update(credential.splitn(2, |byte| *byte == b' ').last().unwrap_or_default());
        hasher.update(b"\0");
        hasher.update(idempotency_key.as_bytes());
        hasher.finalize().into()
    }
}

/// The API key that a request carries, for itself and not as our caller: the key, if there is such a one, or whether any was sent.
/// Whether it is good is not judged here.
pub async fn api_key_of(
    service: &Service,
    headers: &HeaderMap,
    now: UtcMillis,
) -> Result<Result<Arc<ApiKey>, Presented>, ApiError> {
    let mut presented = headers.get_all(AUTHORIZATION);
    let Some(header) = presented.next() else { return Ok(Err(Presented::Nothing)) };
    match (bearer(header), presented.next()) {
        (Some(secret), None) => api_key_by(service, secret, now).await,
        (_, Some(_)) | (None, None) => Ok(Err(Presented::Something)),
    }
}

/// The API key with this secret, if there is such a one, or whether it is any text at all. Whether it is good is not judged here.
pub async fn api_key_by(service: &Service, secret: &str, now: UtcMillis) -> Result<Result<Arc<ApiKey>, Presented>, ApiError> {
    if secret.is_empty() {
        return Ok(Err(Presented::Nothing));
    }
    if shown_part(secret).is_err() {
        return Ok(Err(Presented::Something));
    }
    let hash = hash_of(secret);
    let found = match service.bootstrap_key(&hash) {
        Some(key) => Some(key),
        None => service.directory.api_key(hash, now).await?,
    };
    Ok(found.ok_or(Presented::Something))
}

/// The credential of a bearer header.
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, credential) = std::str::from_utf8(header.as_bytes()).ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && credential.len() <= MAX_CREDENTIAL_BYTES).then_some(credential)
}

/// The part that may be shown of the API key that was sent, if it has the form of one.
pub fn shown_credential(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    shown_part(credential).ok()
}

/// Finds out who is calling, or nothing when no credential was sent.
pub async fn identify(service: &Service, headers: &HeaderMap) -> Option<Identity> {
    let mut presented = headers.get_all(AUTHORIZATION);
    let header = presented.next()?;
    if presented.next().is_some() {
        return Some(Identity::Refused(Refusal::InvalidApiKey(Presented::Something).into()));
    }
    Some(identify_by(service, header).await.map_or_else(Identity::Refused, Identity::Known))
}

async fn identify_by(service: &Service, header: &HeaderValue) -> Result<Caller, ApiError> {
    let refused = || ApiError::from(Refusal::InvalidApiKey(Presented::Something));
    let credential = bearer(header).ok_or_else(refused)?;
    if shown_part(credential).is_ok() {
        return by_api_key(service, credential).await;
    }
    // Two dots make a JWT; nothing else has any.
    if credential.split('.').count() == 3 { Box::pin(by_token(service, credential)).await } else { Err(refused()) }
}

async fn by_api_key(service: &Service, secret: &str) -> Result<Caller, ApiError> {
    let hash = hash_of(secret);
    let now = clock::now();
    let (key, origin) = match service.bootstrap_key(&hash) {
        Some(key) => (key, Origin::Bootstrap),
        None => {
            let found = service.directory.caller_key(hash, now).await?;
            (found.ok_or(Refusal::InvalidApiKey(Presented::Something))?, Origin::Stored)
        }
    };
    key.admit(now)?;
    if origin == Origin::Stored {
        service.directory.note_use(&key, now);
    }
    Ok(Caller::Key(key, origin))
}

async fn by_token(service: &Service, token: &str) -> Result<Caller, ApiError> {
    let verifier = service.verifier.as_ref().ok_or(Refusal::InvalidToken)?;
    let now = clock::now();
    let claims = verifier.verify(token, now).await.map_err(|refused| match refused {
        TokenRefused::Invalid(reason) => {
            tracing::debug!(reason, "a token was refused");
            ApiError::from(Refusal::InvalidToken)
        }
        TokenRefused::Unavailable => ApiError::Unavailable,
    })?;
    if let Some(org) = &claims.org
        && service.directory.org(org, now).await?.is_some_and(|facts| facts.banned)
    {
        return Err(Refusal::OrgBanned.into());
    }
    Ok(Caller::Token(Arc::new(claims)))
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
