//! The log of changes is swept at its old end only.

use sea_orm::ConnectionTrait;

use super::*;

/// A store whose log has a line at each of these days of November, in this order.
async fn logged(days: &[u8]) -> Db {
    let db = Db::new().await;
    for (number, day) in days.iter().enumerate() {
        let now = at(&format!("2026-11-{day:02}T12:00:00Z"));
        let tier = PutTier { tier: tier(&format!("tier-{number}")) };
        db.store.run(WriteContext { now, ..context() }, tier).await.expect("a tier");
    }
    db
}

async fn left(db: &Db) -> Vec<i64> {
    let sql = "SELECT revision FROM change_log ORDER BY revision";
    let rows = db.store.reader().query_all_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql)).await;
    rows.expect("rows").iter().map(|row| row.try_get_by_index(0).expect("a number")).collect()
}

#[tokio::test]
async fn old_lines_go_in_bounded_steps_and_the_revision_stays() {
    let db = logged(&[1, 2, 3, 4, 5, 20, 21]).await;
    let before = at("2026-11-10T00:00:00Z");
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(db.store.sweep_audit(before, 2).await.expect("swept"));
    }
    assert_eq!(steps, [2, 2, 1, 0]);
    assert_eq!(left(&db).await, [6, 7]);
    assert_eq!(db.store.revision().await, Ok(7));
    db.store.sweep_audit(at("2026-12-01T00:00:00Z"), 10).await.expect("swept");
    assert_eq!(left(&db).await, [7], "the newest stays: it says since when things are as they are");
    assert_eq!(db.tier("next").await.0.revision, 8, "the next change goes on where the last one was");
}

#[tokio::test]
async fn a_clock_that_was_put_back_makes_no_gap_in_the_log() {
    let db = logged(&[1, 20, 2, 3, 21]).await;
    assert_eq!(db.store.sweep_audit(at("2026-11-10T00:00:00Z"), 10).await, Ok(1));
    assert_eq!(left(&db).await, [2, 3, 4, 5], "what is old but behind a younger line waits for it");
}
