//! Secrets of API keys: made from 256 random bits, kept only as a hash.

use std::fmt::Write;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::api_key::{SECRET_PREFIX, shown_part};

/// Bytes of randomness in a secret: 256 bits, so that a plain hash of it cannot be searched.
const SECRET_BYTES: usize = 32;

/// The system gave no random bytes, so no secret could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// A secret that was just made: the only moment that its text is known.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// The secret itself, `plm_<64 lowercase hex>`, to be shown once.
    pub secret: SecretString,
    /// What is kept of it.
    pub hash: [u8; 32],
    /// The short prefix that a listing shows.
    pub shown: String,
}

impl NewSecret {
    /// Makes a secret; fails when the system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
        aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| NoRandomness)?;
        let text = written(&bytes);
        let shown = shown_part(&text).map_err(|_| NoRandomness)?.to_owned();
        Ok(Self { hash: hash_of(&text), shown, secret: SecretString::from(text) })
    }
}

/// The text of a secret. Its room is taken at once, so that growing leaves no copy behind.
fn written(bytes: &[u8; SECRET_BYTES]) -> String {
    let digits = SECRET_BYTES.saturating_mul(2);
    let mut text = String::with_capacity(SECRET_PREFIX.len().saturating_add(1).saturating_add(digits));
    text.push_str(SECRET_PREFIX);
    text.push('_');
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What is kept of a secret: its SHA-256. A slow hash would protect nothing more, since there is nothing to guess.
pub fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub fn is_same_hash(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.as_slice().ct_eq(b.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_new_secret_has_the_form_and_the_hash_that_are_looked_up() {
        let new = NewSecret::generate().expect("randomness");
        let text = new.secret.expose_secret();
        assert_eq!(text.len(), 68);
        assert_eq!(shown_part(text), Ok(new.shown.as_str()));
        assert!(text.starts_with(&new.shown) && new.shown.starts_with("plm_"));
        assert!(is_same_hash(&new.hash, &hash_of(text)));
    }

    #[test]
    fn secrets_differ_and_are_not_printed() {
        let secrets: Vec<NewSecret> = (0..1_000).map(|_| NewSecret::generate().expect("randomness")).collect();
        let texts: HashSet<&str> = secrets.iter().map(|new| new.secret.expose_secret()).collect();
        assert_eq!(texts.len(), secrets.len());
        assert!(!format!("{:?}", secrets[0]).contains(secrets[0].secret.expose_secret()));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex = hash_of("abc").iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(hex, of_abc);
        assert!(!is_same_hash(&hash_of("abc"), &hash_of("abd")));
    }
}
