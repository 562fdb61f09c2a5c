//! Keys and tokens for tests: good ones, and any bad one that can be thought of.

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
use serde_json::{Value, json};

use crate::domain::time::UtcMillis;

pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const AUDIENCE: &str = "plimsoll";
pub(super) const SECRET: &str = "a shared secret of more than 32 bytes";

/// The time at which all tests take place.
pub(super) fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-22T09:30:00Z").expect("a timestamp")
}

/// The same in seconds, as tokens say it.
pub(super) fn now_seconds() -> i64 {
    now().get() / 1_000
}

/// So many seconds later.
pub(super) fn in_seconds(seconds: i64) -> i64 {
    now_seconds().saturating_add(seconds)
}

/// Somebody who signs.
pub(super) enum Signer {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The issuer's keys, made once: RSA keys take their time.
pub(super) static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
pub(super) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
pub(super) static P256: LazyLock<Signer> = LazyLock::new(Signer::p256);
pub(super) static ED25519: LazyLock<Signer> = LazyLock::new(Signer::ed25519);
pub(super) static SHARED: LazyLock<Signer> = LazyLock::new(|| Signer::secret(SECRET));

impl Signer {
    pub(super) fn secret(secret: impl AsRef<[u8]>) -> Self {
        Self::Secret(secret.as_ref().to_vec())
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    pub(super) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The name under which the issuer publishes the key.
    pub(super) fn kid(&self) -> &'static str {
        match self {
            Self::Secret(_) => "shared",
            Self::Rsa(_) => "rsa-1",
            Self::P256(_) => "p256-1",
            Self::Ed25519(_) => "ed-1",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
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
    pub(super) fn jwk(&self) -> Value {
        self.jwk_named(self.kid())
    }

    pub(super) fn jwk_named(&self, kid: &str) -> Value {
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

    /// The public key of an RSA pair in DER.
    pub(super) fn rsa_der(&self) -> Vec<u8> {
        let Self::Rsa(pair) = self else { panic!("an RSA key was meant") };
        AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).expect("DER").as_ref().to_vec()
    }

    /// The public key of an RSA pair in PEM.
    pub(super) fn rsa_pem(&self) -> String {
        let text = STANDARD.encode(self.rsa_der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A token with the usual header.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid()}), claims)
    }

    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token whose parts are any text.
    pub(super) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a good token, good for a minute.
pub(super) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": in_seconds(60), "iat": now_seconds(), "scope": "read write"})
}

/// Good claims but for one.
pub(super) fn claims_with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// Good claims without one.
pub(super) fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").shift_remove(name);
    claims
}

/// The document that publishes the keys of these.
pub(super) fn jwks(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<Value>>()})
}
