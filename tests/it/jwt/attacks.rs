//! The corpus of attacks: whatever is tried, the answer is the same 401.

use serde_json::{Value, json};

use super::forge::{
    AUDIENCE, ED25519, ISSUER, OTHER_RSA, P256, RSA, SHARED, Signer, base64url, claims, claims_with, claims_without,
    in_seconds, jwks, signers,
};
use super::{admin_claims, with_all_keys};
use crate::harness::Plimsoll;

type Attack = (String, String);

/// Headers that choose another algorithm, key or way of verifying.
fn by_header() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut add =
        |header: Value, signer: &Signer| attacks.push((header.to_string(), signer.token_with(&header, &admin_claims())));
    for algorithm in
        ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES256K"]
    {
        add(json!({"alg": algorithm}), &SHARED);
        add(json!({"alg": algorithm}), &RSA);
    }
    for algorithm in [Value::Null, json!(1), json!(["HS256"]), json!({"HS256": true})] {
        add(json!({"alg": algorithm}), &SHARED);
    }
    add(json!({"typ": "JWT"}), &SHARED);
    let evil = "https://127.0.0.1:9/jwks.json";
    let own = [("jwk", OTHER_RSA.jwk("own")), ("jku", json!(evil)), ("x5u", json!(evil)), ("x5c", json!(["MIIB"]))];
    let changed = [("crit", json!(["exp"])), ("crit", json!([])), ("b64", json!(false))];
    for (name, value) in own.into_iter().chain(changed) {
        for signer in [&*SHARED, &*RSA, &*OTHER_RSA] {
            let mut header = json!({"alg": signer.names().0, "kid": signer.names().1});
            header[name] = value.clone();
            add(header, signer);
        }
    }
    for kid in
        ["", "rsa-2", "p256-1", "../../../../dev/null", "/etc/passwd", "x' UNION SELECT 'key", "x|id", "file:///dev/null"]
    {
        add(json!({"alg": "RS256", "kid": kid}), &RSA);
    }
    for kid in [Value::Null, json!(1), json!(["rsa-1"]), json!({"rsa-1": 1})] {
        add(json!({"alg": "RS256", "kid": kid}), &RSA);
    }
    for typ in [json!("JWE"), json!("dpop+jwt"), json!("logout+jwt"), json!(""), json!(1)] {
        add(json!({"alg": "HS256", "typ": typ}), &SHARED);
    }
    attacks
}

/// Keys that are not the issuer's, or are used for what they are not.
fn by_key() -> Vec<Attack> {
    let public: [String; 5] =
        [RSA.rsa_pem(), RSA.rsa_pem().trim_end().to_owned(), RSA.jwk("rsa-1").to_string(), jwks().to_string(), String::new()];
    let mut attacks = Vec::new();
    for text in public {
        let confused = Signer::Secret(text.clone().into_bytes());
        for header in
            [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "rsa-1"}), json!({"alg": "RS256", "kid": "rsa-1"})]
        {
            attacks.push((format!("{text:.20} as {header}"), confused.token_with(&header, &admin_claims())));
        }
    }
    let guessed = Signer::Secret(b"another secret of more than 32 bytes!".to_vec());
    for (name, signer) in [("another secret", &guessed), ("another RSA key", &*OTHER_RSA)] {
        attacks.push((name.to_owned(), signer.token(&admin_claims())));
    }
    for (signer, header) in
        [(&*P256, json!({"alg": "RS256", "kid": "rsa-1"})), (&*ED25519, json!({"alg": "ES256", "kid": "p256-1"}))]
    {
        attacks.push((format!("another family as {header}"), signer.token_with(&header, &admin_claims())));
    }
    attacks
}

