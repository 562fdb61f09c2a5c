//! The claims that are refused, as tables, each for its own reason; and those that are accepted.

use serde_json::{Value, json};

use super::forge::{AUDIENCE, ISSUER, SECRET, SHARED, claims, claims_with, claims_without, now, now_seconds};
use super::jwt::TokenRefused;
use super::verifier_bench::{assert_refused, verifier};
use crate::domain::names::OrgId;
use crate::domain::scope::Scopes;

const CLAIMS: &str = "the claims cannot be read";

#[tokio::test]
async fn claims_must_be_ours_and_of_the_right_type() {
    let verifier = verifier(Some(SECRET)).await;
    let mut attacks = Vec::new();
    for name in ["iss", "aud", "sub", "exp"] {
        attacks.push(("missing", claims_without(name), CLAIMS));
        attacks.push(("null", claims_with(name, Value::Null), CLAIMS));
        attacks.push(("an object", claims_with(name, json!({"a": 1})), CLAIMS));
        attacks.push(("a boolean", claims_with(name, true), CLAIMS));
    }
    for name in ["iss", "sub"] {
        attacks.push(("a list", claims_with(name, json!([ISSUER])), CLAIMS));
        attacks.push(("a number", claims_with(name, 1), CLAIMS));
    }
    for issuer in [
        "",
        "https://issuer.example/",
        "https://issuer.example.evil.example",
        "HTTPS://ISSUER.EXAMPLE",
        " https://issuer.example",
    ] {
        attacks.push(("an issuer", claims_with("iss", issuer), "another issuer"));
    }
    for audience in [
        json!(""),
        json!("PLIMSOLL"),
        json!("plimsoll "),
        json!("plimsoll,other"),
        json!([]),
        json!([""]),
        json!(["other", "plim"]),
    ] {
        attacks.push(("an audience", claims_with("aud", audience), "another audience"));
    }
    for audience in [json!(1), json!(["plimsoll", 1]), json!([["plimsoll"]]), json!(["plimsoll", null])] {
        attacks.push(("an odd audience", claims_with("aud", audience), CLAIMS));
    }
    for subject in ["".to_owned(), "a".repeat(256), "a\0".to_owned(), "a\nb".to_owned(), "\u{85}".to_owned()] {
        attacks.push(("a subject", claims_with("sub", subject), "its subject"));
    }
    for org in [json!(""), json!("a b"), json!("a/b"), json!("../a"), json!("a\0"), json!("a".repeat(129))] {
        attacks.push(("an org", claims_with("org", org), "org is not"));
    }
    for org in [Value::Null, json!(["acme"]), json!(1), json!({"id": "acme"}), json!(true)] {
        attacks.push(("an odd org", claims_with("org", org), CLAIMS));
    }
    for text in ["[]", "null", "1", "\"\"", " {}", "[\"https://issuer.example\",\"user-1\",\"plimsoll\",9999999999]"] {
        let token = SHARED.token_of(r#"{"alg":"HS256"}"#, text);
        assert_refused(&verifier, &[(text, token, CLAIMS)]).await;
    }
    let attacks: Vec<(&str, String, &str)> =
        attacks.iter().map(|(name, claims, why)| (*name, SHARED.token(claims), *why)).collect();
    assert_refused(&verifier, &attacks).await;
}

#[tokio::test]
async fn times_are_numbers_of_seconds_and_hold() {
    let verifier = verifier(Some(SECRET)).await;
    let mut attacks = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        let soon = now_seconds() + 60;
        for value in [
            json!(soon.to_string()),
            json!("2027-01-01T00:00:00Z"),
            json!(-0.5),
            json!(1e300),
            json!(-1),
            json!([soon]),
            Value::Null,
        ] {
            attacks.push((name, claims_with(name, value), CLAIMS));
        }
    }
    for expired in [0, 1, now_seconds() - 86_400, now_seconds() - 1, now_seconds()] {
        attacks.push(("exp", claims_with("exp", expired), "expired"));
    }
    for huge in [253_402_300_800, u64::MAX / 1_000, u64::MAX] {
        attacks.push(("exp", claims_with("exp", huge), "end of time"));
    }
    for start in [now_seconds() + 6, now_seconds() + 3_600, i64::MAX] {
        attacks.push(("nbf", claims_with("nbf", start), "not good yet"));
        attacks.push(("iat", claims_with("iat", start), "not good yet"));
    }
    attacks.push(("exp", claims_with("exp", 1_500_000_000.5), "expired"));
    attacks.push(("exp in milliseconds", claims_with("exp", now().get() * 1_000), "end of time"));
    let tokens: Vec<(&str, String, &str)> =
        attacks.iter().map(|(name, claims, why)| (*name, SHARED.token(claims), *why)).collect();
    assert_refused(&verifier, &tokens).await;
    let above_u64 = claims().to_string().replace(&(now_seconds() + 60).to_string(), "18446744073709551616");
    let token = SHARED.token_of(r#"{"alg":"HS256"}"#, &above_u64);
    assert_refused(&verifier, &[("exp above 64 bits", token, CLAIMS)]).await;
    for good in [
        claims_with("exp", now_seconds() + 1),
        claims_with("exp", 253_402_300_799_i64),
        claims_with("exp", 4e9 + 0.5),
        claims_with("nbf", 1.5e9),
        claims_with("nbf", now_seconds() + 5),
        claims_with("nbf", 0),
        claims_with("iat", now_seconds() + 5),
        claims_without("iat"),
    ] {
        assert!(verifier.verify(&SHARED.token(&good), now()).await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_token_ends_with_the_second_that_it_names() {
    let verifier = verifier(Some(SECRET)).await;
    let token = SHARED.token(&claims());
    assert!(verifier.verify(&token, now().plus_millis(59_999)).await.is_ok());
    let late = verifier.verify(&token, now().plus_millis(60_000)).await;
    assert_eq!(late, Err(TokenRefused::Invalid("it has expired")));
}

#[tokio::test]
async fn scopes_come_as_text_or_as_a_list() {
    let verifier = verifier(Some(SECRET)).await;
    let with_list = |list: Value| {
        let mut claims = claims_without("scope");
        claims["scopes"] = list;
        claims
    };
    let good = [
        (claims_without("scope"), vec![]),
        (claims_with("scope", ""), vec![]),
        (claims_with("scope", "read"), vec!["read"]),
        (claims_with("scope", "write read read"), vec!["read", "write"]),
        (with_list(json!([])), vec![]),
        (with_list(json!(["write", "reports:read"])), vec!["write", "reports:read"]),
        (claims_with("scope", "admin"), vec!["admin"]),
        // What names nothing here grants nothing, and takes nothing from what does.
        (claims_with("scope", "read User.Read https://issuer.example/admin openid"), vec!["read", "openid"]),
        (claims_with("scope", " read  write "), vec!["read", "write"]),
        (claims_with("scope", "read,admin"), vec![]),
        (claims_with("scope", "READ"), vec![]),
        (claims_with("scope", "read\tadmin"), vec![]),
        (claims_with("scope", "*"), vec![]),
        (with_list(json!(["read", "read admin", "", "*"])), vec!["read"]),
    ];
    for (claims, expected) in good {
        let granted = verifier.verify(&SHARED.token(&claims), now()).await.map(|claims| claims.scopes);
        assert_eq!(granted, Ok(Scopes::built_in(&expected)), "{claims}");
    }
    let bad = [
        (claims_with("scope", json!(["read"])), CLAIMS),
        (claims_with("scope", 1), CLAIMS),
        (claims_with("scope", Value::Null), CLAIMS),
        (with_list(json!("read")), CLAIMS),
        (with_list(json!({"read": true})), CLAIMS),
        (with_list(json!(["read", 1])), CLAIMS),
        (with_list(json!([["admin"]])), CLAIMS),
        (with_list(Value::Null), CLAIMS),
        (claims_with("scopes", json!(["read"])), "both"),
        (claims_with("scopes", json!([])), "both"),
    ];
    let attacks: Vec<(&str, String, &str)> = bad.iter().map(|(claims, why)| ("scopes", SHARED.token(claims), *why)).collect();
    assert_refused(&verifier, &attacks).await;
}

#[tokio::test]
async fn the_token_of_an_org_never_administers() {
    let verifier = verifier(Some(SECRET)).await;
    let token = SHARED.token(&claims_with("org", "acme"));
    let org = verifier.verify(&token, now()).await.map(|claims| claims.org);
    assert_eq!(org, Ok(OrgId::parse("acme").ok()));
    for (scope, granted) in [("admin", vec![]), ("read write admin", vec!["read", "write"])] {
        let mut claims = claims_with("scope", scope);
        claims["org"] = json!("acme");
        let found = verifier.verify(&SHARED.token(&claims), now()).await.map(|claims| claims.scopes);
        assert_eq!(found, Ok(Scopes::built_in(&granted)), "{scope}");
    }
}

#[tokio::test]
async fn an_audience_may_be_a_list_that_holds_ours() {
    let verifier = verifier(Some(SECRET)).await;
    for audience in [json!([AUDIENCE]), json!(["other", AUDIENCE]), json!([AUDIENCE, AUDIENCE])] {
        assert!(verifier.verify(&SHARED.token(&claims_with("aud", audience.clone())), now()).await.is_ok(), "{audience}");
    }
}
