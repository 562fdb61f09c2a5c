//! When the issuer's keys are read again, over real https and from a file; time is a parameter throughout.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::forge::{AUDIENCE, ED25519, ISSUER, P256, RSA, Signer, claims_with, in_seconds, jwks, now, now_seconds};
use super::jwks::KEYS_MAX;
use super::jwks_server::{Answer, Issuer};
use super::jwt::{JwksSource, JwtSettings, JwtVerifier, TokenRefused};
use super::key_cache::{AGE_MAX_MS, PAUSE_MS};
use super::key_source::OpenSource;
use crate::domain::time::UtcMillis;

const UNKNOWN: Result<(), TokenRefused> = Err(TokenRefused::Invalid("no key of its algorithm has that name"));
const UNAVAILABLE: Result<(), TokenRefused> = Err(TokenRefused::Unavailable);

async fn started(issuer: &Issuer, source: OpenSource) -> JwtVerifier {
    let jwks = Some(JwksSource::Https(issuer.url()));
    let settings = JwtSettings { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), secret: None, jwks };
    JwtVerifier::start_with(settings, Some(source), now()).await.expect("a verifier")
}

/// An issuer with these keys and a verifier that has read them.
async fn running(signers: &[&Signer]) -> (Issuer, JwtVerifier) {
    let issuer = Issuer::start(Answer::Document(jwks(signers))).await;
    let verifier = started(&issuer, issuer.source()).await;
    (issuer, verifier)
}

/// A token that is good for a day.
fn token(signer: &Signer) -> String {
    signer.token(&claims_with("exp", in_seconds(86_400)))
}

fn after(millis: i64) -> UtcMillis {
    now().plus_millis(millis)
}

async fn verdict(verifier: &JwtVerifier, signer: &Signer, at: UtcMillis) -> Result<(), TokenRefused> {
    verifier.verify(&token(signer), at).await.map(drop)
}

