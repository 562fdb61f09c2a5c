//! The command line: what it prints, what it changes, and what it refuses with a sentence.

mod catalog;
mod files;
mod keys;
mod quickstart;
mod serve;
mod settings;
mod transfer;

use crate::harness::{Plimsoll, Setup, Stopped};

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(setup: &Setup, arguments: &[&str]) -> Stopped {
    let ended = Plimsoll::run(setup, arguments.iter().copied());
    assert!(ended.status.success(), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended
}

/// Runs a command that must fail, and gives back what it says.
#[track_caller]
fn failure(setup: &Setup, arguments: &[&str]) -> String {
    told(Plimsoll::run(setup, arguments.iter().copied()))
}

/// What a refused start or command says; it prints nothing else.
#[track_caller]
fn told(ended: Stopped) -> String {
    assert_eq!(ended.status.code().map(|code| code != 0), Some(true), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended.stderr
}

#[tokio::test]
async fn migrate_makes_a_database_that_serves_and_can_be_repeated() {
    let setup = Setup::new();
    for _ in 0..2 {
        assert_eq!(run(&setup, &["migrate"]).stdout, "The database is up to date.");
    }
    let before = std::fs::read(setup.database()).expect("a database");
    run(&setup, &["migrate"]);
    assert!(before == std::fs::read(setup.database()).expect("a database"), "nothing was left to migrate");
    Plimsoll::on(setup).await.anonymous().get("/readyz").await.is(200);
}

#[tokio::test]
async fn openapi_prints_the_very_document_that_is_served() {
    let server = Plimsoll::start().await;
    let served = server.anonymous().get("/openapi.json").await;
    let printed = run(server.setup(), &["openapi"]).stdout;
    assert_eq!(printed.trim_end(), served.text.trim_end());
    assert!(printed.starts_with('{'));
}
