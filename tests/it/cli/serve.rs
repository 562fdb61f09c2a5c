//! `plimsoll serve`: the first admin key, and secrets from files.

use crate::harness::{Plimsoll, Setup};

const KEY: &str = "own_11111111111111111111111111111111111111111111111111111111111111bb";
const PRINTED: &str = "Admin API key, shown this once: ";

#[tokio::test]
async fn the_first_start_prints_one_admin_key_and_later_starts_none() {
    let setup = Setup::new().without("PLIMSOLL_BOOTSTRAP_ADMIN_KEY");
    let server = Plimsoll::on(setup).await;
    let deadline = std::time::Duration::from_secs(10);
    let key = server.stdout.wait_for(deadline, |line| line.strip_prefix(PRINTED).map(str::to_owned)).expect("a key");
    server.bearer(&key).put_tier("free").await.is(201);
    let stopped = server.terminate();
    assert_eq!(stopped.stdout, format!("{PRINTED}{key}"), "one line, and nothing else");
    assert!(!stopped.stderr.contains(&key), "the log holds the key");

    let server = Plimsoll::on(stopped.setup).await;
    server.bearer(&key).get("/v1/admin/tiers/free").await.is(200);
    server.admin().get("/v1/admin/tiers").await.fails(401, "invalid_api_key");
    assert_eq!(server.terminate().stdout, "");
}

#[tokio::test]
async fn a_configured_admin_key_is_accepted_and_none_is_made() {
    let server = Plimsoll::start().await;
    server.admin().get("/v1/admin/tiers").await.is(200);
    assert!(server.admin().get("/v1/admin/api-keys").await.is(200).items().is_empty());
    assert_eq!(server.terminate().stdout, "");
}

#[tokio::test]
async fn secrets_are_read_from_files_also_with_a_line_break_at_the_end() {
    for ending in ["", "\n", "\r\n"] {
        let setup = Setup::new().without("PLIMSOLL_BOOTSTRAP_ADMIN_KEY");
        let file = setup.file("key", format!("{KEY}{ending}"));
        let server = Plimsoll::on(setup.variable("PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE", file)).await;
        server.bearer(KEY).get("/v1/admin/tiers").await.is(200);
        assert_eq!(server.terminate().stdout, "");
    }
}

#[tokio::test]
async fn a_catalogue_file_is_applied_at_every_start() {
    let setup = Setup::new();
    let file = setup.file("plan.yaml", "tiers: {free: {name: Free}}");
    let server = Plimsoll::on(setup.variable("PLIMSOLL_CATALOG", &file)).await;
    let free = server.admin().get("/v1/admin/tiers/free").await;
    assert_eq!(free.is(200).data()["name"], "Free");
    let stopped = server.terminate();
    std::fs::write(&file, "tiers: {free: {name: Gratis}}").expect("a file");
    let server = Plimsoll::on(stopped.setup).await;
    assert_eq!(server.admin().get("/v1/admin/tiers/free").await.is(200).data()["name"], "Gratis");
}

#[tokio::test]
async fn a_default_tier_is_that_of_orgs_that_were_never_registered() {
    let setup = Setup::new();
    let file = setup
        .file("plan.yaml", "limitKeys: {seats: {kind: count, default: {max: 1}}}\ntiers: {free: {limits: {seats: {max: 3}}}}");
    let setup = setup.variable("PLIMSOLL_CATALOG", file).variable("PLIMSOLL_DEFAULT_TIER", "free");
    let server = Plimsoll::on(setup).await;
    let question = serde_json::json!({"org": "never-seen", "limitKey": "seats", "current": 3});
    let answer = server.admin().check(question).await;
    assert_eq!((answer.is(200).data()["max"].as_u64(), answer.data()["tier"].as_str()), (Some(3), Some("free")));
}

#[tokio::test]
async fn flags_win_over_variables() {
    let setup = Setup::new().variable("PLIMSOLL_LISTEN", "nonsense").without("PLIMSOLL_LISTEN");
    let server =
        Plimsoll::on(setup.variable("PLIMSOLL_DEFAULT_TIER", "a").flag("--listen=127.0.0.1:0").flag("--default-tier=b")).await;
    assert!(server.stderr.text().contains("tier=b"), "{}", server.stderr.text());
}
