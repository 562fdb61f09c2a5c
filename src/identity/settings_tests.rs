//! Which settings stop the start, and where keys may come from.

use super::forge::{AUDIENCE, ISSUER, RSA, SECRET, SHARED, jwks, now};
use super::jwt::{JwksSource, JwtSettings, JwtVerifier};
use super::verifier_bench::{key_file, settings};

#[tokio::test]
async fn settings_that_verify_nothing_stop_the_start_with_a_sentence() {
    let named = |issuer: &str, audience: &str| JwtSettings {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        ..settings(Some(SECRET), None)
    };
    let pem = RSA.rsa_pem();
    let malformed = key_file("{}");
    let useless = key_file(&jwks(&[&SHARED]).to_string());
    let large = key_file(&" ".repeat(256 * 1024 + 1));
    let of_file = |file: &tempfile::NamedTempFile| settings(None, Some(JwksSource::File(file.path().to_owned())));
    let cases = [
        (named("", AUDIENCE), "PLIMSOLL_JWT_ISSUER"),
        (named(ISSUER, ""), "PLIMSOLL_JWT_AUDIENCE"),
        (settings(None, None), "PLIMSOLL_JWT_SECRET or PLIMSOLL_JWT_JWKS"),
        (settings(Some(""), None), "PLIMSOLL_JWT_SECRET must have at least 32 bytes"),
        (settings(Some(&"a".repeat(31)), None), "PLIMSOLL_JWT_SECRET must have at least 32 bytes"),
        (settings(Some(&pem), None), "PLIMSOLL_JWT_SECRET must be a shared secret"),
        (settings(None, Some(JwksSource::File("/nowhere/jwks.json".into()))), "PLIMSOLL_JWT_JWKS cannot be used: the file"),
        (of_file(&malformed), "PLIMSOLL_JWT_JWKS cannot be used: it is not"),
        (of_file(&useless), "PLIMSOLL_JWT_JWKS cannot be used: it holds no key"),
        (of_file(&large), "PLIMSOLL_JWT_JWKS cannot be used: it is larger"),
    ];
    for (settings, sentence) in cases {
        let error = JwtVerifier::start(settings, now()).await.expect_err(sentence);
        assert!(error.contains(sentence), "{error}");
    }
    assert!(JwtVerifier::start(settings(Some(&"a".repeat(32)), None), now()).await.is_ok());
}

#[test]
fn keys_come_over_https_or_from_a_file_only() {
    for good in ["https://issuer.example/jwks.json", "HTTPS://issuer.example:8443/a?b=c", "https://127.0.0.1/jwks"] {
        assert!(matches!(JwksSource::parse(good), Ok(JwksSource::Https(_))), "{good}");
    }
    for good in ["/etc/plimsoll/jwks.json", "jwks.json", "./keys/jwks.json"] {
        assert_eq!(JwksSource::parse(good), Ok(JwksSource::File(good.into())));
    }
    for bad in [
        "",
        "http://issuer.example/jwks",
        "http://127.0.0.1/jwks",
        "http://localhost/jwks",
        "http://[::1]/",
        "file:///etc/jwks",
        "ftp://a/b",
        "data://a",
        "https://",
        "https://user@issuer.example/",
        "https://user:secret@issuer.example/",
        "://a",
    ] {
        assert!(JwksSource::parse(bad).is_err(), "{bad}");
    }
}
