//! The record of answers: found again wherever they are, for 24 hours, and not longer than that.

use super::super::StoreSettings;
use super::super::seal::seal;
use super::super::{AnswerSizes, IdempotentCall, Recall, Recorded, Swept};
use super::*;

/// Small enough that a few answers fill memory.
const SMALL: AnswerSizes = AnswerSizes { per_caller: 1_000, per_segment: 10 };

fn call(key: u32) -> IdempotentCall {
    let mut key_hash = [3; 32];
    // Spread as the hashes of keys are.
    key_hash[..8].copy_from_slice(&u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    IdempotentCall { caller: "key:one".to_owned(), key_hash, fingerprint: [1; 32], seal: None }
}

fn answer(body: &str) -> Recorded {
    Recorded { status: 200, body: body.as_bytes().to_vec(), headers: Vec::new() }
}

fn hours(hours: u64) -> UtcMillis {
    now().plus_seconds(hours * 3_600)
}

async fn small(sizes: AnswerSizes) -> Db {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open_with(&url(&dir), Access::ReadWrite, StoreSettings { answers: sizes, ..StoreSettings::default() })
        .await
        .expect("a new database");
    Db { store, dir }
}

/// As a crash leaves it: nothing is closed.
async fn reopened(db: Db, sizes: AnswerSizes) -> Db {
    let Db { store, dir } = db;
    let lane = store.lane().await.expect("nobody else writes");
    drop((lane, store));
    let store = Store::open_with(&url(&dir), Access::ReadWrite, StoreSettings { answers: sizes, ..StoreSettings::default() })
        .await
        .expect("the database");
    Db { store, dir }
}

async fn recall(db: &Db, calls: &[IdempotentCall], now: UtcMillis) -> Vec<Recall> {
    let mut lane = db.store.lane().await.expect("a turn");
    let known = lane.recall(&calls.iter().collect::<Vec<_>>(), now).await.expect("known");
    lane.rollback().await.expect("undone");
    known
}

async fn keep(db: &Db, answers: &[(IdempotentCall, Recorded)], now: UtcMillis) {
    let mut lane = db.store.lane().await.expect("a turn");
    lane.keep(&answers.iter().map(|(call, answer)| (call, answer)).collect::<Vec<_>>(), now).await.expect("kept");
    lane.commit().await.expect("on the disk");
}

/// Keeps an answer to each of these keys, which tells the key.
async fn keep_keys(db: &Db, keys: std::ops::Range<u32>, now: UtcMillis) {
    let answers: Vec<_> = keys.map(|key| (call(key), answer(&key.to_string()))).collect();
    keep(db, &answers, now).await;
}

async fn settle(db: &Db) -> usize {
    let mut segments = 0;
    while db.store.settle_answers().await.expect("settled") {
        segments += 1;
    }
    segments
}

async fn sweep(db: &Db, now: UtcMillis, max_rows: u32) -> Vec<u64> {
    let mut steps = Vec::new();
    loop {
        let Swept { deleted, is_done } = db.store.sweep_answers(now, max_rows).await.expect("swept");
        if is_done {
            return steps;
        }
        steps.push(deleted);
    }
}

async fn all_answered(db: &Db, keys: std::ops::Range<u32>, now: UtcMillis) {
    let calls: Vec<_> = keys.clone().map(call).collect();
    for (key, known) in keys.zip(recall(db, &calls, now).await) {
        assert_eq!(known, Recall::Answered(answer(&key.to_string())), "{key}");
    }
}

async fn all_new(db: &Db, keys: std::ops::Range<u32>, now: UtcMillis) {
    let calls: Vec<_> = keys.map(call).collect();
    assert!(recall(db, &calls, now).await.iter().all(|known| *known == Recall::New));
}

#[tokio::test]
async fn answers_are_found_in_memory_in_segments_and_after_a_crash() {
    let db = small(SMALL).await;
    for first in (0..90).step_by(9) {
        keep_keys(&db, first..first + 9, now()).await;
    }
    keep_keys(&db, 90..95, now()).await;
    all_answered(&db, 0..95, hours(1)).await;
    assert_eq!(settle(&db).await, 9);
    assert_eq!(count(&db.store, "SELECT count(*) FROM answer_segment_part").await, 9 * 64);
    all_answered(&db, 0..95, hours(1)).await;
    all_new(&db, 95..200, hours(1)).await;
    let db = reopened(db, SMALL).await;
    all_answered(&db, 0..95, hours(1)).await;
    all_new(&db, 95..200, hours(1)).await;
    keep_keys(&db, 95..130, hours(1)).await;
    let db = reopened(db, SMALL).await;
    assert_eq!(settle(&db).await, 4, "what was full at the crash is settled after it");
    all_answered(&db, 0..130, hours(2)).await;
}

#[tokio::test]
async fn a_crash_before_a_segment_is_finished_loses_nothing() {
    let db = small(SMALL).await;
    keep_keys(&db, 0..25, now()).await;
    assert_eq!(settle(&db).await, 2);
    constraints::execute(&db, "DELETE FROM answer_segment WHERE id = 2").await.expect("as before its last step");
    constraints::execute(&db, "UPDATE answer_segment_part SET places = x'00' WHERE id >= 128").await.expect("half written");
    let db = reopened(db, SMALL).await;
    all_answered(&db, 0..25, now()).await;
    assert_eq!(settle(&db).await, 1);
    let db = reopened(db, SMALL).await;
    all_answered(&db, 0..25, now()).await;
}

#[tokio::test]
async fn memory_says_when_it_is_full() {
    let db = small(SMALL).await;
    keep_keys(&db, 0..9, now()).await;
    let waiting = tokio::spawn({
        let store = db.store.clone();
        async move { store.answers_are_full().await }
    });
    assert!(!db.store.settle_answers().await.expect("nothing to do"));
    assert!(!waiting.is_finished());
    keep_keys(&db, 9..10, now()).await;
    waiting.await.expect("told");
    let db = reopened(db, SMALL).await;
    db.store.answers_are_full().await;
    assert!(db.store.settle_answers().await.expect("settled"));
}

#[tokio::test]
async fn what_is_undone_is_not_remembered() {
    let db = small(SMALL).await;
    let mut lane = db.store.lane().await.expect("a turn");
    lane.keep(&[(&call(1), &answer("1"))], now()).await.expect("written");
    assert_eq!(lane.recall(&[&call(1)], now()).await, Ok(vec![Recall::New]), "memory follows the commit only");
    lane.rollback().await.expect("undone");
    let mut lane = db.store.lane().await.expect("a turn");
    lane.keep(&[(&call(2), &answer("2"))], now()).await.expect("written");
    drop(lane);
    all_new(&db, 0..3, now()).await;
    keep_keys(&db, 3..4, now()).await;
    all_answered(&db, 3..4, now()).await;
    assert_eq!(count(&db.store, "SELECT records FROM answer_count").await, 1);
}

#[tokio::test]
async fn a_commit_that_nobody_waited_for_is_found_out_about() {
    let db = small(SMALL).await;
    for key in 0..40 {
        let mut lane = db.store.lane().await.expect("a turn");
        lane.keep(&[(&call(key), &answer(&key.to_string()))], now()).await.expect("written");
        tokio::select! {
            biased;
            done = lane.commit() => done.expect("on the disk"),
            () = std::future::ready(()) => {}
        }
        let mut lane = db.store.lane().await.expect("the next turn");
        let known = lane.recall(&[&call(key)], now()).await.expect("known").pop().expect("one");
        lane.rollback().await.expect("undone");
        let rows = count(&db.store, &format!("SELECT count(*) FROM answer WHERE body = CAST('{key}' AS BLOB)")).await;
        let expected = if rows == 0 { Recall::New } else { Recall::Answered(answer(&key.to_string())) };
        assert_eq!(known, expected, "{key}");
    }
}

#[tokio::test]
async fn each_caller_is_bounded_and_told_when_to_come_again() {
    let sizes = AnswerSizes { per_caller: 3, ..SMALL };
    let db = small(sizes).await;
    let other = |key| IdempotentCall { caller: "key:two".to_owned(), ..call(key) };
    keep(&db, &[(other(9), answer("9"))], hours(0)).await;
    keep_keys(&db, 0..1, hours(1)).await;
    let calls: Vec<_> = (0..5).map(call).chain([other(1)]).collect();
    let refused = |retry_after| Recall::Refused(StoreError::TooManyAnswers { retry_after });
    let (full, new) = (refused(86_400), Recall::New);
    let expected = [Recall::Answered(answer("0")), new.clone(), new.clone(), full.clone(), full, new.clone()];
    assert_eq!(recall(&db, &calls, hours(1)).await, expected, "there is room for two more");
    keep_keys(&db, 1..3, hours(2)).await;
    assert_eq!(recall(&db, &calls[3..], hours(3)).await, [refused(22 * 3_600), refused(22 * 3_600), new.clone()]);
    all_answered(&db, 0..3, hours(3)).await;
    let db = reopened(db, sizes).await;
    assert_eq!(recall(&db, &calls[3..4], hours(25)).await, [refused(1)], "until it is swept");
    assert_eq!(sweep(&db, hours(25), 100).await, [2]);
    assert_eq!(recall(&db, &calls[3..5], hours(25)).await, [new, refused(3_600)]);
    assert_eq!(sweep(&db, hours(26), 100).await, [2]);
    assert_eq!(count(&db.store, "SELECT count(*) FROM answer_count").await, 0, "who has no answers is forgotten");
}

#[tokio::test]
async fn a_sweep_goes_on_in_bounded_steps_and_takes_segments_with_it() {
    let db = small(SMALL).await;
    keep_keys(&db, 0..35, hours(0)).await;
    keep_keys(&db, 35..48, hours(5)).await;
    settle(&db).await;
    assert_eq!(sweep(&db, hours(23), 20).await, [0_u64; 0]);
    assert_eq!(sweep(&db, hours(24), 20).await, [20, 15, 0, 0, 0], "and three segments are outlived");
    assert_eq!(count(&db.store, "SELECT records FROM answer_count").await, 13);
    assert_eq!(count(&db.store, "SELECT count(*) FROM answer_segment_part").await, 64);
    all_new(&db, 0..35, hours(24)).await;
    all_answered(&db, 35..48, hours(24)).await;
    let db = reopened(db, SMALL).await;
    all_answered(&db, 35..48, hours(24)).await;
    assert_eq!(sweep(&db, hours(29), 20).await, [13, 0]);
    keep_keys(&db, 0..12, hours(29)).await;
    let db = reopened(db, SMALL).await;
    all_answered(&db, 0..12, hours(29)).await;
    all_new(&db, 12..48, hours(29)).await;
}

#[tokio::test]
async fn answers_from_a_clock_that_was_put_back_do_not_stop_the_sweep() {
    let db = small(SMALL).await;
    keep_keys(&db, 0..25, hours(1_000)).await;
    keep_keys(&db, 25..30, hours(0)).await;
    settle(&db).await;
    assert_eq!(sweep(&db, hours(24), 10).await, [0, 0, 5]);
    all_answered(&db, 0..25, hours(24)).await;
    all_new(&db, 25..30, hours(24)).await;
}

#[tokio::test]
async fn an_answer_from_before_the_upgrade_is_still_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let older = at_step(&dir, 6).await;
    let sealed = IdempotentCall { seal: Some([7; 32]), ..call(1) };
    let context = [sealed.caller.as_bytes(), &sealed.key_hash, &sealed.fingerprint].concat();
    let body = seal(&[7; 32], &context, b"plm_secret").expect("sealed");
    for (key, etag, made) in [(1, Some("\"5\""), hours(1)), (2, None, hours(0)), (3, None, hours(2))] {
        let key_hash = call(key).key_hash.to_vec();
        let (fingerprint, status, etag) = ([1_u8; 32].to_vec(), 201, etag.map(str::to_owned));
        let values: [sea_orm::Value; 7] = [
            sealed.caller.clone().into(),
            key_hash.into(),
            fingerprint.into(),
            status.into(),
            body.clone().into(),
            etag.into(),
            made.get().into(),
        ];
        let insert = "INSERT INTO idempotency (caller, key_hash, fingerprint, status, sealed_body, etag, created_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?)";
        let insert = Statement::from_sql_and_values(DbBackend::Sqlite, insert, values);
        older.execute_raw(insert).await.expect("inserted");
    }
    older.close().await.expect("closed");
    let store = Store::open(&url(&dir), Access::ReadWrite).await.expect("brought up to date");
    let db = Db { store, dir };
    let headers = vec![("ETag".to_owned(), "\"5\"".to_owned())];
    let kept = Recorded { status: 201, body: b"plm_secret".to_vec(), headers };
    assert_eq!(recall(&db, std::slice::from_ref(&sealed), hours(24)).await, [Recall::Answered(kept)]);
    assert_eq!(recall(&db, &[call(2)], hours(24)).await, [Recall::New], "its time is over");
    let reused = Recall::Refused(StoreError::IdempotencyKeyReused);
    assert_eq!(recall(&db, &[call(3)], hours(24)).await, [reused], "it was sealed, and nobody shows a key");
    assert_eq!(count(&db.store, "SELECT records FROM answer_count").await, 3);
    assert_eq!(sweep(&db, hours(24), 10).await, [1]);
    assert_eq!(count(&db.store, "SELECT count(*) FROM sqlite_master WHERE name = 'idempotency'").await, 0);
}