#[tokio::test]
async fn keys_are_read_over_https_once() {
    let (issuer, verifier) = running(&[&RSA, &P256, &ED25519]).await;
    for signer in [&RSA, &P256, &ED25519] {
        assert_eq!(verdict(&verifier, signer, now()).await, Ok(()), "{}", signer.algorithm());
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_thirty_seconds() {
    let (issuer, verifier) = running(&[&RSA]).await;
    issuer.answers(Answer::Document(jwks(&[&RSA, &P256])));
    assert_eq!(verdict(&verifier, &P256, after(PAUSE_MS - 1)).await, UNKNOWN);
    assert_eq!(issuer.requests(), 1);
    assert_eq!(verdict(&verifier, &P256, after(PAUSE_MS)).await, Ok(()));
    assert_eq!(issuer.requests(), 2);
    assert_eq!(verdict(&verifier, &ED25519, after(PAUSE_MS)).await, UNKNOWN);
    assert_eq!(verdict(&verifier, &ED25519, after(2 * PAUSE_MS - 1)).await, UNKNOWN);
    assert_eq!(issuer.requests(), 2);
    assert_eq!(verdict(&verifier, &ED25519, after(2 * PAUSE_MS)).await, UNKNOWN);
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_readings() {
    let (issuer, verifier) = running(&[&RSA]).await;
    issuer.answers(Answer::Document(jwks(&[&P256])));
    let earlier = P256.token(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": now_seconds()}));
    assert!(verifier.verify(&earlier, after(-3_600_000)).await.is_ok());
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn many_callers_share_one_reading() {
    let (issuer, verifier) = running(&[&RSA]).await;
    issuer.answers(Answer::Document(jwks(&[&RSA, &P256])));
    issuer.hold();
    let verifier = Arc::new(verifier);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let verifier = Arc::clone(&verifier);
        callers.spawn(async move { verdict(&verifier, &P256, after(PAUSE_MS)).await });
    }
    issuer.arrived(2).await;
    // Whoever has a key that is there need not wait for the reading.
    assert_eq!(verdict(&verifier, &RSA, after(PAUSE_MS)).await, Ok(()));
    issuer.let_go();
    assert_eq!(callers.join_all().await, vec![Ok(()); 50]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_reading() {
    let (issuer, verifier) = running(&[&RSA]).await;
    issuer.answers(Answer::Document(jwks(&[&P256])));
    issuer.hold();
    let verifier = Arc::new(verifier);
    let mut callers = JoinSet::new();
    let hanging_up = Arc::clone(&verifier);
    callers.spawn(async move { verdict(&hanging_up, &P256, after(PAUSE_MS)).await });
    issuer.arrived(2).await;
    callers.shutdown().await;
    issuer.let_go();
    assert_eq!(verdict(&verifier, &P256, after(PAUSE_MS)).await, Ok(()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn an_outage_keeps_the_old_keys() {
    let (issuer, verifier) = running(&[&RSA]).await;
    let bad_answers = [
        Answer::HangUp,
        Answer::Error,
        Answer::Document(Value::Null),
        Answer::Document(json!({"keys": []})),
        Answer::Padded { document: jwks(&[&P256]), spaces: 256 * 1024, chunked: true },
    ];
    let mut pauses = 0;
    for answer in bad_answers {
        issuer.answers(answer);
        pauses += 1;
        assert_eq!(verdict(&verifier, &P256, after(pauses * PAUSE_MS)).await, UNKNOWN);
        assert_eq!(verdict(&verifier, &RSA, after(pauses * PAUSE_MS)).await, Ok(()));
    }
    assert_eq!(issuer.requests(), 6);
}

#[tokio::test]
async fn a_withdrawn_key_is_not_believed_for_ever() {
    let (issuer, verifier) = running(&[&RSA, &P256]).await;
    issuer.answers(Answer::Document(jwks(&[&P256])));
    assert_eq!(verdict(&verifier, &RSA, after(AGE_MAX_MS - 1)).await, Ok(()));
    verifier.settled().await;
    assert_eq!(issuer.requests(), 1);
    // This caller finds the key still there, and makes the keys be read again behind its back.
    assert_eq!(verdict(&verifier, &RSA, after(AGE_MAX_MS)).await, Ok(()));
    verifier.settled().await;
    assert_eq!(verdict(&verifier, &RSA, after(AGE_MAX_MS)).await, UNKNOWN);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_asked_again() {
    let issuer = Issuer::start(Answer::HangUp).await;
    let verifier = started(&issuer, issuer.source()).await;
    assert_eq!(verdict(&verifier, &RSA, after(1)).await, UNAVAILABLE);
    issuer.answers(Answer::Document(jwks(&[&RSA])));
    assert_eq!(verdict(&verifier, &RSA, after(PAUSE_MS - 1)).await, UNAVAILABLE);
    assert_eq!(verdict(&verifier, &RSA, after(PAUSE_MS)).await, Ok(()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_server_that_never_answers_holds_nobody_for_long() {
    let issuer = Issuer::start(Answer::Silence).await;
    let verifier = started(&issuer, issuer.source()).await;
    assert_eq!(verdict(&verifier, &RSA, now()).await, UNAVAILABLE);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Issuer::start(Answer::Document(jwks(&[&RSA]))).await;
    let issuer = Issuer::start(Answer::Redirect(elsewhere.url())).await;
    let verifier = started(&issuer, issuer.source()).await;
    assert_eq!(verdict(&verifier, &RSA, now()).await, UNAVAILABLE);
    issuer.answers(Answer::Redirect(issuer.url()));
    assert_eq!(verdict(&verifier, &RSA, after(PAUSE_MS)).await, UNAVAILABLE);
    assert_eq!((issuer.requests(), elsewhere.requests()), (2, 0));
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let document = jwks(&[&RSA]);
    for chunked in [false, true] {
        let fitting = 256 * 1024 - document.to_string().len();
        for (spaces, expected) in [(fitting, Ok(())), (fitting + 1, UNAVAILABLE), (16 * 1024 * 1024, UNAVAILABLE)] {
            let issuer = Issuer::start(Answer::Padded { document: document.clone(), spaces, chunked }).await;
            let verifier = started(&issuer, issuer.source()).await;
            assert_eq!(verdict(&verifier, &RSA, now()).await, expected, "{spaces} {chunked}");
        }
    }
    let crowd = json!({"keys": vec![ED25519.jwk(); KEYS_MAX + 1]});
    let issuer = Issuer::start(Answer::Document(crowd)).await;
    let verifier = started(&issuer, issuer.source()).await;
    assert_eq!(verdict(&verifier, &ED25519, now()).await, UNAVAILABLE);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_not_asked() {
    let stranger = Issuer::start(Answer::Document(jwks(&[&RSA]))).await;
    let trusted = Issuer::start(Answer::HangUp).await;
    let verifier = started(&stranger, stranger.source_trusting(&trusted)).await;
    assert_eq!(verdict(&verifier, &RSA, now()).await, UNAVAILABLE);
    assert_eq!(stranger.requests(), 0);
}

#[tokio::test]
async fn a_file_is_read_again_like_an_address() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let write = |text: &str| std::fs::write(file.path(), text).expect("a written file");
    write(&jwks(&[&RSA]).to_string());
    let jwks_setting = Some(JwksSource::File(file.path().to_owned()));
    let settings = JwtSettings { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), secret: None, jwks: jwks_setting };
    let verifier = JwtVerifier::start(settings, now()).await.expect("a verifier");
    write("{\"keys\": [half");
    assert_eq!(verdict(&verifier, &P256, after(PAUSE_MS)).await, UNKNOWN);
    assert_eq!(verdict(&verifier, &RSA, after(PAUSE_MS)).await, Ok(()));
    write(&jwks(&[&P256]).to_string());
    assert_eq!(verdict(&verifier, &P256, after(PAUSE_MS)).await, UNKNOWN);
    assert_eq!(verdict(&verifier, &P256, after(2 * PAUSE_MS)).await, Ok(()));
    assert_eq!(verdict(&verifier, &RSA, after(2 * PAUSE_MS)).await, UNKNOWN);
}
