//! A JSON Web Key Set, read into the public keys that can be used; what cannot be used is left out.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::token::Family;

/// Largest document in bytes that is read: a hundred keys with certificates take less.
pub(super) const DOCUMENT_MAX: usize = 256 * 1024;
/// Most keys in a set; issuers publish a handful.
pub(super) const KEYS_MAX: usize = 100;
/// Fewest bits of an RSA modulus (RFC 7518, 3.3).
const RSA_BITS_MIN: usize = 2_048;
/// Most bits of an RSA modulus: above it the verification refuses, and takes long.
const RSA_BITS_MAX: usize = 8_192;
/// Bytes of a coordinate on P-256, and of an Ed25519 key.
const POINT_BYTES: usize = 32;

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoKeySet {
    /// It is not JSON with a list `keys`.
    #[error("it is not a JSON Web Key Set")]
    Malformed,
    /// None of its keys can be used.
    #[error("it holds no key for RS256 (2048 bits or more), ES256 or EdDSA")]
    NothingUsable,
    /// It holds too many keys.
    #[error("it holds more than {KEYS_MAX} keys")]
    TooMany,
    /// It is larger than what is read.
    #[error("it is larger than {DOCUMENT_MAX} bytes")]
    TooLarge,
}

/// The keys of a set that can be used, by family and name.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    rsa: Keys,
    p256: Keys,
    ed25519: Keys,
}

#[derive(Debug, Default)]
struct Keys {
    all: Vec<Arc<DecodingKey>>,
    by_kid: HashMap<String, Vec<Arc<DecodingKey>>>,
}

/// What a look-up finds.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// The one key that it can be.
    Key(Arc<DecodingKey>),
    /// No key of that family has that name.
    Nothing,
    /// Several keys, and nothing to tell which.
    Several,
}

impl KeySet {
    /// Reads a document; fails when it is too large, no key set, too long a one, or none of its keys can be used.
    ///
    /// Keys of another type, curve, algorithm or use are left out, as are symmetric keys, RSA keys under
    /// 2048 bits, and keys that are published with their private half.
    pub(super) fn parse(document: &[u8]) -> Result<Self, NoKeySet> {
        if document.len() > DOCUMENT_MAX {
            return Err(NoKeySet::TooLarge);
        }
        let document: Document = serde_json::from_slice(document).map_err(|_| NoKeySet::Malformed)?;
        if document.keys.len() > KEYS_MAX {
            return Err(NoKeySet::TooMany);
        }
        let mut set = Self::default();
        for jwk in document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            if let Some((family, key)) = jwk.usable() {
                set.of_mut(family).add(jwk.kid, key);
            }
        }
        if set.is_empty() { Err(NoKeySet::NothingUsable) } else { Ok(set) }
    }

    /// Whether no key can be used.
    pub(super) fn is_empty(&self) -> bool {
        [&self.rsa, &self.p256, &self.ed25519].iter().all(|keys| keys.all.is_empty())
    }

    /// The key of this family and name; without a name, the family's only key.
    pub(super) fn find(&self, family: Family, kid: Option<&str>) -> Found {
        let keys = self.of(family);
        let candidates = match kid {
            Some(kid) => keys.by_kid.get(kid).map(Vec::as_slice).unwrap_or_default(),
            None => keys.all.as_slice(),
        };
        match candidates {
            [] => Found::Nothing,
            [key] => Found::Key(Arc::clone(key)),
            [_, ..] => Found::Several,
        }
    }

    const fn of(&self, family: Family) -> &Keys {
        match family {
            Family::Rsa => &self.rsa,
            Family::P256 => &self.p256,
            Family::Ed25519 => &self.ed25519,
        }
    }

    const fn of_mut(&mut self, family: Family) -> &mut Keys {
        match family {
            Family::Rsa => &mut self.rsa,
            Family::P256 => &mut self.p256,
            Family::Ed25519 => &mut self.ed25519,
        }
    }
}

impl Keys {
    fn add(&mut self, kid: Option<String>, key: DecodingKey) {
        let key = Arc::new(key);
        if let Some(kid) = kid {
            self.by_kid.entry(kid).or_default().push(Arc::clone(&key));
        }
        self.all.push(key);
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
}

impl Jwk {
    /// The key, if it is of a family that we use and meant for verifying.
    fn usable(&self) -> Option<(Family, DecodingKey)> {
        let is_for_verifying = self.purpose.as_ref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let is_public = self.d.is_none();
        let family = self.family().filter(|_| is_for_verifying && is_public)?;
        let key = match family {
            Family::Rsa => self.rsa(),
            Family::P256 => self.p256(),
            Family::Ed25519 => self.ed25519(),
        };
        key.map(|key| (family, key))
    }

    /// The family that type, curve and algorithm agree on.
    fn family(&self) -> Option<Family> {
        match (self.kty.as_str(), self.crv.as_deref(), self.alg.as_deref()) {
            ("RSA", None, None | Some("RS256")) => Some(Family::Rsa),
            ("EC", Some("P-256"), None | Some("ES256")) => Some(Family::P256),
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => Some(Family::Ed25519),
            _ => None,
        }
    }

    fn rsa(&self) -> Option<DecodingKey> {
        let modulus = without_leading_zeros(decoded(self.n.as_ref())?);
        let exponent = without_leading_zeros(decoded(self.e.as_ref())?);
        let is_strong = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits(&modulus));
        is_strong.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
    }

    fn p256(&self) -> Option<DecodingKey> {
        let (x, y) = (point(self.x.as_ref())?, point(self.y.as_ref())?);
        // 4 says that both coordinates follow.
        let uncompressed: Vec<u8> = [4].into_iter().chain(x).chain(y).collect();
        Some(DecodingKey::from_ec_der(&uncompressed))
    }

    fn ed25519(&self) -> Option<DecodingKey> {
        point(self.x.as_ref()).map(|x| DecodingKey::from_ed_der(&x))
    }
}

fn decoded(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn point(text: Option<&String>) -> Option<Vec<u8>> {
    decoded(text).filter(|bytes| bytes.len() == POINT_BYTES)
}

fn without_leading_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// The length in bits of a big-endian number that does not begin with a zero byte.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(0))
}