#[tokio::test]
async fn an_answer_without_a_secret_is_given_whatever_the_credential() {
    let db = small(SMALL).await;
    let headers = vec![("Retry-After".to_owned(), "7".to_owned()), ("X-Note".to_owned(), "a: b".to_owned())];
    let told = Recorded { headers, ..answer("one") };
    keep(&db, &[(call(1), told.clone())], now()).await;
    let with_key = IdempotentCall { seal: Some([9; 32]), ..call(1) };
    assert_eq!(recall(&db, &[call(1), with_key], now()).await, [Recall::Answered(told.clone()), Recall::Answered(told)]);
    let other = IdempotentCall { fingerprint: [2; 32], ..call(1) };
    assert_eq!(recall(&db, &[other], now()).await, [Recall::Refused(StoreError::IdempotencyKeyReused)]);
}

#[tokio::test]
async fn two_that_settle_at_once_lose_nothing() {
    let db = small(SMALL).await;
    keep_keys(&db, 0..35, now()).await;
    let (one, two) = tokio::join!(db.store.settle_answers(), db.store.settle_answers());
    assert_eq!((one, two), (Ok(true), Ok(true)));
    all_answered(&db, 0..35, now()).await;
    settle(&db).await;
    all_answered(&db, 0..35, now()).await;
    assert_eq!(count(&db.store, "SELECT count(*) FROM answer_segment").await, 3);
}

#[tokio::test]
async fn of_two_answers_to_one_call_the_later_is_given_when_the_clock_was_put_back() {
    let db = small(SMALL).await;
    keep(&db, &[(call(1), answer("first"))], hours(0)).await;
    assert_eq!(recall(&db, &[call(1)], hours(24)).await, [Recall::New]);
    keep(&db, &[(call(1), answer("second"))], hours(24)).await;
    assert_eq!(recall(&db, &[call(1)], hours(12)).await, [Recall::Answered(answer("second"))]);
}
