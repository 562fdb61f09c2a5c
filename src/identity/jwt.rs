//! JWT bearers: verified on every call, by keys and algorithms that come from our settings only.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use secrecy::{ExposeSecret, SecretString};

use super::key_cache::KeyCache;
pub use super::key_source::JwksSource;
use super::key_source::OpenSource;
use super::token::{Family, Parts, SignedWith};
use crate::domain::names::OrgId;
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;

/// Fewest bytes of the shared secret: as many as HS256's digest has (RFC 7518, 3.2).
const SECRET_MIN: usize = 32;

/// What JWT bearers are verified by.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The only issuer (`iss`) that is believed.
    pub issuer: String,
    /// Who we are: `aud` must be this or hold it.
    pub audience: String,
    /// The shared secret of HS256, 32 bytes or more; without it no HS256 token is accepted.
    pub secret: Option<SecretString>,
    /// Where the public keys of RS256, ES256 and `EdDSA` are; without it no such token is accepted.
    pub jwks: Option<JwksSource>,
}

impl JwtSettings {
    /// The key of HS256 if there is one; fails with a sentence when nothing could be verified by these settings.
    fn checked(&self) -> Result<Option<DecodingKey>, String> {
        if self.issuer.is_empty() {
            return Err("PLIMSOLL_JWT_ISSUER must not be empty".to_owned());
        }
        if self.audience.is_empty() {
            return Err("PLIMSOLL_JWT_AUDIENCE must not be empty".to_owned());
        }
        if self.secret.is_none() && self.jwks.is_none() {
            return Err("PLIMSOLL_JWT_SECRET or PLIMSOLL_JWT_JWKS is needed to verify JWT bearers".to_owned());
        }
        self.secret.as_ref().map(hmac_key).transpose()
    }
}

/// What a good token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who: 1 to 255 bytes without control characters.
    pub subject: String,
    /// The one org that it is narrowed to; none means the platform.
    pub org: Option<OrgId>,
    /// What it may do. Never `admin` when there is an org.
    pub scopes: Scopes,
    /// The first moment that it is no longer good at.
    pub expires_at: UtcMillis,
}

/// Why a token got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It is not good. The reason is for the log, at debug, and never holds anything of the token.
    #[error("the token is refused: {0}")]
    Invalid(&'static str),
    /// It cannot be judged: no keys could be had since the start.
    #[error("the token cannot be judged: no keys could be had since the start")]
    Unavailable,
}

/// Verifies JWT bearers.
pub struct JwtVerifier {
    issuer: String,
    audience: String,
    secret: Option<DecodingKey>,
    keys: Option<Arc<KeyCache>>,
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("issuer", &self.issuer).field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl JwtVerifier {
    /// Checks the settings and reads the keys. `now` starts the pauses between two readings of the keys.
    ///
    /// Fails with a sentence that names the setting. An https address that cannot be reached is no failure:
    /// its tokens are [`TokenRefused::Unavailable`] until it can.
    pub async fn start(settings: JwtSettings, now: UtcMillis) -> Result<Self, String> {
        let source = settings.jwks.clone().map(JwksSource::opened).transpose()?;
        Self::start_with(settings, source, now).await
    }

    /// The same with a source that was made ready.
    pub(super) async fn start_with(settings: JwtSettings, source: Option<OpenSource>, now: UtcMillis) -> Result<Self, String> {
        let secret = settings.checked()?;
        let JwtSettings { issuer, audience, .. } = settings;
        let keys = match source {
            Some(source) => Some(KeyCache::start(source, now).await?),
            None => None,
        };
        Ok(Self { issuer, audience, secret, keys })
    }

    /// The claims of a good token. Nothing is remembered: a token is verified each time that it comes.
    ///
    /// Fails when the token is not good at `now`, or when no keys could be had since the start.
    pub async fn verify(&self, token: &str, now: UtcMillis) -> Result<Claims, TokenRefused> {
        let parts = Parts::of(token)?;
        let header = parts.header()?;
        match (header.signed_with, &self.secret, &self.keys) {
            (SignedWith::Secret, Some(secret), _) => check_signature(&parts, secret, Algorithm::HS256)?,
            (SignedWith::PublicKey(family), _, Some(keys)) => {
                let key = keys.find(family, header.kid.as_deref(), now).await?;
                check_signature(&parts, &key, algorithm_of(family))?;
            }
            (SignedWith::Secret, None, _) | (SignedWith::PublicKey(_), _, None) => {
                return Err(TokenRefused::Invalid("no key is configured for its algorithm"));
            }
        }
        parts.payload()?.checked(&self.issuer, &self.audience, now)
    }

    /// Waits for a reading of the keys that is under way, so that tests need not guess when it is over.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        if let Some(keys) = &self.keys {
            keys.settled().await;
        }
    }
}

/// The key of HS256; fails with a sentence when the secret could be guessed, or is no secret.
fn hmac_key(secret: &SecretString) -> Result<DecodingKey, String> {
    let bytes = secret.expose_secret().as_bytes();
    if bytes.len() < SECRET_MIN {
        return Err(format!("PLIMSOLL_JWT_SECRET must have at least {SECRET_MIN} bytes"));
    }
    if bytes.starts_with(b"-----BEGIN") {
        return Err(
            "PLIMSOLL_JWT_SECRET must be a shared secret, not a PEM key: name public keys by PLIMSOLL_JWT_JWKS".to_owned()
        );
    }
    Ok(DecodingKey::from_secret(bytes))
}

/// The one algorithm that a family's keys are used for.
const fn algorithm_of(family: Family) -> Algorithm {
    match family {
        Family::Rsa => Algorithm::RS256,
        Family::P256 => Algorithm::ES256,
        Family::Ed25519 => Algorithm::EdDSA,
    }
}

fn check_signature(parts: &Parts<'_>, key: &DecodingKey, algorithm: Algorithm) -> Result<(), TokenRefused> {
    match crypto::verify(parts.signature, parts.signed.as_bytes(), key, algorithm) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(TokenRefused::Invalid("its signature is not by our key")),
    }
}
