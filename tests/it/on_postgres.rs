//! What callers can rely on, once more on PostgreSQL: the same tests, where `Setup::new()` makes an empty database there.

#[path = "contract/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests on another database")]
mod contract;
#[path = "matrix.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests on another database")]
mod matrix;
#[path = "scenarios/http.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests on another database")]
mod scenarios;

use crate::harness::Setup;

#[test]
fn a_setup_has_an_empty_database_on_postgresql_of_its_own() {
    let (one, another) = (Setup::new(), Setup::new());
    let (one, another) = (one.database_url(), another.database_url());
    assert!(one.starts_with("postgres://plimsoll:") && one.ends_with("/plimsoll"), "{one}");
    assert!(another.ends_with("/plimsoll_1") && another.rsplit_once('/') != one.rsplit_once('/'), "{another}");
}

#[test]
fn a_test_may_still_ask_for_the_embedded_database() {
    assert!(Setup::embedded().database_url().starts_with("sqlite://"));
}
