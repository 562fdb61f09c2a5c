//! Revisions: one for each change, without a gap, whoever writes at the same time, and whoever hangs up.

use tokio::sync::oneshot;

use super::super::WriteTx;
use super::super::commands::PutTier;
use super::*;

/// Makes a tier, but only after it was told to go on.
struct Gated {
    entered: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl Command for Gated {
    type Output = ();

    async fn apply(self, tx: &mut WriteTx) -> Result<(), StoreError> {
        self.entered.send(()).ok();
        self.go_on.await.ok();
        PutTier { tier: tier("gated") }.apply(tx).await.map(|_| ())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_leave_no_gap() {
    let db = Db::new().await;
    let mut seen = db.store.committed();
    let writers = (0..16).map(|writer| {
        let store = db.store.clone();
        tokio::spawn(async move {
            for number in 0..8 {
                let command = PutTier { tier: tier(&format!("t{writer}-{number}")) };
                store.run(context(), command).await.expect("written");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let changes = db.store.changes_since(0, 1_000).await.expect("changes");
    assert_eq!(changes.iter().map(|change| change.revision).collect::<Vec<_>>(), (1..=128).collect::<Vec<_>>());
    assert_eq!(*seen.borrow_and_update(), 128);
    assert_eq!(db.store.changes_since(126, 1).await.map(|changes| changes.len()), Ok(1));
}

#[tokio::test]
async fn a_refused_change_takes_no_revision() {
    let db = Db::new().await;
    assert_eq!(paths(db.run(put_org("acme", "none")).await), ["tier"]);
    db.tier("free").await;
    assert_eq!((db.store.revision().await, *db.store.committed().borrow()), (Ok(1), 1));
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let db = Db::new().await;
    let (entered, has_entered) = oneshot::channel();
    let (go, go_on) = oneshot::channel();
    let store = db.store.clone();
    let caller = tokio::spawn(async move { store.run(context(), Gated { entered, go_on }).await });
    has_entered.await.expect("running");
    caller.abort();
    assert!(caller.await.expect_err("hung up").is_cancelled());
    let mut committed = db.store.committed();
    go.send(()).expect("still running");
    committed.wait_for(|revision| *revision == 1).await.expect("committed");
    assert!(db.store.tier(&p("gated")).await.is_ok());
}

#[tokio::test]
async fn a_reopened_store_goes_on_where_it_was() {
    let Db { store, dir } = Db::furnished().await;
    store.close().await.expect("closed");
    let again = Store::open(&url(&dir), Access::ReadWrite).await.expect("reopened");
    assert_eq!((again.revision().await, *again.committed().borrow()), (Ok(3), 3));
    let again = Db { store: again, dir };
    assert_eq!(again.tier("ultra").await.0.revision, 4);
}

#[tokio::test]
async fn a_change_of_a_kind_that_only_a_newer_version_knows_is_told_as_one() {
    let db = Db::new().await;
    db.tier("free").await;
    // As its schema would allow it.
    let newer = "PRAGMA ignore_check_constraints = ON; UPDATE change_log SET object = 'gauge'";
    db.store.0.lane.lock().await.connection.as_ref().expect("a writer").execute_unprepared(newer).await.expect("written");
    let changes = db.store.changes_since(0, 10).await.expect("changes");
    assert_eq!(changes.iter().map(|change| (change.revision, change.object)).collect::<Vec<_>>(), [(1, None)]);
}
