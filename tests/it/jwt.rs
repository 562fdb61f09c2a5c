//! JWT bearers, over HTTP.

mod attacks;
pub(crate) mod forge;
mod issuer;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::interval;

use crate::harness::{Plimsoll, Setup};
use forge::{AUDIENCE, ED25519, ISSUER, P256, RSA, SECRET, SHARED, Signer, claims, claims_with, claims_without, jwks, signers};
use issuer::Issuer;

/// JWT bearers switched on; how they are verified is still to be said.
fn switched_on() -> Setup {
    Setup::new().variable("PLIMSOLL_JWT_ISSUER", ISSUER).variable("PLIMSOLL_JWT_AUDIENCE", AUDIENCE)
}

/// Verified by a shared secret and by a key set in a file.
fn with_all_keys() -> Setup {
    let setup = switched_on();
    let file = setup.file("jwks.json", jwks().to_string());
    setup.variable("PLIMSOLL_JWT_SECRET", SECRET).variable("PLIMSOLL_JWT_JWKS", file)
}

fn admin_claims() -> Value {
    claims_with("scope", "read write admin")
}

#[tokio::test]
async fn a_good_token_of_every_algorithm_may_do_what_its_scopes_say() {
    let server = Plimsoll::on(with_all_keys()).await;
    for (number, signer) in signers().into_iter().enumerate() {
        let admin = server.bearer(&signer.token(&admin_claims()));
        admin.put_tier(&format!("tier-{number}")).await.is(201);
        let (_, kid) = signer.names();
        let reader = server.bearer(&signer.token(&claims_with("scope", "read")));
        reader.get("/v1/orgs/nobody/entitlements").await.fails(404, "not_found");
        let refused = reader.put_tier("another").await;
        refused.fails(403, "insufficient_scope");
        assert_eq!(
            (&refused.body["meta"]["required"], &refused.body["meta"]["granted"]),
            (&json!("admin"), &json!(["read"])),
            "{kid}"
        );
        let mut listed = claims_without("scope");
        listed["scopes"] = json!(["read", "admin"]);
        server.bearer(&signer.token(&listed)).get("/v1/admin/tiers").await.is(200);
        server
            .bearer(&signer.token(&claims_without("scope")))
            .get("/v1/orgs/nobody/entitlements")
            .await
            .fails(403, "insufficient_scope");
    }
    let audit = server.admin().get("/v1/admin/audit?object=tier").await;
    assert_eq!(audit.is(200).items().len(), 4);
    assert!(audit.items().iter().all(|entry| entry["actor"] == json!({"kind": "token", "id": "user-1"})), "{}", audit.text);
}

