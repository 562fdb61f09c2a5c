//! Requests that come again.

use tokio::sync::oneshot;

use super::super::commands::PutTier;
use super::super::{Executed, IdempotentCall, Object, Recorded, WriteTx};
use super::*;

fn call(key: u8) -> IdempotentCall {
    IdempotentCall { caller: "key_1".to_owned(), key_hash: [key; 32], fingerprint: [1; 32], seal: Some([7; 32]) }
}

fn later(hours: u64) -> WriteContext {
    WriteContext { now: now().plus_seconds(hours.saturating_mul(3_600)), ..context() }
}

fn recorded(body: &str) -> Recorded {
    Recorded { status: 201, body: body.as_bytes().to_vec(), headers: vec![("ETag".to_owned(), "\"1\"".to_owned())] }
}

/// Makes a tier and answers its revision.
async fn make(db: &Db, context: WriteContext, call: IdempotentCall, name: &str) -> Result<Executed<()>, StoreError> {
    let executed = db.store.run_once(context, call, PutTier { tier: tier(name) }, |result| {
        Some(recorded(&result.map_or_else(ToString::to_string, |written| written.revision.to_string())))
    });
    Ok(match executed.await? {
        Executed::Replayed(recorded) => Executed::Replayed(recorded),
        Executed::Fresh { result, recorded } => {
            let result = result.map(|Written { revision, .. }| Written { output: (), revision });
            Executed::Fresh { result, recorded }
        }
    })
}

fn fresh(revision: u64) -> Result<Executed<()>, StoreError> {
    let recorded = Some(recorded(&revision.to_string()));
    Ok(Executed::Fresh { result: Ok(Written { output: (), revision }), recorded })
}

fn replayed(revision: u64) -> Result<Executed<()>, StoreError> {
    Ok(Executed::Replayed(recorded(&revision.to_string())))
}

#[tokio::test]
async fn a_repeated_call_is_answered_again_for_24_hours_and_does_nothing() {
    let db = Db::new().await;
    assert_eq!(make(&db, context(), call(1), "a").await, fresh(1));
    assert_eq!(make(&db, later(23), call(1), "b").await, replayed(1));
    assert_eq!(make(&db, context(), call(2), "b").await, fresh(2));
    let other_caller = IdempotentCall { caller: "key_2".to_owned(), ..call(1) };
    assert_eq!(make(&db, context(), other_caller, "c").await, fresh(3));
    assert_eq!(make(&db, later(24), call(1), "d").await, fresh(4));
    assert_eq!(db.store.revision().await, Ok(4));
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let db = Db::new().await;
    assert_eq!(make(&db, context(), call(1), "a").await, fresh(1));
    let other_body = IdempotentCall { fingerprint: [2; 32], ..call(1) };
    assert_eq!(make(&db, context(), other_body, "b").await, Err(StoreError::IdempotencyKeyReused));
    let other_secret = IdempotentCall { seal: Some([8; 32]), ..call(1) };
    assert_eq!(make(&db, context(), other_secret, "b").await, Err(StoreError::IdempotencyKeyReused));
    assert_eq!(db.store.revision().await, Ok(1));
}

/// Makes a tier and then fails.
struct Failing(StoreError);

impl Command for Failing {
    type Output = ();

    async fn apply(self, tx: &mut WriteTx) -> Result<(), StoreError> {
        PutTier { tier: tier("undone") }.apply(tx).await?;
        Err(self.0)
    }
}

#[tokio::test]
async fn a_refusal_is_kept_while_its_effects_are_undone_and_a_failure_is_not_kept() {
    let db = Db::new().await;
    let refusal = StoreError::Conflict("No".to_owned());
    let run = async |error: &StoreError| {
        let render = |result: Result<&Written<()>, &StoreError>| Some(recorded(&result.expect_err("refused").to_string()));
        db.store.run_once(context(), call(1), Failing(error.clone()), render).await
    };
    let failure = StoreError::Internal("Broken".to_owned());
    assert_eq!(run(&failure).await, Err(failure));
    let first = Executed::Fresh { result: Err(refusal.clone()), recorded: Some(recorded("No")) };
    assert_eq!(run(&refusal).await, Ok(first));
    assert_eq!(run(&refusal).await, Ok(Executed::Replayed(recorded("No"))));
    assert_eq!(db.store.tier(&p("undone")).await, Err(StoreError::NotFound(Object::Tier)));
    assert_eq!(db.store.revision().await, Ok(0));
}

#[tokio::test]
async fn what_is_not_rendered_is_done_and_not_kept() {
    let db = Db::new().await;
    for revision in [1, 1] {
        let executed = db.store.run_once(context(), call(1), PutTier { tier: tier("a") }, |_| None).await.expect("done");
        assert!(matches!(executed, Executed::Fresh { result: Ok(written), recorded: None } if written.revision == revision));
    }
}

/// Waits until it is told to go on.
struct Waiting(oneshot::Sender<()>, oneshot::Receiver<()>);

impl Command for Waiting {
    type Output = ();

    async fn apply(self, _: &mut WriteTx) -> Result<(), StoreError> {
        self.0.send(()).ok();
        self.1.await.ok();
        Ok(())
    }
}

#[tokio::test]
async fn while_the_first_call_runs_others_are_told_so_also_after_its_caller_hung_up() {
    let db = Db::new().await;
    let (entered, has_entered) = oneshot::channel();
    let (go, go_on) = oneshot::channel();
    let store = db.store.clone();
    let render = |_: Result<&Written<()>, &StoreError>| Some(recorded("1"));
    let first = async move { store.run_once(context(), call(1), Waiting(entered, go_on), render).await };
    let caller = tokio::spawn(first);
    has_entered.await.expect("running");
    caller.abort();
    caller.await.expect_err("hung up");
    assert_eq!(make(&db, context(), call(1), "a").await, Err(StoreError::IdempotencyInProgress));
    let other_body = IdempotentCall { fingerprint: [2; 32], ..call(1) };
    assert_eq!(make(&db, context(), other_body, "a").await, Err(StoreError::IdempotencyKeyReused));
    go.send(()).expect("still running");
    // The next change waits for the first: there is one writer.
    db.tier("next").await;
    assert_eq!(make(&db, context(), call(1), "a").await, replayed(1));
}
