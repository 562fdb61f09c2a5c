//! When API keys were last used.

use super::super::commands::{PatchApiKey, RotateApiKey};
use super::*;
use crate::domain::names::RecordId;

async fn last_used(db: &Db, id: &RecordId) -> Option<UtcMillis> {
    db.store.api_key(id, now()).await.expect("a key").value.last_used_at
}

#[tokio::test]
async fn a_use_is_written_and_is_no_change() {
    let db = Db::new().await;
    let made = db.api_key(1, None, &["read"]).await;
    let id = &made.value.id;
    assert_eq!(made.value.last_used_at, None);
    let lines = count(&db.store, "SELECT count(*) FROM change_log").await;
    db.store.write_uses(vec![(id.clone(), now())]).await.expect("written");
    let used = db.store.api_key(id, now()).await.expect("a key");
    assert_eq!((used.revision, used.updated_at, used.value.last_used_at), (made.revision, made.updated_at, Some(now())));
    assert_eq!(db.store.revision().await, Ok(made.revision));
    assert_eq!(count(&db.store, "SELECT count(*) FROM change_log").await, lines);
    let same =
        PatchApiKey { id: id.clone(), name: None, user: None, scopes: None, expires_at: None, rates: None, revoked: None };
    assert_eq!(db.run(same.clone()).await.expect("nothing to change").revision, made.revision);
    db.run(PatchApiKey { name: Some("new".to_owned()), ..same }).await.expect("patched");
    db.run(RotateApiKey { id: id.clone(), overlap_seconds: 0, secret: secret(2) }).await.expect("rotated");
    assert_eq!(last_used(&db, id).await, Some(now()), "a change of the key leaves it as it is");
    let speaks = "SELECT count(*) FROM change_log WHERE coalesce(before, '') || coalesce(after, '') LIKE '%used%'";
    assert_eq!(count(&db.store, speaks).await, 0, "the log does not speak of it");
}

#[tokio::test]
async fn of_several_uses_the_latest_stays_and_a_key_that_is_gone_spoils_nothing() {
    let db = Db::new().await;
    let (one, other) = (db.api_key(1, None, &[]).await.value.id, db.api_key(2, None, &[]).await.value.id);
    let earlier = now().plus_millis(-1);
    db.store.write_uses(vec![(one.clone(), now()), (other.clone(), earlier)]).await.expect("written");
    db.store.write_uses(vec![(p("key_none"), now()), (one.clone(), earlier), (other.clone(), now())]).await.expect("written");
    assert_eq!((last_used(&db, &one).await, last_used(&db, &other).await), (Some(now()), Some(now())));
    db.store.write_uses(Vec::new()).await.expect("nothing to write");
}

#[tokio::test]
async fn many_uses_are_written_in_few_statements_and_each_to_its_own_key() {
    let db = Db::new().await;
    let mut ids = Vec::new();
    for byte in 0..200 {
        ids.push(db.api_key(byte, None, &[]).await.value.id);
    }
    for batch in [1, 3, 200] {
        let base = now().plus_seconds(batch);
        let at = |place: usize| base.plus_millis(i64::try_from(place).expect("small"));
        let size = usize::try_from(batch).expect("small");
        let uses = ids.iter().take(size).enumerate().map(|(place, id)| (id.clone(), at(place))).collect();
        db.store.write_uses(uses).await.expect("written");
        for (place, id) in ids.iter().take(size).enumerate() {
            assert_eq!(last_used(&db, id).await, Some(at(place)), "{batch}");
        }
    }
}
