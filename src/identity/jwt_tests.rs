//! The attacks that a JWT's header, parts and signature may try, as tables: all refused, each for its own reason.

use serde_json::{Value, json};

use super::forge::{ED25519, OTHER_RSA, P256, RSA, SECRET, SHARED, Signer, base64url, claims, claims_with, jwks, now};
use super::jwt::{Claims, JwksSource, JwtVerifier};
use super::verifier_bench::{assert_refused, key_file, settings, verifier};
use crate::domain::scope::Scopes;

const SHAPE: &str = "three parts";
const HEADER: &str = "the header cannot be read";
const MEMBER: &str = "never followed";
const TYPE: &str = "another type";
const ALGORITHM: &str = "algorithm is not accepted";
const NO_KEY: &str = "no key of its algorithm has that name";
const SIGNATURE: &str = "signature is not by our key";
const CLAIMS: &str = "the claims cannot be read";

fn signers() -> [&'static Signer; 4] {
    [&SHARED, &RSA, &P256, &ED25519]
}

#[tokio::test]
async fn a_good_token_of_each_family_is_accepted() {
    let verifier = verifier(Some(SECRET)).await;
    let expected = Claims {
        subject: "user-1".to_owned(),
        org: None,
        scopes: Scopes::built_in(&["read", "write"]),
        expires_at: now().plus_seconds(60),
    };
    for signer in signers() {
        let algorithm = signer.algorithm();
        for header in [json!({"alg": algorithm}), json!({"alg": algorithm, "typ": "at+JWT", "kid": signer.kid(), "x5t": "abc"})]
        {
            let token = signer.token_with(&header, &claims());
            assert_eq!(verifier.verify(&token, now()).await, Ok(expected.clone()), "{header}");
        }
    }
}

#[tokio::test]
async fn headers_cannot_choose_the_key_or_the_algorithm() {
    let verifier = verifier(Some(SECRET)).await;
    let header = |alg: &str, name: &str, value: Value| {
        let mut header = json!({"alg": alg, "typ": "JWT"});
        header[name] = value;
        header
    };
    let mut attacks = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "hs256", "Rs256", " HS256", "HS256\0", "HS384", "HS512", "RS384", "PS256", "ES384",
        "ES256K",
    ] {
        attacks.push(("an algorithm", SHARED.token_with(&json!({ "alg": alg }), &claims()), ALGORITHM));
        attacks.push(("an algorithm", RSA.token_with(&json!({ "alg": alg }), &claims()), ALGORITHM));
    }
    for alg in [Value::Null, json!(["HS256"]), json!({"HS256": 1}), json!(1)] {
        attacks.push(("an odd algorithm", SHARED.token_with(&json!({ "alg": alg }), &claims()), HEADER));
    }
    attacks.push(("no algorithm", SHARED.token_with(&json!({"typ": "JWT"}), &claims()), HEADER));
    let evil = "https://evil.example/jwks.json";
    let own_key = OTHER_RSA.jwk();
    for (name, value) in [
        ("jku", json!(evil)),
        ("jku", Value::Null),
        ("x5u", json!(evil)),
        ("jwk", own_key),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!("b64")),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        for signer in signers() {
            attacks.push((name, signer.token_with(&header(signer.algorithm(), name, value.clone()), &claims()), MEMBER));
        }
        attacks.push((name, OTHER_RSA.token_with(&header("RS256", name, value.clone()), &claims()), MEMBER));
    }
    for typ in ["JWE", "dpop+jwt", "logout+jwt", "secevent+jwt", "", "JWT "] {
        attacks.push(("a type", SHARED.token_with(&header("HS256", "typ", json!(typ)), &claims()), TYPE));
    }
    for (name, value) in
        [("typ", json!(1)), ("typ", Value::Null), ("kid", json!(["rsa-1"])), ("kid", json!(1)), ("kid", Value::Null)]
    {
        attacks.push((name, SHARED.token_with(&header("HS256", name, value), &claims()), HEADER));
    }
    for kid in [
        "",
        "rsa-2",
        "../../../../dev/null",
        "/etc/passwd",
        "rsa-1' UNION SELECT 'key",
        "rsa-1|id",
        "file:///dev/null",
        "p256-1",
        "ed-1",
        "shared",
    ] {
        attacks.push(("a key's name", RSA.token_with(&header("RS256", "kid", json!(kid)), &claims()), NO_KEY));
    }
    for (signer, kid) in [(&P256, "rsa-1"), (&ED25519, "rsa-1"), (&P256, "ed-1"), (&ED25519, "p256-1")] {
        attacks.push((
            "another family's key",
            signer.token_with(&header(signer.algorithm(), "kid", json!(kid)), &claims()),
            NO_KEY,
        ));
    }
    assert_refused(&verifier, &attacks).await;
}

