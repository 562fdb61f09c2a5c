//! Settings that stop the start, each with a sentence that names it.

use std::net::TcpListener;

use super::{failure, told};
use crate::harness::{Plimsoll, Setup};

/// Settings, and what the sentence must name.
type Wrong = (&'static [(&'static str, &'static str)], &'static [&'static str]);

const WRONG: &[Wrong] = &[
    (&[("PLIMSOLL_LISTN", "127.0.0.1:0")], &["PLIMSOLL_LISTN", "PLIMSOLL_LISTEN"]),
    (&[("PLIMSOLL_LISTEN", "localhost")], &["PLIMSOLL_LISTEN", "localhost"]),
    (&[("PLIMSOLL_LISTEN", "127.0.0.1:70000")], &["PLIMSOLL_LISTEN"]),
    (&[("PLIMSOLL_DEFAULT_TIER", "Not A Tier")], &["PLIMSOLL_DEFAULT_TIER"]),
    (&[("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", "hunter2")], &["PLIMSOLL_BOOTSTRAP_ADMIN_KEY"]),
    (&[("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", "plm_ABC")], &["PLIMSOLL_BOOTSTRAP_ADMIN_KEY"]),
    (&[("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", "")], &["PLIMSOLL_BOOTSTRAP_ADMIN_KEY"]),
    (&[("PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE", "/nowhere/key")], &["PLIMSOLL_BOOTSTRAP_ADMIN_KEY"]),
    (&[("PLIMSOLL_CATALOG", "/nowhere/plan.yaml")], &["/nowhere/plan.yaml", "catalogue"]),
    (&[("PLIMSOLL_CACHE_ORGS", "many")], &["PLIMSOLL_CACHE_ORGS"]),
    (&[("PLIMSOLL_WEBHOOK_KEY", "too short")], &["PLIMSOLL_WEBHOOK_KEY"]),
    (&[("PLIMSOLL_WEBHOOK_ALLOW_PRIVATE", "here")], &["PLIMSOLL_WEBHOOK_ALLOW_PRIVATE"]),
    (&[("PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS", "0")], &["PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS"]),
    (&[("PLIMSOLL_WEBHOOK_RETRY_SECONDS", "5,0")], &["PLIMSOLL_WEBHOOK_RETRY_SECONDS"]),
    (&[("PLIMSOLL_CACHE_API_KEYS", "-1")], &["PLIMSOLL_CACHE_API_KEYS"]),
    (&[("PLIMSOLL_CACHE_COUNTERS", "some")], &["PLIMSOLL_CACHE_COUNTERS"]),
    (&[("PLIMSOLL_X_RATELIMIT_HEADERS", "maybe")], &["PLIMSOLL_X_RATELIMIT_HEADERS"]),
    (&[("PLIMSOLL_LIMITER_MEMORY_MIB", "0")], &["PLIMSOLL_LIMITER_MEMORY_MIB"]),
    (&[("PLIMSOLL_REDIS_URL", "http://:hunter2@cache")], &["PLIMSOLL_REDIS_URL", "rediss://"]),
    (&[("PLIMSOLL_REDIS_URL", "redis://:hunter2@cache:port")], &["PLIMSOLL_REDIS_URL"]),
    (&[("PLIMSOLL_REDIS_URL", "redis://:hunter2@a,rediss://:hunter2@b")], &["PLIMSOLL_REDIS_URL", "TLS"]),
    (&[("PLIMSOLL_REDIS_URL_FILE", "/nowhere/redis")], &["PLIMSOLL_REDIS_URL_FILE", "/nowhere/redis"]),
    (&[("PLIMSOLL_REDIS_URL", "rediss://a"), ("PLIMSOLL_REDIS_CA", "/nowhere/ca")], &["PLIMSOLL_REDIS_CA", "/nowhere/ca"]),
    (&[("PLIMSOLL_REDIS_URL", "rediss://a"), ("PLIMSOLL_REDIS_CA", "/dev/null")], &["PLIMSOLL_REDIS_CA", "PEM"]),
    (&[("PLIMSOLL_REDIS_CA", "/dev/null")], &["PLIMSOLL_REDIS_CA", "PLIMSOLL_REDIS_URL"]),
    (&[("PLIMSOLL_REDIS_TIMEOUT_MILLIS", "0")], &["PLIMSOLL_REDIS_TIMEOUT_MILLIS", "5..=10000"]),
    (&[("PLIMSOLL_KEEP_WINDOWS_DAYS", "0")], &["PLIMSOLL_KEEP_WINDOWS_DAYS", "1..=3650"]),
    (&[("PLIMSOLL_KEEP_EVENTS_DAYS", "0")], &["PLIMSOLL_KEEP_EVENTS_DAYS", "1..=3650"]),
    (&[("PLIMSOLL_KEEP_DECISIONS_HOURS", "0")], &["PLIMSOLL_KEEP_DECISIONS_HOURS", "1..=87600"]),
    (&[("PLIMSOLL_KEEP_DECISIONS", "0")], &["PLIMSOLL_KEEP_DECISIONS", "1..=100000000"]),
    (&[("PLIMSOLL_KEEP_AUDIT_DAYS", "0")], &["PLIMSOLL_KEEP_AUDIT_DAYS", "1..=36500"]),
    (&[("PLIMSOLL_WORKERS", "0")], &["PLIMSOLL_WORKERS"]),
    (&[("PLIMSOLL_TRUSTED_PROXIES", "10.0.0.0/33")], &["PLIMSOLL_TRUSTED_PROXIES", "10.0.0.0/33"]),
    (&[("PLIMSOLL_TRUSTED_PROXIES", "10.0.0.1,proxy.example")], &["PLIMSOLL_TRUSTED_PROXIES", "proxy.example"]),
    (&[("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "-1")], &["PLIMSOLL_FAILED_AUTH_PER_MINUTE"]),
    (&[("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "1000001")], &["PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "0..=1000000"]),
    (&[("PLIMSOLL_MAX_CONNECTIONS", "15")], &["PLIMSOLL_MAX_CONNECTIONS", "16..=1048576"]),
    (&[("PLIMSOLL_KEEP_ALIVE_SECONDS", "0")], &["PLIMSOLL_KEEP_ALIVE_SECONDS", "1..=3600"]),
    (&[("PLIMSOLL_DRAIN_SECONDS", "soon")], &["PLIMSOLL_DRAIN_SECONDS"]),
    (&[("PLIMSOLL_LOG_FORMAT", "xml")], &["PLIMSOLL_LOG_FORMAT"]),
    (&[("PLIMSOLL_LOG", "plimsoll=loud")], &["PLIMSOLL_LOG"]),
    (&[("PLIMSOLL_DATABASE_URL", "plimsoll.db")], &["PLIMSOLL_DATABASE_URL", "database URL"]),
    (&[("PLIMSOLL_DATABASE_URL", "mysql://u:hunter2@db/p")], &["PLIMSOLL_DATABASE_URL", "mysql"]),
    (&[("PLIMSOLL_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/p")], &["127.0.0.1:1/p", "cannot be used"]),
    (&[("PLIMSOLL_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:port/p")], &["database URL", "postgres://user:password@"]),
    (&[("PLIMSOLL_DATABASE_DEADLINE_MS", "49")], &["PLIMSOLL_DATABASE_DEADLINE_MS", "50..=60000"]),
    (&[("PLIMSOLL_DATABASE_READERS", "0")], &["PLIMSOLL_DATABASE_READERS", "1..=1000"]),
    (&[("PLIMSOLL_CATALOG", "/nowhere/plan.yaml")], &["PLIMSOLL_CATALOG", "/nowhere/plan.yaml"]),
    (&[("PLIMSOLL_DATABASE_URL", "sqlite::memory:")], &["PLIMSOLL_DATABASE_URL", "memory"]),
    (&[("PLIMSOLL_DATABASE_URL", "sqlite:///nowhere/p.db?mode=rwc")], &["/nowhere/p.db"]),
    (
        &[("PLIMSOLL_JWT_ISSUER", "https://i.example"), ("PLIMSOLL_JWT_AUDIENCE", "plimsoll")],
        &["PLIMSOLL_JWT_SECRET", "PLIMSOLL_JWT_JWKS"],
    ),
    (
        &[("PLIMSOLL_JWT_ISSUER", "i"), ("PLIMSOLL_JWT_AUDIENCE", "p"), ("PLIMSOLL_JWT_SECRET", "hunter2")],
        &["PLIMSOLL_JWT_SECRET", "32"],
    ),
    (
        &[("PLIMSOLL_JWT_ISSUER", "i"), ("PLIMSOLL_JWT_AUDIENCE", "p"), ("PLIMSOLL_JWT_SECRET_FILE", "/nowhere/s")],
        &["PLIMSOLL_JWT_SECRET_FILE", "/nowhere/s"],
    ),
    (
        &[("PLIMSOLL_JWT_ISSUER", "i"), ("PLIMSOLL_JWT_AUDIENCE", "p"), ("PLIMSOLL_JWT_JWKS", "/nowhere/jwks.json")],
        &["PLIMSOLL_JWT_JWKS"],
    ),
    (&[("PLIMSOLL_JWT_JWKS", "http://127.0.0.1/jwks.json")], &["PLIMSOLL_JWT_JWKS", "https"]),
];

#[test]
fn a_wrong_setting_stops_the_start_with_a_sentence_that_names_it() {
    for (settings, named) in WRONG {
        let mut setup = Setup::new();
        if settings.iter().any(|(name, _)| *name == "PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE") {
            setup = setup.without("PLIMSOLL_BOOTSTRAP_ADMIN_KEY");
        }
        for (name, value) in *settings {
            setup = setup.variable(name, *value);
        }
        let sentence = told(Plimsoll::refused(setup));
        for name in *named {
            assert!(sentence.contains(name), "{settings:?} does not say {name}: {sentence}");
        }
        assert!(!sentence.contains("hunter2"), "{settings:?} shows a secret: {sentence}");
    }
}

#[test]
fn settings_of_a_service_to_ask_stop_a_command_with_a_sentence_that_names_them() {
    let address = ("PLIMSOLL_SERVER", "http://127.0.0.1:9");
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[address], "PLIMSOLL_API_KEY"),
        (&[address, ("PLIMSOLL_API_KEY_FILE", "/nowhere/key")], "PLIMSOLL_API_KEY_FILE"),
        (&[address, ("PLIMSOLL_API_KEY", "hunter2"), ("PLIMSOLL_API_KEY_FILE", "/nowhere/key")], "api-key-file"),
        (&[("PLIMSOLL_SERVER", "nonsense"), ("PLIMSOLL_API_KEY", "hunter2")], "nonsense"),
    ];
    for (settings, named) in table {
        let setup = settings.iter().fold(Setup::new(), |setup, (name, value)| setup.variable(name, *value));
        let sentence = failure(&setup, &["catalog", "export"]);
        assert!(sentence.contains(named) && !sentence.contains("hunter2"), "{settings:?}: {sentence}");
    }
}

#[test]
fn an_unknown_variable_stops_every_command_and_nothing_is_made() {
    let setup = Setup::new().variable("PLIMSOLL_DATABASE", "sqlite://x.db");
    for command in [["migrate"].as_slice(), &["openapi"], &["keys", "create", "--name", "x"], &["catalog", "export"]] {
        let sentence = failure(&setup, command);
        assert!(sentence.contains("PLIMSOLL_DATABASE is not a setting"), "{command:?}: {sentence}");
    }
    assert!(!setup.database().exists());
}

#[test]
fn an_occupied_port_stops_the_start() {
    let occupied = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = occupied.local_addr().expect("an address").to_string();
    let sentence = told(Plimsoll::refused(Setup::new().variable("PLIMSOLL_LISTEN", &address)));
    assert!(sentence.contains("PLIMSOLL_LISTEN") && sentence.contains(&address), "{sentence}");
}

#[test]
fn a_secret_and_its_file_are_not_both_taken() {
    let setup = Setup::new();
    let file = setup.file("key", crate::harness::ADMIN_KEY);
    let sentence = told(Plimsoll::refused(setup.variable("PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE", file)));
    assert!(sentence.contains("bootstrap-admin-key"), "{sentence}");
    assert!(!sentence.contains(crate::harness::ADMIN_KEY), "{sentence}");
}
