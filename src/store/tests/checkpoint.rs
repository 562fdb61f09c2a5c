//! The log is folded into the database beside whoever writes.

use std::fs;

use super::super::{IdempotentCall, Recorded};
use super::*;

/// Writes a megabyte under one idempotency key.
async fn write(store: &Store, key: u8) {
    let call = IdempotentCall { caller: "key:one".to_owned(), key_hash: [key; 32], fingerprint: [1; 32], seal: None };
    let answer = Recorded { status: 200, body: vec![key; 1 << 20], headers: Vec::new() };
    let mut lane = store.lane().await.expect("a turn");
    lane.keep(&[(&call, &answer)], now()).await.expect("written");
    lane.commit().await.expect("on the disk");
}

/// What the database file alone holds, without the log beside it.
async fn tiers_without_log(db: &Db) -> Option<i64> {
    let alone = tempfile::tempdir().expect("a directory");
    fs::copy(db.dir.path().join("p.db"), alone.path().join("p.db")).expect("copied");
    let store = Store::open(&url(&alone), Access::ReadWrite).await.ok()?;
    Some(count(&store, "SELECT count(*) FROM tier").await)
}

#[tokio::test]
async fn what_was_committed_comes_into_the_database_file() {
    let db = Db::new().await;
    db.tier("free").await;
    db.store.checkpoint().await.expect("folded");
    assert_eq!(tiers_without_log(&db).await, Some(1));
    db.tier("starter").await;
    assert_eq!(tiers_without_log(&db).await, Some(1), "the change itself does not wait for it");
    db.store.checkpoint().await.expect("folded");
    assert_eq!(tiers_without_log(&db).await, Some(2));
    db.store.close().await.expect("closed");
    db.store.checkpoint().await.expect("nothing to do");
    assert!(!db.dir.path().join("p.db-wal").exists());
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever_beside_who_writes_all_the_time() {
    let db = Db::new().await;
    let writer = tokio::spawn({
        let store = db.store.clone();
        async move {
            for key in 0..60 {
                write(&store, key).await;
            }
        }
    });
    while !writer.is_finished() {
        db.store.checkpoint().await.expect("folded");
    }
    writer.await.expect("written");
    let length = fs::metadata(db.dir.path().join("p.db-wal")).expect("a log").len();
    assert!(length < 40 << 20, "{length} bytes");
}