#[tokio::test]
async fn public_keys_are_no_shared_secrets() {
    let jwk = RSA.jwk();
    let modulus = jwk["n"].as_str().expect("a modulus");
    let public_texts = [
        RSA.rsa_pem(),
        RSA.rsa_pem().trim_end().to_owned(),
        RSA.rsa_pem().replace('\n', ""),
        jwk.to_string(),
        jwks(&[&RSA, &P256, &ED25519]).to_string(),
        P256.jwk().to_string(),
        ED25519.jwk()["x"].as_str().expect("a key").to_owned(),
        modulus.to_owned(),
        String::new(),
        "\0".repeat(32),
    ];
    let with_secret = verifier(Some(SECRET)).await;
    let without = verifier(None).await;
    let mut forgers: Vec<Signer> = public_texts.iter().map(Signer::secret).collect();
    forgers.push(Signer::Secret(RSA.rsa_der()));
    for forger in &forgers {
        for header in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "rsa-1"})] {
            let token = forger.token_with(&header, &claims());
            assert_refused(&with_secret, &[("a public key as secret", token.clone(), SIGNATURE)]).await;
            assert_refused(&without, &[("no secret at all", token, "no key is configured")]).await;
        }
        let claims_rsa = forger.token_with(&json!({"alg": "RS256", "kid": "rsa-1"}), &claims());
        assert_refused(&with_secret, &[("HMAC as RS256", claims_rsa, SIGNATURE)]).await;
    }
}

#[tokio::test]
async fn symmetric_keys_in_a_key_set_are_not_used() {
    let file = key_file(&jwks(&[&RSA, &SHARED]).to_string());
    let source = JwksSource::File(file.path().to_owned());
    let verifier = JwtVerifier::start(settings(None, Some(source)), now()).await.expect("a verifier");
    assert_refused(&verifier, &[("an oct key", SHARED.token(&claims()), "no key is configured")]).await;
}

#[tokio::test]
async fn a_secret_alone_accepts_nothing_but_hs256() {
    let verifier = JwtVerifier::start(settings(Some(SECRET), None), now()).await.expect("a verifier");
    assert!(verifier.verify(&SHARED.token(&claims()), now()).await.is_ok());
    for signer in [&RSA, &P256, &ED25519] {
        assert_refused(&verifier, &[("no key set", signer.token(&claims()), "no key is configured")]).await;
    }
    let as_rsa = SHARED.token_with(&json!({"alg": "RS256"}), &claims());
    assert_refused(&verifier, &[("HMAC as RS256", as_rsa, "no key is configured")]).await;
}

#[tokio::test]
async fn signatures_of_others_are_refused() {
    let verifier = verifier(Some(SECRET)).await;
    let others = [Signer::secret("another secret of more than 32 bytes!"), Signer::rsa(), Signer::p256(), Signer::ed25519()];
    let mut attacks: Vec<(&str, String, &str)> =
        others.iter().map(|other| ("another key", other.token(&claims()), SIGNATURE)).collect();
    for (signer, other) in signers().into_iter().zip(&others) {
        let good = signer.token(&claims());
        let (signed, signature) = good.rsplit_once('.').expect("a signature");
        let forged = signer.token(&claims_with("sub", "root"));
        let (forged_signed, _) = forged.rsplit_once('.').expect("a signature");
        let (_, other_signature) =
            other.token(&claims()).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("one");
        attacks.push(("claims of another", format!("{forged_signed}.{signature}"), SIGNATURE));
        attacks.push(("a signature of another", format!("{signed}.{other_signature}"), SIGNATURE));
        attacks.push(("zeros", format!("{signed}.{}", base64url([0; 64])), SIGNATURE));
        attacks.push(("a short one", format!("{signed}.{}", base64url([1])), SIGNATURE));
    }
    // A DER signature, as OpenSSL makes them, is not what JWS says; all zeros passed in a well-known runtime.
    let der = format!("{}.{}", P256.token(&claims()).rsplit_once('.').expect("one").0, base64url([0x30, 6, 2, 1, 1, 2, 1, 1]));
    attacks.push(("a DER signature", der, SIGNATURE));
    assert_refused(&verifier, &attacks).await;
}

