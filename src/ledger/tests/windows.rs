//! The clock: forward, backward, across the ends of windows, and holds that expire.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// Moments at which something ends.
const EDGES: [&str; 8] = [
    "2026-11-22T17:06:00Z",
    "2026-11-23T00:00:00Z",
    "2026-12-01T00:00:00Z",
    "2027-01-01T00:00:00Z",
    "2027-03-01T00:00:00Z",
    "2028-02-29T00:00:00Z",
    "2028-03-01T00:00:00Z",
    "2030-12-30T00:00:00Z",
];

/// Where the clock goes: close to an edge, before or after it, or some way on.
fn walks() -> impl Strategy<Value = Vec<(usize, i64, u64)>> {
    let offsets = near(&[-1, 0, 1, -SECOND, SECOND, -MINUTE, -DAY, DAY]);
    prop::collection::vec((0..EDGES.len(), offsets, 1..=5_u64), 1..60)
}

fn near(offsets: &'static [i64]) -> impl Strategy<Value = i64> {
    prop_oneof![prop::sample::select(offsets), -3 * DAY..3 * DAY]
}

/// Follows a clock that jumps, and holds every answer to a sum for each window.
async fn follow(window: Window, max: u64, walk: Vec<(usize, i64, u64)>) {
    let scene = Scene::with(3, PLACES).await;
    let mut sums: HashMap<i64, u64> = HashMap::new();
    for (edge, offset, amount) in walk {
        let now = at(EDGES[edge]).plus_millis(offset);
        scene.set(now);
        let span = window.span(now);
        let sum = sums.entry(span.start.get()).or_default();
        let outcome = scene.ledger.run(consume("acme", &of(amount, &call_in(window, max)))).await.expect("an answer");
        match refusal(outcome) {
            None => *sum += amount,
            Some(refusal) => {
                assert!(*sum + amount > max, "{now}: refused with {sum} of {max} taken");
                let Refusal::QuotaExceeded { retry_after, .. } = refusal else { panic!("{refusal:?}") };
                let length = u64::try_from(span.end.get() - span.start.get()).expect("a length") / 1_000;
                assert!((1..=length).contains(&retry_after), "{now}: after {retry_after} of {length} seconds");
                let again = now.plus_seconds(retry_after);
                assert!(again >= span.end && again.plus_millis(-SECOND) < span.end, "{now}: too early or too late");
            }
        }
        assert!(*sum <= max, "{now}: {sum} in a window of {max}");
        let seen = scene.seen("acme", &call_in(window, max)).await;
        assert_eq!(seen, (*sum, 0), "{now}");
    }
    let total: u64 = sums.values().sum();
    assert_eq!(scene.stored("acme").await, i64::try_from(total).expect("a small number"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn however_the_clock_jumps_no_window_sums_above_its_cap(walk in walks(), max in 1..=12_u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for window in Window::ALL {
            runtime.block_on(follow(window, max, walk.clone()));
        }
    }
}

#[tokio::test]
async fn a_used_up_window_ends_with_its_last_millisecond_and_not_before() {
    for (window, last, next) in [
        (Window::Day, "2026-11-22T23:59:59.999Z", "2026-11-23T00:00:00Z"),
        (Window::Month, "2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00Z"),
        (Window::Month, "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
    ] {
        let scene = Scene::new().await;
        scene.set(at(last));
        let taking = call_in(window, 2);
        assert_eq!(scene.take("acme", &of(2, &taking)).await, Some(2));
        let refused = refusal(scene.ledger.run(consume("acme", &taking)).await.expect("an answer"));
        assert!(matches!(refused, Some(Refusal::QuotaExceeded { retry_after: 1, .. })), "{refused:?}");
        scene.set(at(next));
        assert_eq!(scene.take("acme", &taking).await, Some(1));
        scene.set(at(last));
        assert_eq!(scene.take("acme", &taking).await, None, "what was taken before is still taken");
    }
}

#[tokio::test]
async fn a_hold_that_was_seen_expired_stays_expired_when_the_clock_goes_back() {
    let scene = Scene::new().await;
    scene.reserve(1, "acme", &of(5, &seat(5)), 60).await.expect("room");
    scene.set(noon().plus_millis(MINUTE - 1));
    assert_eq!(scene.take("acme", &seat(5)).await, None, "it holds to the last millisecond");
    scene.set(noon().plus_millis(MINUTE));
    assert_eq!(scene.take("acme", &of(5, &seat(5))).await, Some(5));
    scene.set(noon());
    assert_eq!(scene.seen("acme", &seat(5)).await, (5, 0));
    assert_eq!(scene.take("acme", &seat(5)).await, None);
    let scene = scene.again().await;
    let confirmed = scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await;
    assert!(matches!(confirmed, Err(StoreError::Conflict(_))), "{confirmed:?}");
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &seat(5)).await), (5, (5, 0)));
}

#[tokio::test]
async fn a_hold_that_nobody_saw_expire_may_come_back_with_the_clock_and_the_cap_still_holds() {
    let scene = Scene::new().await;
    scene.reserve(1, "acme", &of(3, &seat(5)), 60).await.expect("room");
    scene.set(noon().plus_millis(2 * MINUTE));
    assert_eq!(scene.seen("acme", &seat(5)).await, (0, 0), "a question changes nothing");
    scene.set(noon());
    assert_eq!((scene.take("acme", &of(3, &seat(5))).await, scene.take("acme", &of(2, &seat(5))).await), (None, Some(5)));
    scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await.expect("it holds again");
    assert_eq!(scene.seen("acme", &seat(5)).await, (5, 0));
}

#[tokio::test]
async fn a_hold_is_confirmed_in_the_window_that_it_was_made_in() {
    let scene = Scene::new().await;
    scene.set(at("2026-11-22T23:59:59Z"));
    let taking = call_in(Window::Day, 5);
    scene.reserve(1, "acme", &of(4, &taking), 60).await.expect("room");
    scene.set(at("2026-11-23T00:00:30Z"));
    assert_eq!(scene.take("acme", &of(5, &taking)).await, Some(5), "the new day is empty");
    scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await.expect("it is alive");
    assert_eq!((scene.stored("acme").await, scene.seen("acme", &taking).await), (9, (5, 0)));
    scene.set(at("2026-11-22T23:59:59Z"));
    assert_eq!((scene.seen("acme", &taking).await, scene.take("acme", &of(2, &taking)).await), ((4, 0), None));
}
