//! Files that are well, and files that were broken on purpose: whatever is looked for is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use migration::{Migrator, MigratorTrait, SCHEMA_VERSION};
use proptest::prelude::*;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;

use super::checks::{CHECKS, TEXTS, Text};
use super::{Report, examine};
use crate::domain::names::{OrgId, TierName};
use crate::domain::time::UtcMillis;

/// One of everything, with a log whose old end was swept.
const WELL: &str = include_str!("well.sql");
const BROKEN: &str = include_str!("broken.sql");

fn now() -> UtcMillis {
    UtcMillis::parse("2026-11-22T12:00:00Z").expect("a timestamp")
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options.max_connections(1);
    Database::connect(options).await.expect("a database")
}

/// A folder with a database that is well.
async fn patient() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let db = connect(&folder.path().join("well.db")).await;
    Migrator::up(&db, None).await.expect("a schema");
    db.execute_unprepared(WELL).await.expect("rows");
    db.execute_unprepared("VACUUM").await.expect("no page is left unused");
    db.close().await.expect("closed");
    folder
}

/// What is said of a copy to which this was done while nothing was watching over it.
async fn after(folder: &TempDir, harm: &str) -> Report {
    let path = folder.path().join("harmed.db");
    fs::copy(folder.path().join("well.db"), &path).expect("a copy");
    let db = connect(&path).await;
    db.execute_unprepared("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").await.expect("off");
    db.execute_unprepared(harm).await.expect(harm);
    db.close().await.expect("closed");
    let report = examine(&url(&path), now()).await.unwrap_or_else(|error| panic!("{harm}: {error}"));
    fs::remove_file(path).expect("removed");
    report
}

fn lines(report: &Report) -> Vec<String> {
    report.off.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_database_that_is_well_has_nothing_off() {
    let folder = patient().await;
    let before = fs::read(folder.path().join("well.db")).expect("a file");
    let report = examine(&url(&folder.path().join("well.db")), now()).await.expect("a report");
    assert_eq!(lines(&report), [""; 0]);
    let notes: Vec<String> = report.notes.iter().map(ToString::to_string).collect();
    let above = "usage acme/seats//0: 8 is taken, above the cap of 5: nothing more is allowed, and nothing is lost";
    let former = "usage acme/seats//1795305600000: was counted before its limit key became what it is, and no longer counts";
    assert_eq!(notes, [former, above]);
    let looked_at: Vec<(&str, u64)> = report.looked_at.into_iter().filter(|(_, rows)| *rows > 0).collect();
    let expected = [
        ("limit keys", 3),
        ("tiers", 1),
        ("orgs", 1),
        ("API keys", 2),
        ("counters", 4),
        ("reservations", 3),
        ("answers", 2),
        ("log lines", 4),
    ];
    assert_eq!(looked_at, expected);
    assert!(before == fs::read(folder.path().join("well.db")).expect("a file"), "looking changes nothing");
}

/// Each harm of the list, and what must be said of it.
fn harms() -> Vec<(&'static str, &'static str)> {
    let lines = BROKEN.lines().filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines.map(|line| line.split_once(" => ").expect("a harm and its name")).collect()
}

#[tokio::test]
async fn every_harm_is_named_with_its_table_and_row() {
    let folder = patient().await;
    let mut said = BTreeSet::new();
    for (harm, expected) in harms() {
        let report = after(&folder, harm).await;
        assert!(lines(&report).iter().any(|line| line == expected), "{harm}\n{:#?}", lines(&report));
        said.extend(report.off.into_iter().chain(report.notes).map(|finding| (finding.table, finding.says)));
    }
    for check in CHECKS.iter().filter(|check| check.level == super::examination::Level::Off) {
        let is_shown = said.contains(&(check.table.to_owned(), check.says.to_owned()));
        assert!(is_shown, "no harm shows that it is found: {} {}", check.table, check.says);
    }
    for (table, column, text) in TEXTS {
        let says = format!("its {column} {}", text.expected());
        assert!(said.contains(&((*table).to_owned(), says)), "no harm shows that it is found: {table} {column}");
    }
}

#[tokio::test]
async fn a_name_that_would_move_the_cursor_is_written_harmlessly() {
    let folder = patient().await;
    let report = after(&folder, "UPDATE user_ban SET id = 'a' || char(27) || '[2J' || char(10)").await;
    assert_eq!(lines(&report), ["user_ban a\\u{1b}[2J\\n: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"]);
}

#[tokio::test]
async fn of_many_rows_some_are_named_and_the_others_counted() {
    let folder = patient().await;
    let many = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 50) \
                INSERT INTO usage SELECT 'acme', 'seats', 'r' || n, 0, NULL, -1, 0 FROM n";
    let report = after(&folder, many).await;
    let says = "it is not true that used BETWEEN 0 AND 9007199254740991";
    let named = lines(&report).iter().filter(|line| line.ends_with(&format!("/0: {says}"))).count();
    assert_eq!(named, 20);
    assert!(lines(&report).contains(&format!("usage: the same of 30 more rows: {says}")), "{:?}", lines(&report));
}

#[tokio::test]
async fn no_page_can_be_broken_or_cut_off_unnoticed() {
    let folder = patient().await;
    let bytes = fs::read(folder.path().join("well.db")).expect("a file");
    let path = folder.path().join("harmed.db");
    for page in 1..bytes.len() / 4096 {
        let mut broken = bytes.clone();
        broken[page * 4096..page * 4096 + 8].fill(0xff);
        fs::write(&path, broken).expect("written");
        let report = examine(&url(&path), now()).await.unwrap_or_else(|error| panic!("page {page}: {error}"));
        assert!(!report.off.is_empty(), "page {page}");
    }
    fs::write(&path, &bytes[..bytes.len() - 4096]).expect("written");
    let report = examine(&url(&path), now()).await.expect("a report");
    assert!(!report.off.is_empty(), "the last page is not there");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_an_error() {
    let folder = patient().await;
    let path = folder.path().join("other.db");
    let refused = async || examine(&url(&path), now()).await.expect_err("a refusal").to_string();
    assert!(refused().await.contains("does not exist"));
    fs::write(&path, "a letter to grandmother").expect("written");
    assert!(refused().await.contains("is not a SQLite database"));
    fs::remove_file(&path).expect("removed");
    let older = connect(&path).await;
    Migrator::up(&older, Some(SCHEMA_VERSION - 1)).await.expect("built");
    older.close().await.expect("closed");
    assert!(refused().await.contains("has an older schema"));
}

/// Whether the condition holds of a text.
async fn is_violated(db: &DatabaseConnection, form: Text, text: &str) -> bool {
    let sql = format!("SELECT {} FROM (SELECT ? AS text) r", form.is_violated("text"));
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [text.into()]);
    db.query_one_raw(statement).await.expect("a row").expect("a row").try_get_by_index(0).expect("a truth")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The form of a text in SQL is that of the domain's type.
    #[test]
    fn a_text_is_off_exactly_when_its_type_refuses_it(texts in proptest::collection::vec("[a-c0-9A-Z_:.@ \u{0}\u{e9}\\[\\]^*-]{0,6}|[a-z]{63,66}|[A-Z]{127,130}", 40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let db = Database::connect("sqlite::memory:").await.expect("a database");
            for text in texts {
                assert_eq!(is_violated(&db, Text::Name, &text).await, TierName::parse(text.as_str()).is_err(), "{text:?}");
                assert_eq!(is_violated(&db, Text::Id, &text).await, OrgId::parse(text.as_str()).is_err(), "{text:?}");
            }
        });
    }
}
