//! Housekeeping deletes what it may, in bounded steps, and decides nothing.

use super::*;
use crate::ledger::Swept;

const DAY: i64 = 86_400_000;
const KEPT_DAYS: u32 = 7;

async fn counted(scene: &Scene, table: &str) -> i64 {
    scene.scalar(&format!("SELECT COUNT(*) FROM {table}")).await
}

#[tokio::test]
async fn windows_are_kept_for_their_days_and_counts_for_ever() {
    let scene = Scene::new().await;
    let daily = call_in(Window::Day, 9);
    assert_eq!(scene.take("acme", &seat(9)).await, Some(1));
    let first = noon();
    for days in 0..10 {
        scene.set(first.plus_millis(days * DAY));
        assert_eq!(scene.take("acme", &of(2, &daily)).await, Some(2));
    }
    // The last of these days has begun, so nine have ended; of them, those that ended seven days ago or earlier.
    let swept = scene.ledger.sweep(scene.now(), KEPT_DAYS).await.expect("swept");
    assert_eq!((swept.windows, swept.is_full()), (2, false));
    assert_eq!(scene.scalar("SELECT MIN(window_end) FROM usage").await, at("2026-11-25T00:00:00Z").get());
    assert_eq!(counted(&scene, "usage").await, 9);
    for days in 2..10 {
        scene.set(first.plus_millis(days * DAY));
        assert_eq!(scene.seen("acme", &daily).await, (2, 0));
    }
    let next = scene.ledger.sweep(first.plus_millis(3_650 * DAY), KEPT_DAYS).await.expect("swept");
    assert_eq!((next.windows, counted(&scene, "usage").await), (8, 1));
    assert_eq!(scene.take("acme", &seat(9)).await, Some(2));
}

#[tokio::test]
async fn a_window_that_ends_at_the_limit_goes_and_one_a_millisecond_younger_stays() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &call_in(Window::Day, 9)).await, Some(1));
    let limit = at("2026-11-23T00:00:00Z").plus_millis(i64::from(KEPT_DAYS) * DAY);
    assert_eq!(scene.ledger.sweep(limit.plus_millis(-1), KEPT_DAYS).await.expect("swept").windows, 0);
    assert_eq!(scene.ledger.sweep(limit, KEPT_DAYS).await.expect("swept").windows, 1);
}

#[tokio::test]
async fn a_step_is_bounded_and_others_take_between_two_of_them() {
    let scene = Scene::new().await;
    let orgs: Vec<String> = (0..1_200).map(|number| format!("org-{number}")).collect();
    let daily = call_in(Window::Day, 9);
    scene.all(orgs.iter().map(|org| consume(org, &daily)).collect()).await;
    let mut reservations = Vec::new();
    for (number, org) in (0..).zip(&orgs) {
        reservations.push(Operation::Reserve { id: id(org, number), taking: seat(9), ttl_seconds: 60 });
    }
    scene.all(reservations).await;
    let later = noon().plus_millis(30 * DAY);
    scene.set(later);
    let mut steps = Vec::new();
    loop {
        let swept = scene.ledger.sweep(later, KEPT_DAYS).await.expect("swept");
        steps.push(swept);
        assert!(scene.take("busy", &seat(9)).await.is_some());
        if !swept.is_full() {
            break;
        }
    }
    let expected = [500, 500, 200].map(|rows| Swept { windows: rows, reservations: rows });
    assert_eq!(steps, expected);
    let left = scene.scalar("SELECT COUNT(*) FROM usage WHERE window_end IS NOT NULL").await;
    assert_eq!((left, counted(&scene, "reservation").await), (0, 0));
}

#[tokio::test]
async fn reservations_can_be_looked_up_for_a_day_after_their_end_and_those_that_hold_stay() {
    let scene = Scene::new().await;
    scene.reserve(1, "acme", &seat(9), 60).await.expect("room");
    scene.reserve(2, "acme", &seat(9), 60).await.expect("room");
    scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await.expect("confirmed");
    let end = noon().plus_seconds(60);
    scene.set(end.plus_millis(DAY - 1));
    scene.reserve(3, "acme", &seat(9), 3_600).await.expect("room");
    assert_eq!(scene.ledger.sweep(scene.now(), KEPT_DAYS).await.expect("swept").reservations, 0);
    assert!(scene.ledger.reservation(&id("acme", 1)).await.expect("an answer").is_some());
    scene.set(end.plus_millis(DAY));
    assert_eq!(scene.ledger.sweep(scene.now(), KEPT_DAYS).await.expect("swept").reservations, 2);
    assert_eq!(scene.seen("acme", &seat(9)).await, (1, 1), "what was confirmed is used, and the third holds");
    let gone = scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await;
    assert_eq!(gone, Err(StoreError::NoReservation));
    scene.ledger.run(Operation::Confirm { id: id("acme", 3), amount: None }).await.expect("alive");
}

#[tokio::test]
async fn a_swept_hold_that_memory_still_knows_gives_its_room_back() {
    let scene = Scene::new().await;
    scene.reserve(1, "acme", &of(5, &seat(5)), 60).await.expect("room");
    scene.set(noon().plus_millis(2 * DAY));
    assert_eq!(scene.ledger.sweep(scene.now(), KEPT_DAYS).await.expect("swept").reservations, 1);
    assert_eq!(scene.take("acme", &of(5, &seat(5))).await, Some(5));
    let scene = scene.again().await;
    assert_eq!(scene.seen("acme", &seat(5)).await, (5, 0));
}
