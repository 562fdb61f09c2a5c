//! `plimsoll keys create`.

use super::{failure, run};
use crate::harness::{Plimsoll, Setup};

fn is_secret(line: &str) -> bool {
    let digits = line.strip_prefix("plm_").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

async fn with_org() -> Setup {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.put_org("other", "free").await.is(201);
    server.terminate().setup
}

#[tokio::test]
async fn a_key_made_by_hand_works_on_the_next_start() {
    let setup = with_org().await;
    let made = |arguments: &[&str]| {
        let printed = run(&setup, &[&["keys", "create", "--name", "by hand"], arguments].concat());
        assert!(is_secret(&printed.stdout), "{:?}", printed.stdout);
        assert!(!printed.stderr.contains(&printed.stdout), "{}", printed.stderr);
        printed.stdout
    };
    let usual = made(&[]);
    let admin = made(&["--scopes", "read,admin"]);
    let own = made(&["--org", "acme", "--user", "ann", "--scopes", "read"]);
    let later = made(&["--expires-at", "2999-01-01T00:00:00Z"]);
    let server = Plimsoll::on(setup).await;
    server.bearer(&usual).get("/v1/orgs/other/entitlements").await.is(200);
    server.bearer(&usual).get("/v1/admin/tiers").await.fails(403, "insufficient_scope");
    let listed = server.bearer(&admin).get("/v1/admin/api-keys").await;
    assert_eq!(listed.each("name"), ["by hand"; 4]);
    server.bearer(&own).get("/v1/orgs/acme/entitlements").await.is(200);
    server.bearer(&own).get("/v1/orgs/other/entitlements").await.fails(404, "not_found");
    server.bearer(&later).get("/v1/orgs/acme/entitlements").await.is(200);
    let audit = server.admin().get("/v1/admin/audit?object=apiKey").await;
    assert!(audit.is(200).items().iter().all(|entry| entry["actor"]["kind"] == "commandLine"), "{}", audit.text);
    assert_eq!(audit.items().len(), 4);
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_a_sentence_and_not_made() {
    let setup = with_org().await;
    let refused: [(&[&str], &str); 7] = [
        (&["--org", "nobody"], "org"),
        (&["--scopes", "read,reports"], "scopes[1]"),
        (&["--org", "acme", "--scopes", "admin"], "admin"),
        (&["--org", "a b"], "--org"),
        (&["--scopes", "READ"], "--scopes"),
        (&["--expires-at", "tomorrow"], "--expires-at"),
        (&["--expires-at", "2020-01-01T00:00:00Z"], "future"),
    ];
    for (arguments, named) in refused {
        let sentence = failure(&setup, &[&["keys", "create", "--name", "x"], arguments].concat());
        assert!(sentence.contains(named), "{arguments:?}: {sentence}");
    }
    let server = Plimsoll::on(setup).await;
    assert!(server.admin().get("/v1/admin/api-keys").await.is(200).items().is_empty());
}