/// Tokens of the right key whose parts were exchanged, repeated or left out.
fn by_shape() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for signer in signers() {
        let good = signer.token(&claims());
        let (signed, signature) = good.rsplit_once('.').expect("a signature");
        let (header, payload) = signed.split_once('.').expect("two parts");
        let more = base64url(admin_claims().to_string());
        let none = base64url(r#"{"alg":"none","typ":"JWT"}"#);
        let shapes = [
            ("more claims", format!("{header}.{more}.{signature}")),
            ("none", format!("{none}.{payload}.{signature}")),
            ("none and no signature", format!("{none}.{payload}.")),
            ("no signature", format!("{signed}.")),
            ("zeros", format!("{signed}.{}", base64url([0; 64]))),
            ("no claims", format!("{header}..{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("padding", format!("{good}=")),
            ("two in one", format!("{good},{good}").replacen('.', "", 2)),
            ("64 KiB of signature", format!("{signed}.{}", "A".repeat(7_000))),
        ];
        attacks.extend(shapes.map(|(name, token)| (format!("{name} {}", signer.names().0), token)));
    }
    attacks.push(("twice alg".to_owned(), SHARED.token_of(r#"{"alg":"none","alg":"HS256"}"#, &claims().to_string())));
    let twice = claims().to_string().replacen('{', r#"{"iss":"https://evil.example","#, 1);
    attacks.push(("twice iss".to_owned(), SHARED.token_of(r#"{"alg":"HS256"}"#, &twice)));
    for text in ["[]", "null", "1", "", "{", "{}{}"] {
        attacks.push((format!("claims {text:?}"), SHARED.token_of(r#"{"alg":"HS256"}"#, text)));
    }
    attacks.push(("deep".to_owned(), SHARED.token_of(r#"{"alg":"HS256"}"#, &format!("{{\"a\":{}", "[".repeat(4_000)))));
    attacks
}

/// Well-signed claims that are not for us, or not now.
fn by_claims() -> Vec<Attack> {
    let mut wrong: Vec<Value> = ["iss", "aud", "sub", "exp"].map(claims_without).into();
    for (name, values) in [
        ("iss", vec![json!(""), json!("https://issuer.example/"), json!("https://evil.example"), json!([ISSUER]), Value::Null]),
        (
            "aud",
            vec![json!(""), json!("other"), json!("plimsoll "), json!([]), json!(["other"]), json!([AUDIENCE, 1]), json!(1)],
        ),
        ("sub", vec![json!(""), json!(1), json!("a\u{0}"), json!("a".repeat(256)), Value::Null]),
        ("exp", times(-1)),
        ("nbf", times(3_600)),
        ("iat", times(3_600)),
        ("scope", vec![json!(["admin"]), json!(1), Value::Null]),
        ("scopes", vec![json!(["read"]), json!("read")]),
        ("org", vec![json!(""), json!("a b"), json!("../a"), json!(["acme"]), Value::Null]),
    ] {
        wrong.extend(values.into_iter().map(|value| claims_with(name, value)));
    }
    wrong.iter().map(|claims| (claims.to_string(), SHARED.token(claims))).collect()
}

/// A time of the wrong type, and one that is wrong by so many seconds.
fn times(by: i64) -> Vec<Value> {
    let text = json!(in_seconds(600).to_string());
    vec![text, json!("2999-01-01T00:00:00Z"), json!(1e300), json!(-1), json!([1]), Value::Null, json!(in_seconds(by))]
}

#[tokio::test]
async fn every_attack_by_a_token_is_answered_with_the_same_401() {
    let server = Plimsoll::on(with_all_keys()).await;
    server.bearer(&SHARED.token(&claims())).get("/v1/orgs/x/entitlements").await.fails(404, "not_found");
    let attacks: Vec<Attack> = [by_header(), by_key(), by_shape(), by_claims()].concat();
    assert!(attacks.len() > 150, "{}", attacks.len());
    let mut wrong = Vec::new();
    for (name, token) in &attacks {
        let answer = server.bearer(token).get("/v1/orgs/x/entitlements").await;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        if (answer.status, answer.code()) != (401, "invalid_token") || !challenge.starts_with("Bearer ") {
            wrong.push(format!("{name}: {} {challenge} {}", answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.bearer(&SHARED.token(&claims())).get("/v1/orgs/x/entitlements").await.fails(404, "not_found");
}

#[tokio::test]
async fn what_is_not_even_a_token_is_answered_with_401_as_well() {
    let server = Plimsoll::on(with_all_keys()).await;
    let good = SHARED.token(&claims());
    let long = SHARED.token(&claims_with("sub", "a".repeat(64 * 1024)));
    let headers = [
        format!("Bearer {good} {good}"),
        format!("Bearer {good}.{good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer  {good}"),
        format!("Bearer {good}."),
        format!("Bearer .{good}"),
        format!("Bearer {}", &good[..good.rfind('.').expect("a point")]),
        format!("Basic {good}"),
        format!("JWT {good}"),
        good.clone(),
        "Bearer".to_owned(),
        "Bearer ..".to_owned(),
    ];
    for header in &headers {
        let answer = server.anonymous().request("GET", "/v1/orgs/x/entitlements").header("Authorization", header).send().await;
        assert!(
            answer.is(401).header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")),
            "{header}"
        );
    }
    let both = server.anonymous().request("GET", "/v1/orgs/x/entitlements").header("Authorization", format!("Bearer {good}"));
    both.header("Authorization", format!("Bearer {good}")).send().await.is(401);
    // A header so long is refused before it is looked at, and nobody is let in.
    assert!(matches!(server.bearer(&long).get("/v1/orgs/x/entitlements").await.status, 401 | 431));
    let in_query = server.anonymous().get(&format!("/v1/orgs/x/entitlements?access_token={good}")).await;
    in_query.is(401);
}
