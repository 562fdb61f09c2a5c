//! The secrets that messages are signed with. They are kept so that they can be used: sealed, where the settings name a key.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::domain::names::RecordId;
use crate::domain::webhook::{SECRET_BYTES, SECRET_PREFIX};
use crate::store::{KeptSecret, seal, unseal};

/// The system gave no random bytes, so that no secret could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// A secret cannot be read: it was sealed by another key, or the settings name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret was sealed by another PLIMSOLL_WEBHOOK_KEY than the settings name")]
pub struct Sealed;

/// Makes and opens secrets.
pub struct Vault(Option<Zeroizing<[u8; 32]>>);

impl Vault {
    /// That seals by this key, or does not seal.
    pub fn new(key: Option<&SecretString>) -> Self {
        Self(key.map(|key| {
            let hash = digest(&SHA256, key.expose_secret().as_bytes());
            let mut bytes = Zeroizing::new([0; 32]);
            bytes.copy_from_slice(hash.as_ref());
            bytes
        }))
    }

    /// A new secret as it is shown once, and as it is kept.
    pub fn make(&self) -> Result<(SecretString, KeptSecret), NoRandomness> {
        let mut secret = Zeroizing::new([0_u8; SECRET_BYTES]);
        rand::fill(secret.as_mut()).map_err(|_| NoRandomness)?;
        let shown = format!("{SECRET_PREFIX}{}", STANDARD.encode(secret.as_slice()));
        let id = RecordId::parse(format!("whs_{}", Uuid::now_v7().simple())).map_err(|_| NoRandomness)?;
        let kept = match &self.0 {
            Some(key) => {
                let bytes = seal(key, id.as_str().as_bytes(), secret.as_slice()).map_err(|_| NoRandomness)?;
                KeptSecret { id, is_sealed: true, bytes }
            }
            None => KeptSecret { id, is_sealed: false, bytes: secret.to_vec() },
        };
        Ok((SecretString::from(shown), kept))
    }

    /// What signs by a secret.
    pub(super) fn open(&self, secret: &KeptSecret) -> Result<hmac::Key, Sealed> {
        let KeptSecret { id, is_sealed, bytes } = secret;
        if !is_sealed {
            return Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes));
        }
        let key = self.0.as_ref().ok_or(Sealed)?;
        let opened = unseal(key, id.as_str().as_bytes(), bytes).map(Zeroizing::new).map_err(|_| Sealed)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &opened))
    }
}
