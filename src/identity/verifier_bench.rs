//! What the tests of JWT bearers share: a verifier that is set up, and how an attack is judged.

use secrecy::SecretString;

use super::forge::{AUDIENCE, ED25519, ISSUER, P256, RSA, jwks, now};
use super::jwt::{JwksSource, JwtSettings, JwtVerifier, TokenRefused};

/// The settings of the tests.
pub(super) fn settings(secret: Option<&str>, jwks: Option<JwksSource>) -> JwtSettings {
    let secret = secret.map(SecretString::from);
    JwtSettings { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), secret, jwks }
}

pub(super) fn key_file(document: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), document).expect("a written file");
    file
}

/// A verifier that knows the issuer's public keys and, perhaps, the shared secret.
pub(super) async fn verifier(secret: Option<&str>) -> JwtVerifier {
    let file = key_file(&jwks(&[&RSA, &P256, &ED25519]).to_string());
    let source = JwksSource::File(file.path().to_owned());
    JwtVerifier::start(settings(secret, Some(source)), now()).await.expect("a verifier")
}

pub(super) async fn assert_refused(verifier: &JwtVerifier, attacks: &[(&str, String, &str)]) {
    for (name, token, reason) in attacks {
        match verifier.verify(token, now()).await {
            Err(TokenRefused::Invalid(why)) => assert!(why.contains(reason), "{name}: {why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
