//! Opening: what is refused is refused with a sentence, and no byte of it changes.

use std::fs;
use std::path::{Path, PathBuf};

use migration::SCHEMA_VERSION;
use sea_orm::ConnectionTrait;

use super::*;

fn at_path(path: &Path, mode: &str) -> String {
    format!("sqlite://{}?mode={mode}", path.display())
}

/// The sentence that opening answers. The directory's files must be as they were.
async fn refusal(dir: &Path, url: &str, access: Access) -> String {
    let before = contents(dir);
    let error = Store::open(url, access).await.err().unwrap_or_else(|| panic!("opened {url}"));
    assert_eq!(contents(dir), before, "{url}: {error}");
    error.to_string()
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        entries.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
    files.sort();
    files
}

/// A closed database, with the given four bytes of its header replaced.
async fn patched(at: usize, number: u32) -> (TempDir, PathBuf) {
    let Db { store, dir } = Db::furnished().await;
    store.close().await.expect("closed");
    let path = dir.path().join("p.db");
    let mut bytes = fs::read(&path).expect("read");
    bytes[at..].first_chunk_mut::<4>().expect("a header").copy_from_slice(&number.to_be_bytes());
    fs::write(&path, bytes).expect("written");
    (dir, path)
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("text.db");
    fs::write(&text, "SQLite? No, a shopping list, and a long one, to be sure.".repeat(10)).expect("written");
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let sentence = refusal(dir.path(), &at_path(&text, "rwc"), access).await;
        assert!(sentence.contains("text.db is not a SQLite database"), "{sentence}");
        let (foreign, path) = patched(68, 0).await;
        let sentence = refusal(foreign.path(), &at_path(&path, "rwc"), access).await;
        assert!(sentence.contains("p.db is a SQLite database, but not Plimsoll's"), "{sentence}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let (dir, path) = patched(60, SCHEMA_VERSION + 1).await;
        let sentence = refusal(dir.path(), &at_path(&path, "rw"), access).await;
        assert!(sentence.contains("newer schema"), "{sentence}");
        let db = Db::new().await;
        constraints::execute(&db, "INSERT INTO seaql_migrations VALUES ('m9999_later', 0)").await.expect("inserted");
        db.store.close().await.expect("closed");
        let error = Store::open(&url(&db.dir), access).await.err().expect("refused").to_string();
        assert!(error.contains("newer schema (m9999_later)"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_or_found_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("none.db");
    for (url, access, named) in [
        (at_path(&path, "rw"), Access::ReadWrite, "does not exist"),
        (at_path(&path, "rwc"), Access::ReadOnly, "does not exist"),
        (at_path(&path, "ro"), Access::ReadWrite, "mode=ro"),
        (at_path(&dir.path().join("none/p.db"), "rwc"), Access::ReadWrite, "its directory"),
        (at_path(dir.path(), "rwc"), Access::ReadWrite, "is not a file"),
    ] {
        let sentence = refusal(dir.path(), &url, access).await;
        assert!(sentence.contains(named), "{url}: {sentence}");
    }
}

#[tokio::test]
async fn what_is_read_only_is_refused_even_to_root() {
    let Db { store, dir } = Db::furnished().await;
    store.close().await.expect("closed");
    let path = dir.path().join("p.db");
    set_read_only(&path, true);
    let sentence = refusal(dir.path(), &url(&dir), Access::ReadWrite).await;
    assert!(sentence.contains("p.db is read-only"), "{sentence}");
    set_read_only(&path, false);
    set_read_only(dir.path(), true);
    let sentence = refusal(dir.path(), &url(&dir), Access::ReadWrite).await;
    let new = refusal(dir.path(), &at_path(&dir.path().join("new.db"), "rwc"), Access::ReadWrite).await;
    set_read_only(dir.path(), false);
    assert!(sentence.contains("which is read-only") && new.contains("which is read-only"), "{sentence}\n{new}");
    Store::open(&url(&dir), Access::ReadWrite).await.expect("writable again");
}

fn set_read_only(path: &Path, is_read_only: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if is_read_only { 0o555 } else { 0o755 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

#[tokio::test]
async fn one_process_serves_a_file_and_others_may_look() {
    let db = Db::furnished().await;
    let error = Store::open(&url(&db.dir), Access::ReadWrite).await.err().expect("refused").to_string();
    assert!(error.contains("in use by another process"), "{error}");
    let link = db.dir.path().join("link.db");
    std::os::unix::fs::symlink(db.dir.path().join("p.db"), &link).expect("a link");
    assert!(Store::open(&at_path(&link, "rw"), Access::ReadWrite).await.is_err());
    let onlooker = Store::open(&url(&db.dir), Access::ReadOnly).await.expect("beside it");
    db.tier("ultra").await;
    assert_eq!(onlooker.revision().await, Ok(4));
    let refused = onlooker.run(context(), PutTier { tier: tier("other") }).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    db.store.close().await.expect("closed");
    Store::open(&url(&db.dir), Access::ReadWrite).await.expect("free again");
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_by_a_writer_only() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("p.db"), "").expect("an empty file");
    let sentence = refusal(dir.path(), &url(&dir), Access::ReadOnly).await;
    assert!(sentence.contains("run plimsoll migrate"), "{sentence}");
    let older = at_step(&dir, SCHEMA_VERSION - 1).await;
    older.close().await.expect("closed");
    let error = Store::open(&url(&dir), Access::ReadOnly).await.err().expect("refused").to_string();
    assert!(error.contains("run plimsoll migrate"), "{error}");
    let store = Store::open(&url(&dir), Access::ReadWrite).await.expect("migrated");
    store.ping().await.expect("it answers");
}

#[tokio::test]
async fn a_crash_before_the_first_table_does_not_lock_anybody_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("p.db");
    let vacant = sea_orm::Database::connect(at_path(&path, "rwc")).await.expect("a database");
    vacant.execute_unprepared("PRAGMA journal_mode = WAL").await.expect("a header");
    vacant.close().await.expect("closed");
    assert!(fs::metadata(&path).expect("a file").len() > 0);
    Store::open(&url(&dir), Access::ReadWrite).await.expect("nothing is lost by using it");
}

#[tokio::test]
async fn the_header_says_whose_file_it_is() {
    let Db { store, dir } = Db::new().await;
    store.close().await.expect("closed");
    let bytes = fs::read(dir.path().join("p.db")).expect("read");
    assert_eq!(&bytes[60..64], &SCHEMA_VERSION.to_be_bytes());
    assert_eq!(&bytes[68..72], b"Plim");
    assert!(!dir.path().join("p.db-wal").exists(), "closing leaves one file");
}
