//! Database files that are refused: with a sentence, and byte for byte as they were.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use sea_orm::{ConnectionTrait, Database};

use super::{failure, told};
use crate::harness::{Plimsoll, Setup};

/// Every file in the folder.
fn contents(setup: &Setup) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(setup.folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.display().to_string(), fs::read(&path).expect("a file"))).collect()
}

/// Whatever would serve or change the database refuses it.
fn is_refused(setup: &Setup, named: &str) {
    let before = contents(setup);
    let plan = std::env::temp_dir().join("there-is-no-such-plan.yaml");
    let apply = ["catalog", "apply", plan.to_str().expect("UTF-8")];
    let sentences = [
        told(Plimsoll::refused(setup.clone())),
        told(Plimsoll::refused(setup.clone().serving_by("quickstart"))),
        failure(setup, &["migrate"]),
        failure(setup, &["keys", "create", "--name", "x"]),
        failure(setup, &apply),
    ];
    for sentence in sentences {
        assert!(sentence.contains("plimsoll.db") && sentence.contains(named), "{named} is missing: {sentence}");
    }
    assert!(before == contents(setup), "a refused file, or one beside it, was touched: {:?}", contents(setup).keys());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    for text in ["a letter to grandmother", "SQLite format 3\0 or so it says", "{}", "\0"] {
        let setup = Setup::new();
        setup.file("plimsoll.db", text);
        is_refused(&setup, "is not a SQLite database");
        assert!(failure(&setup, &["catalog", "export"]).contains("is not a SQLite database"));
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let setup = Setup::new();
    let url = format!("sqlite://{}?mode=rwc", setup.database().display());
    let other = Database::connect(url).await.expect("a database");
    other.execute_unprepared("CREATE TABLE recipe (name TEXT)").await.expect("a table");
    other.close().await.expect("a closed database");
    is_refused(&setup, "but not Plimsoll's");
    assert!(failure(&setup, &["catalog", "export"]).contains("but not Plimsoll's"));
}

#[test]
fn a_read_only_file_is_refused() {
    let setup = Setup::new();
    super::run(&setup, &["migrate"]);
    fs::set_permissions(setup.database(), Permissions::from_mode(0o444)).expect("permissions");
    is_refused(&setup, "is read-only");
}

#[test]
fn a_folder_that_is_read_only_is_refused() {
    let setup = Setup::new();
    super::run(&setup, &["migrate"]);
    fs::set_permissions(setup.folder(), Permissions::from_mode(0o555)).expect("permissions");
    is_refused(&setup, "read-only");
    fs::set_permissions(setup.folder(), Permissions::from_mode(0o755)).expect("permissions");
}

#[test]
fn a_newer_schema_is_refused() {
    let setup = Setup::new();
    super::run(&setup, &["migrate"]);
    let mut bytes = fs::read(setup.database()).expect("a database");
    // The version stands at byte 60 of the header, in big-endian order.
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    setup.file("plimsoll.db", bytes);
    is_refused(&setup, "has a newer schema (version 9999)");
    assert!(failure(&setup, &["catalog", "export"]).contains("has a newer schema"));
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused_and_the_first_goes_on() {
    let server = Plimsoll::start().await;
    server.admin().put_tier("free").await.is(201);
    let before = fs::read(server.database()).expect("a database");
    let sentence = told(Plimsoll::refused(server.setup().clone()));
    assert!(sentence.contains("is in use by another process"), "{sentence}");
    for arguments in [["migrate"].as_slice(), &["keys", "create", "--name", "x"]] {
        assert!(failure(server.setup(), arguments).contains("is in use by another process"));
    }
    assert!(before == fs::read(server.database()).expect("a database"), "the file was touched");
    let exported = super::run(server.setup(), &["catalog", "export"]).stdout;
    assert!(exported.contains("free"), "looking is allowed: {exported}");
    server.admin().put_tier("starter").await.is(201);
}

#[test]
fn a_server_that_is_not_there_is_named_without_showing_its_password() {
    let setup = Setup::new().variable("PLIMSOLL_DATABASE_URL", "postgres://plimsoll:hunter2@127.0.0.1:1/plimsoll");
    for command in [["migrate"].as_slice(), &["keys", "create", "--name", "x"], &["catalog", "export"]] {
        let sentence = failure(&setup, command);
        assert!(sentence.contains("127.0.0.1:1/plimsoll cannot be used") && !sentence.contains("hunter2"), "{sentence}");
    }
}
