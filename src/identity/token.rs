//! The three parts of a JWT, read strictly: what the header may say, and what the claims must say.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde::{Deserialize, de};

use super::jwt::{Claims, TokenRefused};
use crate::domain::names::{OrgId, ScopeName};
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;

/// Longest token in bytes. Real ones take 1 to 2 KiB, and common proxies stop at 8 KiB of header anyway; nothing longer is looked at.
pub(super) const TOKEN_MAX: usize = 8 * 1024;
/// How far an issuer's clock may be ahead of ours, in seconds: a token just made must be good. `exp` has no such grace.
pub(super) const CLOCK_SKEW_SECONDS: u64 = 5;
/// The last second that a date can be written for, 9999-12-31T23:59:59Z: a later time is no time.
const TIME_MAX: u64 = 253_402_300_799;
/// Longest subject in bytes, as in `OpenID` Connect.
const SUBJECT_MAX: usize = 255;
/// The scope that only the platform may hold.
const ADMIN: &str = "admin";

const fn refused<T>(why: &'static str) -> Result<T, TokenRefused> {
    Err(TokenRefused::Invalid(why))
}

/// A token taken apart, nothing of it believed yet.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// The header, in base64url.
    header: &'a str,
    /// The claims, in base64url.
    payload: &'a str,
    /// The signature, in base64url.
    pub(super) signature: &'a str,
    /// What the signature is of: header, point, payload.
    pub(super) signed: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a token of exactly three parts apart.
    pub(super) fn of(token: &'a str) -> Result<Self, TokenRefused> {
        if token.len() > TOKEN_MAX {
            return refused("it is longer than 8 KiB");
        }
        let parts = token.rsplit_once('.').and_then(|(signed, signature)| {
            let (header, payload) = signed.split_once('.')?;
            Some(Self { header, payload, signature, signed })
        });
        let is_whole = |parts: &Self| {
            let texts = [parts.header, parts.payload, parts.signature];
            texts.iter().all(|text| !text.is_empty() && !text.contains('.'))
        };
        parts.filter(is_whole).ok_or(TokenRefused::Invalid("it does not have three parts"))
    }

    /// The header, if it asks for nothing that we do not do.
    pub(super) fn header(&self) -> Result<Header, TokenRefused> {
        let raw: RawHeader = object(self.header).ok_or(TokenRefused::Invalid("the header cannot be read"))?;
        raw.checked()
    }

    /// The claims. To be called only once the signature was found good.
    pub(super) fn payload(&self) -> Result<Payload, TokenRefused> {
        object(self.payload).ok_or(TokenRefused::Invalid("the claims cannot be read, or one has the wrong type"))
    }
}

/// Reads a JSON object out of base64url. A member that we know and that is there twice is an error, and so is padding.
fn object<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    // An array would be read as the members in order.
    let is_object = bytes.first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(&bytes).ok()).flatten()
}

/// A member that may be missing, but is not null when it is there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Whether a member is there at all, whatever it holds.
fn anything<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The algorithms that we know. Which of them may be used is decided by our settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedWith {
    /// HS256, with the shared secret.
    Secret,
    /// RS256, ES256 or `EdDSA`, with a key of the set that is of this very family.
    PublicKey(Family),
}

/// The families of public keys, each with the one algorithm that its keys are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// RSA with RS256.
    Rsa,
    /// P-256 with ES256.
    P256,
    /// Ed25519 with `EdDSA`.
    Ed25519,
}

/// What a header says of the signature.
#[derive(Debug)]
pub(super) struct Header {
    /// How it was signed, or so it says.
    pub(super) signed_with: SignedWith,
    /// The name of the key, only ever looked up among the keys that we have.
    pub(super) kid: Option<String>,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    // Members that bring a key, name a place to fetch one from, or change what is verified.
    #[serde(default, deserialize_with = "anything")]
    jku: bool,
    #[serde(default, deserialize_with = "anything")]
    jwk: bool,
    #[serde(default, deserialize_with = "anything")]
    x5u: bool,
    #[serde(default, deserialize_with = "anything")]
    x5c: bool,
    #[serde(default, deserialize_with = "anything")]
    crit: bool,
    #[serde(default, deserialize_with = "anything")]
    b64: bool,
}

