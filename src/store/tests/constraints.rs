//! The schema repeats the invariants: even a statement that bypasses the program cannot break them.

use sea_orm::{ConnectionTrait, DbErr};

use super::*;

pub(super) async fn execute(db: &Db, sql: &str) -> Result<(), DbErr> {
    db.store.0.lane.lock().await.connection.as_ref().expect("a writer").execute_unprepared(sql).await.map(|_| ())
}

/// A database with one of everything.
async fn full() -> Db {
    let db = Db::furnished().await;
    db.max("free", "seats", 5).await.expect("a value");
    db.api_key(1, Some("acme"), &["read"]).await;
    db
}

#[tokio::test]
async fn the_schema_refuses_what_cannot_be() {
    let db = full().await;
    let impossible = [
        "UPDATE limit_key SET kind = 'other'",
        "UPDATE limit_key SET kind = 'quota'",
        "UPDATE limit_key SET kind = 'feature'",
        "UPDATE limit_key SET value_form = 'days'",
        "UPDATE limit_key SET default_value = -1",
        "UPDATE limit_key SET default_value = 9007199254740992",
        "UPDATE limit_key SET window_seconds = 60",
        "UPDATE limit_key SET replacement = 'seats', archived_at = 1",
        "UPDATE limit_key SET replacement = 'none', archived_at = 1",
        "UPDATE limit_key SET revision = 0",
        "UPDATE tier_limit SET value = -1",
        "UPDATE tier_limit SET value_form = 'min'",
        "UPDATE tier_limit SET limit_key = 'none'",
        "UPDATE org SET tier = 'none'",
        "UPDATE org SET ban_reason = 'no ban'",
        "UPDATE api_key SET org = 'none'",
        "UPDATE api_key_secret SET hash = x'00'",
        "UPDATE catalogue_revision SET value = -1",
        "INSERT INTO catalogue_revision VALUES (2, 0)",
        "UPDATE change_log SET object = 'other'",
        "UPDATE change_log SET actor_kind = 'apiKey'",
        "INSERT INTO scope (name, description, created_at, updated_at, revision) VALUES ('read', '', 0, 0, 1)",
        "DELETE FROM tier",
        "DELETE FROM limit_key",
        "INSERT INTO org_schedule VALUES ('acme', 1, 'none', 0)",
        "INSERT INTO org_schedule VALUES ('none', 1, 'free', 0)",
        "INSERT INTO org_schedule VALUES ('acme', 1, 'free', 2)",
        "INSERT INTO tier_limit_schedule VALUES ('free', 'none', 1, 'max', 2)",
        "INSERT INTO tier_limit_schedule VALUES ('free', 'seats', 1, 'enabled', 1)",
        "INSERT INTO tier_limit_schedule VALUES ('free', 'seats', 1, 'max', -1)",
        "INSERT INTO org_override VALUES (0, 0, 1, 'acme', 'o', 'seats', 'set', 'enabled', 2, '', 0, NULL, 0)",
    ];
    for sql in impossible {
        let error = execute(&db, sql).await.expect_err(sql).to_string();
        assert!(error.contains("constraint failed"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_belongs_to_a_record_goes_with_it() {
    let db = full().await;
    execute(&db, "DELETE FROM org").await.expect("deleted");
    assert_eq!(db.store.api_key_by_hash(&[1; 32], now()).await, Ok(None));
    assert_eq!(db.store.has_api_keys().await, Ok(false));
    execute(&db, "DELETE FROM tier").await.expect("no org has it");
    assert!(db.store.tier_limit(&p("free"), &p("seats")).await.is_err());
}

#[tokio::test]
async fn a_value_that_somebody_else_wrote_is_not_believed() {
    let db = full().await;
    execute(&db, "UPDATE api_key SET name = 'x', id = 'a b' WHERE 0").await.expect("nothing");
    execute(&db, "UPDATE org SET metadata = 'not JSON'").await.expect("text");
    assert!(matches!(db.store.org(&p("acme")).await, Err(StoreError::Internal(_))));
}
