//! Many callers of three processes at the same counters.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::{patient, watchful};
use crate::harness::Plimsoll;
use crate::ledger::races::{self, Crowd};
use crate::ledger::world::World;

const CROWD: Crowd = Crowd { callers: 48, attempts: 30 };

/// Three processes that are started at once on an empty database, and what the database says when the race is over.
async fn race<F: Future<Output = ()>>(run: impl FnOnce(Arc<World>) -> F) {
    let postgres = watchful();
    run(World::over(patient(&postgres), 3).await).await;
    assert_eq!(postgres.deadlocks(), 0);
    assert_eq!(postgres.idle_in_transaction(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_48_callers_at_1000_seats_exactly_1000_are_granted_each_of_them_once() {
    race(|world| races::seats_are_taken_once(world, 1_000, CROWD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_1000_callers_at_one_seat_one_gets_it() {
    race(|world| races::seats_are_taken_once(world, 1, Crowd { callers: 1_000, attempts: 1 })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_they_cost_the_sum_of_the_grants_is_the_cap() {
    race(|world| races::costs_add_up_to_the_cap(world, CROWD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_overlap_in_opposite_orders_take_all_or_nothing_without_a_deadlock() {
    race(|world| races::batches_take_all_or_nothing(world, Crowd { attempts: 20, ..CROWD })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_are_confirmed_race_with_takings_and_the_cap_stands() {
    race(|world| races::holds_race_with_takings(world, Crowd { attempts: 20, ..CROWD })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_makes_room_for_others_and_nothing_is_lost() {
    race(|world| races::nothing_is_lost_that_is_given_back(world, Crowd { attempts: 20, ..CROWD })).await;
}

/// In each round nobody has taken from these before, so that each process makes the rows that another looks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_make_the_same_new_counters_in_other_orders_never_wait_for_each_other() {
    const ROUNDS: usize = 60;
    const CALLERS: usize = 9;
    const ITEMS: usize = 16;
    let postgres = watchful();
    let servers = Plimsoll::all(vec![patient(&postgres); 3]).await;
    let admin = servers[0].admin();
    admin.put_limit_key("posts", json!({"kind": "count", "per": "project", "default": {"max": 1_000}})).await.is(201);
    admin.put_tier("free").await.is(201);
    let revision = admin.put_org("acme", "free").await.is(201).revision();
    for round in 0..ROUNDS {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let actor = servers[caller % 3].admin().unjudged().at_least(revision);
            // Some of them are taken from in every round, others never again; each caller begins elsewhere.
            let place = |item: usize| match (item + caller * 5) % ITEMS {
                one if one % 4 == 0 => format!("always-{one}"),
                one => format!("{}-{round}", one * 7 % ITEMS),
            };
            let items: Vec<_> = (0..ITEMS).map(|item| json!({"limitKey": "posts", "resource": place(item)})).collect();
            callers.spawn(async move { actor.post("/v1/consume/batch", json!({"org": "acme", "items": items})).await });
        }
        for answer in callers.join_all().await {
            assert_eq!(answer.is(200).data()["allowed"], json!(true), "{}", answer.text);
        }
    }
    let expected = i64::try_from(ROUNDS * CALLERS * ITEMS).expect("a number");
    assert_eq!(postgres.number("SELECT sum(used) FROM usage"), expected);
    assert_eq!(postgres.deadlocks(), 0);
}