#[tokio::test]
async fn no_character_of_a_token_can_be_changed() {
    let verifier = verifier(Some(SECRET)).await;
    for signer in signers() {
        let good = signer.token(&claims());
        for at in 0..good.len() {
            let cut = &good[..at];
            assert!(verifier.verify(cut, now()).await.is_err(), "cut at {at}");
            // The alphabet's neighbour differs in the last bit, which is padding at the end of a part.
            let byte = good.as_bytes()[at];
            let neighbour = if byte == b'A' { 'B' } else { 'A' };
            for replacement in [neighbour, char::from(byte ^ 1), '.', '=', ' '] {
                let changed = format!("{cut}{replacement}{}", &good[at + 1..]);
                assert!(changed == good || verifier.verify(&changed, now()).await.is_err(), "{replacement:?} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_have_three_parts_of_plain_base64url() {
    let verifier = verifier(Some(SECRET)).await;
    let good = SHARED.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let none = base64url(r#"{"alg":"none"}"#);
    let attacks = [
        ("nothing", String::new(), SHAPE),
        ("points", "..".to_owned(), SHAPE),
        ("no signature", format!("{header}.{payload}"), SHAPE),
        ("an empty signature", format!("{header}.{payload}."), SHAPE),
        ("none with an empty signature", format!("{none}.{payload}."), SHAPE),
        ("none with a signature", format!("{none}.{payload}.{signature}"), ALGORITHM),
        ("no header", format!(".{payload}.{signature}"), SHAPE),
        ("no claims", format!("{header}..{signature}"), SHAPE),
        ("a fourth part", format!("{good}.{signature}"), SHAPE),
        ("a leading part", format!("{header}.{good}"), SHAPE),
        ("an encrypted token's parts", format!("{good}.a.b"), SHAPE),
        ("two tokens", format!("{good}.{good}"), SHAPE),
        ("two tokens and a comma", format!("{good},{good}"), SHAPE),
        ("two tokens without a point", format!("{good}{good}"), SHAPE),
        ("a space before", format!(" {good}"), HEADER),
        ("a space after", format!("{good} "), SIGNATURE),
        ("a line break after", format!("{good}\n"), SIGNATURE),
        ("a zero byte after", format!("{good}\0"), SIGNATURE),
        ("padding", format!("{good}="), SIGNATURE),
        ("a padded header", format!("{header}=.{payload}.{signature}"), HEADER),
        ("standard base64", format!("{}.{payload}.{signature}", header.replace('e', "+")), HEADER),
        ("a header that is no base64", format!("!.{payload}.{signature}"), HEADER),
        ("letters that are not ASCII", format!("é{good}"), HEADER),
        ("a header that is no JSON", SHARED.token_of("HS256", &claims().to_string()), HEADER),
        ("a header that is a list", SHARED.token_of(r#"["HS256","JWT","rsa-1"]"#, &claims().to_string()), HEADER),
        ("a header with more behind", SHARED.token_of(r#"{"alg":"HS256"}{}"#, &claims().to_string()), HEADER),
        ("64 KiB", format!("{header}.{}.{signature}", "A".repeat(64 * 1024)), "8 KiB"),
        ("64 KiB well signed", SHARED.token(&claims_with("sub", "a".repeat(64 * 1024))), "8 KiB"),
        ("deep", SHARED.token_of(r#"{"alg":"HS256"}"#, &format!("{{\"a\":{}", "[".repeat(4_000))), CLAIMS),
    ];
    assert_refused(&verifier, &attacks).await;
}

#[tokio::test]
async fn members_that_are_there_twice_are_refused() {
    let verifier = verifier(Some(SECRET)).await;
    let header = r#"{"alg":"HS256"}"#;
    let claims = claims().to_string();
    let mut attacks = vec![
        ("alg", SHARED.token_of(r#"{"alg":"none","alg":"HS256"}"#, &claims), HEADER),
        ("escaped alg", SHARED.token_of(r#"{"alg":"HS256","\u0061lg":"HS256"}"#, &claims), HEADER),
        ("kid", SHARED.token_of(r#"{"alg":"HS256","kid":"a","kid":"b"}"#, &claims), HEADER),
        ("crit", SHARED.token_of(r#"{"alg":"HS256","crit":[],"crit":[]}"#, &claims), HEADER),
    ];
    for member in
        [r#""iss":"https://evil.example""#, r#""aud":"other""#, r#""sub":"root""#, r#""exp":9999999999"#, r#""scope":"admin""#]
    {
        let first = claims.replacen('{', &format!("{{{member},"), 1);
        let last = format!("{},{member}}}", claims.trim_end_matches('}'));
        attacks.push((member, SHARED.token_of(header, &first), CLAIMS));
        attacks.push((member, SHARED.token_of(header, &last), CLAIMS));
    }
    let org_twice = format!(r#"{},"org":"a","org":"b"}}"#, claims.trim_end_matches('}'));
    attacks.push(("org", SHARED.token_of(header, &org_twice), CLAIMS));
    assert_refused(&verifier, &attacks).await;
}
