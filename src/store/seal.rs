//! Kept answers may hold a secret that is shown only once, so they are encrypted under a key that the caller alone can derive.
//! What signs for webhooks is encrypted under a key of the settings.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

/// Encrypts and authenticates `body`, bound to `context`: a fresh nonce, then the ciphertext with its tag.
pub fn seal(key: &[u8; 32], context: &[u8], body: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce)?;
    let mut text = body.to_vec();
    let nonce_of_text = Nonce::assume_unique_for_key(nonce);
    cipher(key)?.seal_in_place_append_tag(nonce_of_text, Aad::from(context), &mut text)?;
    Ok([nonce.as_slice(), text.as_slice()].concat())
}

/// The body that was sealed with this key in this context.
pub fn unseal(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(Unspecified)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let mut text = text.to_vec();
    Ok(cipher(key)?.open_in_place(nonce, Aad::from(context), &mut text)?.to_vec())
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_in_the_same_context_opens_it() {
        let sealed = seal(&[1; 32], b"caller", b"plm_secret").expect("sealed");
        assert!(!sealed.windows(10).any(|window| window == b"plm_secret"));
        assert_eq!(unseal(&[1; 32], b"caller", &sealed).as_deref(), Ok(b"plm_secret".as_slice()));
        assert!(unseal(&[2; 32], b"caller", &sealed).is_err());
        assert!(unseal(&[1; 32], b"other", &sealed).is_err());
        assert!(unseal(&[1; 32], b"caller", b"short").is_err());
    }
}