#[tokio::test]
async fn the_shared_secret_may_come_from_a_file() {
    for ending in ["", "\n"] {
        let setup = switched_on();
        let file = setup.file("secret", format!("{SECRET}{ending}"));
        let server = Plimsoll::on(setup.variable("PLIMSOLL_JWT_SECRET_FILE", file)).await;
        server.bearer(&SHARED.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
        server.bearer(&RSA.token(&admin_claims())).get("/v1/admin/tiers").await.fails(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_key_set_alone_takes_no_shared_secret() {
    let setup = switched_on();
    let file = setup.file("jwks.json", jwks().to_string());
    let server = Plimsoll::on(setup.variable("PLIMSOLL_JWT_JWKS", file)).await;
    for signer in [&RSA, &P256, &ED25519] {
        server.bearer(&signer.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
    }
    let by_secret = [&*SHARED, &Signer::Secret(RSA.rsa_pem().into_bytes())].map(|signer| signer.token(&admin_claims()));
    for token in by_secret {
        server.bearer(&token).get("/v1/admin/tiers").await.fails(401, "invalid_token");
    }
}

async fn reading_from(issuer: &Issuer) -> Plimsoll {
    let setup = switched_on();
    let trusted = setup.file("trusted.pem", &issuer.certificate);
    Plimsoll::on(setup.variable("SSL_CERT_FILE", trusted).variable("PLIMSOLL_JWT_JWKS", &issuer.url)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_is_read_over_https_and_again_when_a_token_names_an_unknown_key() {
    let issuer = Issuer::start(json!({"keys": [RSA.jwk("rsa-1")]})).await;
    let server = reading_from(&issuer).await;
    server.bearer(&RSA.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
    server.bearer(&RSA.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
    assert_eq!(issuer.requests(), 1, "the keys are kept");
    issuer.publish(jwks());
    let unknown_names = async || {
        for number in 0..20 {
            let header = json!({"alg": "RS256", "kid": format!("unknown-{number}")});
            let token = RSA.token_with(&header, &admin_claims());
            server.bearer(&token).get("/v1/admin/tiers").await.fails(401, "invalid_token");
        }
    };
    unknown_names().await;
    assert_eq!(issuer.requests(), 1, "names that are made up lead to no reading so soon after the last");
    let (begun, mut ticks) = (Instant::now(), interval(Duration::from_secs(1)));
    while server.bearer(&P256.token(&admin_claims())).get("/v1/admin/tiers").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(45), "the new key is not found");
        ticks.tick().await;
    }
    unknown_names().await;
    assert_eq!(issuer.requests(), 2, "one reading brought the key, and then there is a pause again");
    server.bearer(&ED25519.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_is_not_trusted_is_not_believed() {
    let (issuer, other) = (Issuer::start(jwks()).await, Issuer::start(jwks()).await);
    let setup = switched_on();
    let trusted = setup.file("trusted.pem", &other.certificate);
    let server = Plimsoll::on(setup.variable("SSL_CERT_FILE", trusted).variable("PLIMSOLL_JWT_JWKS", &issuer.url)).await;
    let answer = server.bearer(&RSA.token(&admin_claims())).get("/v1/admin/tiers").await;
    answer.fails(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(issuer.requests(), 0);
    assert!(server.stderr.text().contains("certificate"), "{}", server.stderr.text());
    server.admin().get("/v1/admin/tiers").await.is(200);
}

#[tokio::test]
async fn the_token_of_an_org_sees_its_own_org_only() {
    let server = Plimsoll::on(with_all_keys()).await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.put_org("other", "free").await.is(201);
    let own = server.bearer(&ED25519.token(&claims_with("org", "acme")));
    own.get("/v1/orgs/acme/entitlements").await.is(200);
    let question = |org: &str| json!({"org": org, "limitKey": "seats", "current": 1});
    own.check(question("acme")).await.is(200);
    let (foreign, absent) = (own.check(question("other")).await, own.check(question("nobody")).await);
    assert_eq!(foreign.fails(404, "not_found").text, absent.fails(404, "not_found").text, "they cannot be told apart");
    let (foreign, absent) = (own.get("/v1/orgs/other/entitlements").await, own.get("/v1/orgs/nobody/entitlements").await);
    assert_eq!(foreign.fails(404, "not_found").text, absent.fails(404, "not_found").text, "they cannot be told apart");
    own.get("/v1/admin/tiers").await.fails(403, "insufficient_scope");

    let mut administering = admin_claims();
    administering["org"] = json!("acme");
    let administering = server.bearer(&ED25519.token(&administering));
    administering.get("/v1/orgs/acme/entitlements").await.is(200);
    administering.get("/v1/admin/tiers").await.fails(403, "insufficient_scope");

    admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "a test"})).await.is(200);
    own.check(question("acme")).await.fails(403, "org_banned");
    server.bearer(&ED25519.token(&claims())).get("/v1/orgs/other/entitlements").await.is(200);
}

#[tokio::test]
async fn tokens_are_off_unless_issuer_and_audience_are_set() {
    let all = with_all_keys();
    let off = [
        Setup::new(),
        all.clone().without("PLIMSOLL_JWT_ISSUER"),
        all.clone().without("PLIMSOLL_JWT_AUDIENCE"),
        all.clone().without("PLIMSOLL_JWT_ISSUER").without("PLIMSOLL_JWT_AUDIENCE"),
    ];
    for (number, setup) in off.into_iter().enumerate() {
        let server = Plimsoll::on(setup).await;
        for signer in signers() {
            let answer = server.bearer(&signer.token(&admin_claims())).get("/v1/admin/tiers").await;
            answer.fails(401, "invalid_token");
        }
        server.admin().get("/v1/admin/tiers").await.is(200);
        let log = server.terminate().stderr;
        assert_eq!(log.contains("JWT bearers are off"), number > 0, "half a setting is worth a word: {log}");
    }
    let server = Plimsoll::on(all).await;
    server.bearer(&RSA.token(&admin_claims())).get("/v1/admin/tiers").await.is(200);
}
