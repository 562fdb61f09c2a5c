//! Many callers in one transaction, the queue before it, and its end.

use futures_util::FutureExt;
use tokio::task::unconstrained;

use super::faults::{Fault, inject, reached};
use super::*;

#[tokio::test]
async fn what_has_queued_up_is_committed_in_one_transaction_and_judged_one_by_one() {
    let scene = Scene::new().await;
    let answers = scene.all((0..100).map(|_| consume("acme", &seat(60))).collect()).await;
    assert_eq!(reached("before the commit"), 1);
    let currents: Vec<_> = answers.iter().map(|answer| taken(answer.as_ref().expect("an answer"))).collect();
    let expected: Vec<_> = (1..=100).map(|number| (number <= 60).then_some(number)).collect();
    assert_eq!(currents, expected);
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(60)).await), (60, (60, 0)));
}

#[tokio::test]
async fn more_than_one_batch_of_operations_on_many_counters_is_answered_to_the_last() {
    let scene = Scene::new().await;
    let orgs: Vec<String> = (0..3_000).map(|number| format!("org-{}", number % 700)).collect();
    let answers = scene.all(orgs.iter().map(|org| consume(org, &seat(5))).collect()).await;
    assert_eq!(answers.len(), 3_000);
    assert!(answers.iter().all(|answer| taken(answer.as_ref().expect("an answer")).is_some()));
    assert_eq!(scene.scalar("SELECT SUM(used) FROM usage").await, 3_000);
    assert!((24..60).contains(&reached("before the commit")), "{} transactions", reached("before the commit"));
}

#[tokio::test]
async fn a_statement_that_fails_fails_its_own_operation_alone() {
    let scene = Scene::new().await;
    scene
        .execute("CREATE TRIGGER guilty BEFORE INSERT ON usage WHEN NEW.org = 'guilty' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    let orgs = ["one", "guilty", "two", "guilty", "three"];
    let answers = scene.all(orgs.iter().map(|org| consume(org, &seat(5))).collect()).await;
    for (org, answer) in orgs.iter().zip(&answers) {
        match answer {
            Ok(outcome) => assert_eq!((*org != "guilty", taken(outcome)), (true, Some(1)), "{org}"),
            Err(error) => assert!(*org == "guilty" && matches!(error, StoreError::Internal(_)), "{org}: {error}"),
        }
        assert_eq!(scene.stored(org).await, i64::from(*org != "guilty"));
    }
    assert_eq!(scene.seen("guilty", &seat(5)).await, (0, 0));
    scene.execute("DROP TRIGGER guilty").await;
    assert_eq!(scene.take("guilty", &seat(5)).await, Some(1));
}

#[tokio::test]
async fn a_batch_that_fails_and_whose_operations_do_not_is_done_once() {
    let scene = Scene::new().await;
    inject("before the commit", Fault::Statement);
    let answers = scene.all((0..20).map(|_| consume("acme", &seat(15))).collect()).await;
    let granted = answers.iter().filter(|answer| taken(answer.as_ref().expect("an answer")).is_some()).count();
    assert_eq!((granted, scene.stored("acme").await), (15, 15));
}

#[tokio::test]
async fn a_transaction_that_the_database_itself_ends_is_followed_by_others() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &seat(5)).await, Some(1));
    scene.execute("CREATE TRIGGER full BEFORE INSERT ON usage BEGIN SELECT RAISE(ROLLBACK, 'as a full disk would'); END").await;
    for _ in 0..5 {
        let answers = scene.all((0..3).map(|_| consume("acme", &seat(5))).collect()).await;
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
    }
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(5)).await), (1, (1, 0)));
    scene.execute("DROP TRIGGER full").await;
    assert_eq!(scene.take("acme", &seat(5)).await, Some(2));
    assert_eq!(scene.stored("acme").await, 2, "what was acknowledged is on disk");
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_and_nobody_else_suffers() {
    let scene = Scene::with(ROOMY, 4).await;
    // Nobody yields to the writer between them, so that the fifth finds no place.
    let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(scene.ledger.run(consume("acme", &seat(100))))).collect();
    let at_once: Vec<_> = waiting.iter_mut().map(|caller| caller.as_mut().now_or_never()).collect();
    assert!(at_once[..4].iter().all(Option::is_none));
    assert!(at_once[4..].iter().all(|answer| matches!(answer, Some(Err(StoreError::Unavailable(_))))), "{at_once:?}");
    for (place, caller) in waiting.into_iter().take(4).enumerate() {
        assert_eq!(taken(&caller.await.expect("an answer")), Some(place as u64 + 1));
    }
    assert_eq!(scene.take("acme", &seat(100)).await, Some(5), "there is room again");
}

#[tokio::test]
async fn a_call_that_finds_the_queue_full_may_be_repeated_with_its_key() {
    let scene = Scene::with(ROOMY, 1).await;
    let mut first = Box::pin(scene.ledger.run(consume("acme", &seat(9))));
    assert!(first.as_mut().now_or_never().is_none());
    let refused = scene.take_once(1, "acme", &seat(9)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    first.await.expect("an answer");
    assert!(!scene.take_once(1, "acme", &seat(9)).await.expect("an answer").is_replay);
    assert_eq!(scene.stored("acme").await, 2);
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let scene = Scene::new().await;
    for _ in 0..7 {
        let caller = scene.ledger.run(consume("acme", &seat(100)));
        assert!(Box::pin(caller).as_mut().now_or_never().is_none(), "it waits, and then it is gone");
    }
    let one = seat(100);
    assert!(Box::pin(scene.take_once(1, "acme", &one)).as_mut().now_or_never().is_none());
    let meanwhile = scene.take_once(1, "acme", &seat(100)).await;
    assert!(matches!(meanwhile, Err(StoreError::IdempotencyInProgress)), "the first goes on without its caller");
    scene.ledger.settle(&named("acme")).await.expect("settled");
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(100)).await), (8, (8, 0)));
    let kept = scene.take_once(1, "acme", &seat(100)).await.expect("an answer");
    assert_eq!((kept.is_replay, kept.recorded.body), (true, b"Some(8)".to_vec()));
}

#[tokio::test]
async fn closing_answers_what_is_queued_and_refuses_what_comes_later() {
    let scene = Scene::new().await;
    let mut queued: Vec<_> = (0..2_500).map(|_| Box::pin(scene.ledger.run(consume("acme", &seat(2_000))))).collect();
    assert!(queued.iter_mut().all(|caller| caller.as_mut().now_or_never().is_none()));
    scene.ledger.close().await;
    let mut granted = 0;
    for caller in queued {
        let answer = unconstrained(caller).now_or_never().expect("answered before the end").expect("an outcome");
        granted += i64::from(taken(&answer).is_some());
    }
    assert_eq!((granted, scene.stored("acme").await), (2_000, 2_000));
    let late = scene.ledger.run(consume("acme", &seat(5_000))).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    scene.ledger.close().await;
    assert_eq!(scene.again().await.take("acme", &seat(5_000)).await, Some(2_001));
}
