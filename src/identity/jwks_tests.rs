//! Which keys of a set are used.

use serde_json::{Value, json};

use super::forge::{ED25519, OTHER_RSA, P256, RSA, SHARED, base64url, jwks};
use super::jwks::{Found, KEYS_MAX, KeySet, NoKeySet};
use super::token::Family;

fn parse(keys: &[Value]) -> Result<KeySet, NoKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

/// The key with some members replaced; null takes one away.
fn changed(mut jwk: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        jwk[name] = value.clone();
        if value.is_null() {
            jwk.as_object_mut().expect("an object").shift_remove(name);
        }
    }
    jwk
}

#[test]
fn keys_are_found_by_family_and_name() {
    let set = KeySet::parse(jwks(&[&RSA, &P256, &ED25519]).to_string().as_bytes()).expect("a key set");
    let families = [(Family::Rsa, "rsa-1"), (Family::P256, "p256-1"), (Family::Ed25519, "ed-1")];
    for (family, kid) in families {
        for (other, name) in families {
            let found = set.find(family, Some(name));
            assert_eq!(matches!(found, Found::Key(_)), family == other, "{family:?} {name}");
        }
        assert!(matches!(set.find(family, None), Found::Key(_)), "{kid}");
        for name in ["", "RSA-1", "../rsa-1", "rsa-1/../../dev/null", "rsa-1\0", "' OR 1=1"] {
            assert!(matches!(set.find(family, Some(name)), Found::Nothing), "{name}");
        }
    }
}

#[test]
fn what_is_ambiguous_is_not_guessed() {
    let set = parse(&[RSA.jwk_named("a"), OTHER_RSA.jwk_named("b")]).expect("a key set");
    assert!(matches!(set.find(Family::Rsa, None), Found::Several));
    assert!(matches!(set.find(Family::Rsa, Some("a")), Found::Key(_)));
    let twice = parse(&[RSA.jwk_named("a"), OTHER_RSA.jwk_named("a")]).expect("a key set");
    assert!(matches!(twice.find(Family::Rsa, Some("a")), Found::Several));
    let nameless = changed(RSA.jwk(), &json!({"kid": null}));
    let set = parse(&[nameless]).expect("a key set");
    assert!(matches!(set.find(Family::Rsa, None), Found::Key(_)));
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let weak = base64url([&[0x7f][..], &[0xff; 255]].concat());
    let padded_weak = base64url([&[0x00, 0x7f][..], &[0xff; 255]].concat());
    let short = base64url([1; 31]);
    let unusable = [
        ("symmetric", SHARED.jwk()),
        ("for encryption", changed(RSA.jwk(), &json!({"use": "enc"}))),
        ("for signing only", changed(RSA.jwk(), &json!({"key_ops": ["sign"]}))),
        ("of another algorithm", changed(RSA.jwk(), &json!({"alg": "RS512"}))),
        ("of PSS", changed(RSA.jwk(), &json!({"alg": "PS256"}))),
        ("RSA for HS256", changed(RSA.jwk(), &json!({"alg": "HS256"}))),
        ("RSA with a curve", changed(RSA.jwk(), &json!({"crv": "P-256"}))),
        ("RSA of 2047 bits", changed(RSA.jwk(), &json!({ "n": weak }))),
        ("RSA of 2047 bits behind zeros", changed(RSA.jwk(), &json!({ "n": padded_weak }))),
        ("RSA of 8200 bits", changed(RSA.jwk(), &json!({"n": base64url([0xff; 1025])}))),
        ("RSA without a modulus", changed(RSA.jwk(), &json!({"n": null}))),
        ("RSA in padded base64", changed(RSA.jwk(), &json!({"e": "AQAB=="}))),
        ("with its private half", changed(RSA.jwk(), &json!({"d": "AQAB"}))),
        ("of another curve", changed(P256.jwk(), &json!({"crv": "P-384"}))),
        ("without a curve", changed(P256.jwk(), &json!({"crv": null}))),
        ("EC for RS256", changed(P256.jwk(), &json!({"alg": "RS256"}))),
        ("a short coordinate", changed(P256.jwk(), &json!({ "x": short }))),
        ("one coordinate", changed(P256.jwk(), &json!({"y": null}))),
        ("for agreeing on keys", changed(ED25519.jwk(), &json!({"crv": "X25519"}))),
        ("Ed25519 as EC", changed(ED25519.jwk(), &json!({"kty": "EC"}))),
        ("in lower case", changed(RSA.jwk(), &json!({"kty": "rsa"}))),
        ("a name that is a number", changed(RSA.jwk(), &json!({"kid": 1}))),
        ("no object", json!("key")),
        ("null", Value::Null),
    ];
    for (name, jwk) in unusable {
        assert_eq!(parse(std::slice::from_ref(&jwk)).err(), Some(NoKeySet::NothingUsable), "{name}");
        let beside = parse(&[jwk, ED25519.jwk_named("good")]).expect("a key set");
        assert!(matches!(beside.find(Family::Ed25519, Some("good")), Found::Key(_)), "{name}");
    }
}

#[test]
fn a_document_is_a_bounded_list_of_keys() {
    for document in ["", "{}", "[]", "null", r#"{"keys":{}}"#, r#"{"keys":[]"#, "<html>", "\u{feff}{}"] {
        assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(NoKeySet::Malformed), "{document}");
    }
    assert_eq!(KeySet::parse(br#"{"keys":[]}"#).err(), Some(NoKeySet::NothingUsable));
    let many = vec![ED25519.jwk(); KEYS_MAX + 1];
    assert_eq!(parse(&many).err(), Some(NoKeySet::TooMany));
    assert!(parse(&many[1..]).is_ok());
    let large = format!("{}{}", " ".repeat(256 * 1024), jwks(&[&RSA]));
    assert_eq!(KeySet::parse(large.as_bytes()).err(), Some(NoKeySet::TooLarge));
}
