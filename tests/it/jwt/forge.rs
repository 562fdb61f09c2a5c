//! Tokens for tests: good ones, and any bad one that can be thought of.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plimsoll::clock;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "plimsoll";
pub(crate) const SECRET: &str = "a shared secret of more than 32 bytes";

/// Somebody who signs.
pub(crate) enum Signer {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The issuer's keys, and one that is not the issuer's.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(rsa);
pub(crate) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(rsa);
pub(crate) static P256: LazyLock<Signer> =
    LazyLock::new(|| Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")));
pub(crate) static ED25519: LazyLock<Signer> = LazyLock::new(|| Signer::Ed25519(Ed25519KeyPair::generate().expect("a key")));
pub(crate) static SHARED: LazyLock<Signer> = LazyLock::new(|| Signer::Secret(SECRET.into()));

fn rsa() -> Signer {
    Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
}

/// Everybody who may sign.
pub(crate) fn signers() -> [&'static Signer; 4] {
    [&SHARED, &RSA, &P256, &ED25519]
}

impl Signer {
    /// The algorithm, and the name under which the issuer publishes the key.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Secret(_) => ("HS256", "shared"),
            Self::Rsa(_) => ("RS256", "rsa-1"),
            Self::P256(_) => ("ES256", "p256-1"),
            Self::Ed25519(_) => ("EdDSA", "ed-1"),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Self::P256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as the issuer publishes it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Secret(secret) => json!({"kty": "oct", "kid": kid, "alg": "HS256", "k": base64url(secret)}),
            Self::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": base64url(n), "e": base64url(e)})
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
                json!({"kty": "EC", "kid": kid, "crv": "P-256", "alg": "ES256", "use": "sig", "x": x, "y": y})
            }
            Self::Ed25519(pair) => {
                let x = base64url(pair.public_key().as_ref());
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x})
            }
        }
    }

    /// The public key of an RSA pair in PEM.
    pub(crate) fn rsa_pem(&self) -> String {
        let Self::Rsa(pair) = self else { panic!("an RSA key was meant") };
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).expect("DER");
        pem("PUBLIC KEY", der.as_ref())
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let (algorithm, kid) = self.names();
        self.token_with(&json!({"alg": algorithm, "typ": "JWT", "kid": kid}), claims)
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token whose parts are any text.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// DER as text.
pub(super) fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// So many seconds from now, as tokens say it.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    clock::now().get() / 1_000 + seconds
}

/// The claims of a good token, good for ten minutes.
pub(crate) fn claims() -> Value {
    let (now, then) = (in_seconds(0), in_seconds(600));
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": then, "iat": now, "scope": "read write"})
}

/// Good claims but for one.
pub(crate) fn claims_with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// Good claims without one.
pub(crate) fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").shift_remove(name);
    claims
}

/// The document that publishes the issuer's keys.
pub(crate) fn jwks() -> Value {
    let published = [&*RSA, &*P256, &*ED25519].map(|signer| signer.jwk(signer.names().1));
    json!({ "keys": published })
}