impl RawHeader {
    fn checked(self) -> Result<Header, TokenRefused> {
        if self.jku || self.jwk || self.x5u || self.x5c || self.crit || self.b64 {
            return refused("the header has a member that is never followed");
        }
        let is_jwt = |typ: &String| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
        if !self.typ.as_ref().is_none_or(is_jwt) {
            return refused("it is of another type than JWT or at+jwt");
        }
        let signed_with = match self.alg.as_str() {
            "HS256" => SignedWith::Secret,
            "RS256" => SignedWith::PublicKey(Family::Rsa),
            "ES256" => SignedWith::PublicKey(Family::P256),
            "EdDSA" => SignedWith::PublicKey(Family::Ed25519),
            _ => return refused("its algorithm is not accepted"),
        };
        Ok(Header { signed_with, kid: self.kid })
    }
}

/// The claims that we read; others are the issuer's business.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<String>,
    #[serde(default, deserialize_with = "present")]
    scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    org: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, ours: &str) -> bool {
        match self {
            Self::One(name) => name == ours,
            Self::Several(names) => names.iter().any(|name| name == ours),
        }
    }
}

/// Whole seconds since the epoch. Issuers may write fractions (RFC 7519, section 2), which are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NumericDate(u64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let whole = || Duration::try_from_secs_f64(number.as_f64()?).ok().map(|since| since.as_secs());
        let seconds = number.as_u64().or_else(whole);
        seconds.map(Self).ok_or_else(|| de::Error::custom("it has a time that is none"))
    }
}

impl Payload {
    /// The claims, if they are by this issuer, for this audience, and good at this time.
    pub(super) fn checked(self, issuer: &str, audience: &str, now: UtcMillis) -> Result<Claims, TokenRefused> {
        if self.iss != issuer {
            return refused("it is by another issuer");
        }
        if !self.aud.names(audience) {
            return refused("it is for another audience");
        }
        self.check_times(now)?;
        let subject_is_plain = (1..=SUBJECT_MAX).contains(&self.sub.len()) && !self.sub.chars().any(char::is_control);
        if !subject_is_plain {
            return refused("its subject is empty, too long or has control characters");
        }
        let org = self.org.map(OrgId::parse).transpose();
        let org = org.map_err(|_| TokenRefused::Invalid("its org is not an org's id"))?;
        let may_administer = org.is_none();
        let scopes = scopes_of(self.scope.as_deref(), self.scopes, may_administer)?;
        let expires_at = UtcMillis::new(0).plus_seconds(self.exp.0);
        Ok(Claims { subject: self.sub, org, scopes, expires_at })
    }

    fn check_times(&self, now: UtcMillis) -> Result<(), TokenRefused> {
        let now = u64::try_from(now.get()).unwrap_or(0) / 1_000;
        let latest_start = now.saturating_add(CLOCK_SKEW_SECONDS);
        if self.exp.0 > TIME_MAX {
            return refused("it expires after the end of time");
        }
        if self.exp.0 <= now {
            return refused("it has expired");
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|start| start.0 > latest_start) {
            return refused("it is not good yet");
        }
        Ok(())
    }
}

/// The scopes of either form. Neither means none; both could contradict each other.
///
/// Issuers name scopes of other services too: what cannot be the name of a scope here grants nothing. Neither does the scope that only
/// the platform may hold, in the token of an org.
fn scopes_of(joined: Option<&str>, listed: Option<Vec<String>>, may_administer: bool) -> Result<Scopes, TokenRefused> {
    let texts = match (joined, listed) {
        (Some(_), Some(_)) => return refused("it has both scope and scopes"),
        (None, Some(listed)) => listed,
        (joined, None) => joined.unwrap_or_default().split(' ').map(str::to_owned).collect(),
    };
    let names = texts.into_iter().filter_map(|text| ScopeName::parse(text).ok());
    Ok(names.filter(|name| may_administer || name.as_str() != ADMIN).collect())
}
