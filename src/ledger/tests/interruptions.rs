//! Outages and panics at the worst moments.

use super::faults::{Fault, inject};
use super::*;

const BEFORE: &str = "before the commit";
const AFTER: &str = "after the commit";

#[tokio::test]
async fn an_outage_before_the_commit_is_answered_to_everybody_and_nothing_has_happened() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &seat(50)).await, Some(1));
    scene.reserve(1, "acme", &seat(50), 60).await.expect("room");
    inject(BEFORE, Fault::Outage);
    let mut operations: Vec<_> = (0..30).map(|_| consume("acme", &seat(50))).collect();
    operations.push(Operation::Reserve { id: id("acme", 2), taking: seat(50), ttl_seconds: 60 });
    operations.push(Operation::Confirm { id: id("acme", 1), amount: None });
    let answers = scene.all(operations).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(50)).await), (1, (1, 1)));
    assert_eq!(scene.ledger.reservation(&id("acme", 2)).await, Ok(None));
    assert_eq!(scene.take("acme", &seat(50)).await, Some(3), "one used, one held, and this one");
}

#[tokio::test]
async fn a_keyed_call_that_met_an_outage_is_done_when_it_is_repeated() {
    let scene = Scene::new().await;
    inject(BEFORE, Fault::Outage);
    assert!(matches!(scene.take_once(1, "acme", &seat(5)).await, Err(StoreError::Unavailable(_))));
    for is_replay in [false, true] {
        let kept = scene.take_once(1, "acme", &seat(5)).await.expect("an answer");
        assert_eq!((kept.is_replay, kept.recorded.body), (is_replay, b"Some(1)".to_vec()));
    }
    assert_eq!(scene.stored("acme").await, 1);
}

#[tokio::test]
async fn after_a_panic_between_commit_and_answer_the_effect_is_there_once() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &seat(50)).await, Some(1));
    inject(AFTER, Fault::Panic);
    let unkeyed = scene.all((0..4).map(|_| consume("acme", &seat(50))).collect());
    let one = seat(50);
    let keyed = join_all([scene.take_once(1, "acme", &one), scene.take_once(2, "other", &one)]);
    let (unkeyed, keyed) = tokio::join!(unkeyed, keyed);
    assert!(unkeyed.iter().all(|answer| matches!(answer, Err(StoreError::Internal(_)))), "{unkeyed:?}");
    assert!(keyed.iter().all(|answer| matches!(answer, Err(StoreError::Internal(_)))));
    // What memory said is read again.
    assert_eq!((scene.seen("acme", &seat(50)).await, scene.seen("other", &seat(50)).await), ((6, 0), (1, 0)));
    for (key, org, body) in [(1, "acme", "Some(6)"), (2, "other", "Some(1)")] {
        let kept = scene.take_once(key, org, &seat(50)).await.expect("an answer");
        assert_eq!((kept.is_replay, kept.recorded.body), (true, body.as_bytes().to_vec()));
    }
    assert_eq!(scene.take("acme", &seat(50)).await, Some(7));
    assert_eq!((scene.stored("acme").await, scene.stored("other").await), (7, 1));
}

#[tokio::test]
async fn after_a_panic_before_the_commit_nothing_has_happened_and_the_writer_goes_on() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        inject(BEFORE, Fault::Panic);
        let answers = scene.all((0..4).map(|_| consume("acme", &seat(50))).collect()).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Internal(_)))), "{answers:?}");
        assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(50)).await), (0, (0, 0)));
    }
    assert!(!scene.take_once(1, "acme", &seat(50)).await.expect("an answer").is_replay);
    assert_eq!(scene.seen("acme", &seat(50)).await, (1, 0));
}

#[tokio::test]
async fn a_commit_that_fails_undoes_everything_and_is_not_tried_again() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &seat(50)).await, Some(1));
    // A constraint that is only looked at by the commit itself.
    scene
        .execute(
            "CREATE TABLE parent (id TEXT PRIMARY KEY); \
             CREATE TABLE child (id TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED); \
             CREATE TRIGGER late AFTER UPDATE ON usage BEGIN INSERT INTO child VALUES ('orphan'); END",
        )
        .await;
    let before = faults::reached(BEFORE);
    let answers = scene.all((0..3).map(|_| consume("acme", &seat(50))).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Internal(_)))), "{answers:?}");
    assert_eq!(faults::reached(BEFORE) - before, 1, "its outcome might not be known");
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(50)).await), (1, (1, 0)));
    scene.execute("DROP TRIGGER late").await;
    assert_eq!(scene.take("acme", &seat(50)).await, Some(2));
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_costs_one_batch_and_no_more() {
    let scene = Scene::new().await;
    let render: Render = Box::new(|_| panic!("an answer that cannot be written"));
    let failed = scene.ledger.run_once(consume("acme", &seat(5)), call(1), None, render).await;
    assert!(matches!(failed, Err(StoreError::Internal(_))));
    let kept = scene.take_once(1, "acme", &seat(5)).await.expect("an answer");
    assert_eq!((kept.is_replay, scene.stored("acme").await), (false, 1));
}
