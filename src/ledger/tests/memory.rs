//! Counters in memory: forgotten and read again, they are what was committed.

use crate::store::commands::{DeleteOrg, PutOrg, PutTier};
use crate::store::{Actor, Command, Expected, TierInfo, WriteContext};

use super::*;

#[tokio::test]
async fn counters_that_memory_has_no_room_for_are_read_again_as_they_are() {
    for capacity in 1..=4 {
        let scene = Scene::with(capacity, PLACES).await;
        let orgs: Vec<String> = (0..40).map(|number| format!("org-{number}")).collect();
        for round in 1..=5 {
            let takings: Vec<_> = orgs.iter().map(|org| consume(org, &seat(4))).collect();
            for (org, answer) in orgs.iter().zip(scene.all(takings).await) {
                let expected = (round <= 4).then_some(round);
                assert_eq!(taken(&answer.expect("an answer")), expected, "{org}, {capacity} in memory");
            }
            for org in &orgs {
                assert_eq!(scene.seen(org, &seat(4)).await, (round.min(4), 0), "{org}, {capacity} in memory");
            }
        }
    }
}

#[tokio::test]
async fn a_counter_that_grows_too_large_for_memory_is_read_again_as_it_is() {
    let scene = Scene::with(1, PLACES).await;
    assert_eq!(scene.take("acme", &seat(100)).await, Some(1));
    for number in 1..=40 {
        scene.reserve(u128::from(number), "acme", &seat(100), 60).await.expect("room");
        assert_eq!(scene.seen("acme", &seat(100)).await, (1, number));
    }
    for number in 1..=40 {
        scene.ledger.run(Operation::Confirm { id: id("acme", u128::from(number)), amount: None }).await.expect("confirmed");
        assert_eq!(scene.seen("acme", &seat(100)).await, (1 + number, 40 - number));
    }
}

#[tokio::test]
async fn what_was_committed_is_what_the_next_start_finds() {
    let scene = Scene::new().await;
    assert_eq!(scene.take("acme", &of(3, &seat(9))).await, Some(3));
    scene.reserve(1, "acme", &of(2, &seat(9)), 60).await.expect("room");
    scene.take_once(1, "acme", &seat(9)).await.expect("an answer");
    let scene = scene.again().await;
    assert_eq!(scene.seen("acme", &seat(9)).await, (4, 2));
    let kept = scene.take_once(1, "acme", &seat(9)).await.expect("an answer");
    assert_eq!((kept.is_replay, kept.recorded.body), (true, b"Some(6)".to_vec()));
    assert_eq!(scene.take("acme", &of(4, &seat(9))).await, None);
    assert_eq!(scene.take("acme", &of(3, &seat(9))).await, Some(9));
}

async fn admin<C: Command>(scene: &Scene, command: C) {
    let context = WriteContext { actor: Actor::CommandLine, now: scene.now(), request_id: None, expected: Expected::default() };
    scene.store.run(context, command).await.expect("done");
}

fn put_org(id: &str) -> PutOrg {
    PutOrg { id: named(id), tier: named("free"), scheduled: Vec::new(), name: String::new(), metadata: serde_json::Map::new() }
}

#[tokio::test]
async fn a_deleted_org_starts_from_nothing_and_no_other_does() {
    let scene = Scene::new().await;
    admin(&scene, PutTier { tier: TierInfo { name: named("free"), display_name: String::new(), description: String::new() } })
        .await;
    for org in ["acme", "other"] {
        admin(&scene, put_org(org)).await;
        assert_eq!(scene.take(org, &of(4, &seat(9))).await, Some(4));
        scene.reserve(1, org, &of(2, &seat(9)), 60).await.expect("room");
    }
    admin(&scene, DeleteOrg { id: named("acme") }).await;
    scene.ledger.settle(&named("acme")).await.expect("settled");
    assert_eq!((scene.seen("acme", &seat(9)).await, scene.seen("other", &seat(9)).await), ((0, 0), (4, 2)));
    admin(&scene, put_org("acme")).await;
    assert_eq!(scene.take("acme", &seat(9)).await, Some(1));
    let confirmed = scene.ledger.run(Operation::Confirm { id: id("acme", 1), amount: None }).await;
    assert_eq!(confirmed, Err(StoreError::NoReservation));
    admin(&scene, DeleteOrg { id: named("acme") }).await;
    // Without anybody waiting for it in between.
    assert_eq!(scene.take("acme", &seat(9)).await, Some(1));
    assert_eq!((scene.stored("acme").await, scene.take("other", &seat(9)).await), (1, Some(7)));
}
