//! Many callers at the same counters: the cap is reached to the last one and never passed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::calendar::millis;
use super::chance::Chance;
use super::history::Call;
use super::model::{End, Place, Request, Seen, Shown};
use super::plan::{BOTS, KEYS, Override, SEATS};
use super::world::{Org, World};

const CALLERS: usize = 64;
const ATTEMPTS: usize = 3_200 / CALLERS;
const CAP: u64 = 1_000;
/// Whoever waits longer than this waits for somebody who waits for him.
const PATIENCE: Duration = Duration::from_secs(60);

const fn place(key: usize) -> Place {
    Place { key, project: None }
}

/// An org with this cap for every limit key.
async fn org(world: &Arc<World>, name: &str, cap: u64) -> Arc<Org> {
    let org = world.org(name, 0, false).await;
    for key in 0..KEYS.len() {
        let mut plan = org.plan();
        plan.overrides.push(Override { id: String::new(), key, is_set: true, cap: Some(cap), until: None });
        org.change_to(plan).await;
    }
    Arc::new(org)
}

/// How many ask at the same time, and how often each of them.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) callers: usize,
    pub(crate) attempts: usize,
}

const USUAL: Crowd = Crowd { callers: CALLERS, attempts: ATTEMPTS };

/// Runs all callers to their end.
async fn race<F>(org: &Arc<Org>, callers: usize, run: impl Fn(Arc<Org>, usize, Chance) -> F) -> Vec<Call>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut all = JoinSet::new();
    for caller in 0..callers {
        all.spawn(run(Arc::clone(org), caller, Chance::new(u64::try_from(caller).expect("a few"))));
    }
    timeout(PATIENCE, all.join_all()).await.expect("nobody waits for ever");
    org.history()
}

/// Fails if what was answered cannot be explained by one order.
fn assert_explained(org: &Org) {
    org.explained().unwrap_or_else(|why| panic!("{why}"));
}

fn decisions(history: &[Call]) -> impl Iterator<Item = &Shown> {
    history.iter().filter_map(|call| if let Seen::Decision(shown) = &call.seen { Some(shown) } else { None })
}

/// What is used in the end.
async fn used(org: &Org, key: usize) -> u64 {
    let seen = org.call(0, Request::Usage(place(key))).await;
    let Seen::Usage { used, shown } = seen else { panic!("{seen:?}") };
    assert_eq!((shown.current, shown.held), (used, 0), "nothing is held any more");
    used
}

async fn takes_one_by_one(world: Arc<World>, key: usize, cap: u64, Crowd { callers, attempts }: Crowd) {
    let org = org(&world, "one-by-one", cap).await;
    let run = move |org: Arc<Org>, caller, _| async move {
        for _ in 0..attempts {
            org.call(caller, Request::Consume(place(key), 1)).await;
        }
    };
    let history = race(&org, callers, run).await;
    assert_explained(&org);
    assert_eq!(history.len(), callers * attempts);
    let mut currents: Vec<u64> = decisions(&history).filter(|shown| shown.allowed).map(|shown| shown.current).collect();
    currents.sort_unstable();
    assert_eq!(currents, (1..=cap).collect::<Vec<_>>());
    assert!(decisions(&history).filter(|shown| !shown.allowed).all(|shown| shown.current == cap && shown.remaining == Some(0)));
    assert_eq!(used(&org, key).await, cap);
}

/// Each takes one seat at a time, of so many: each of them is granted once.
pub(crate) async fn seats_are_taken_once(world: Arc<World>, cap: u64, crowd: Crowd) {
    takes_one_by_one(world, SEATS, cap, crowd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_3200_attempts_at_a_count_of_1000_exactly_1000_are_granted() {
    seats_are_taken_once(World::start().await, CAP, USUAL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_3200_attempts_at_a_quota_of_1000_exactly_1000_are_granted() {
    let world = World::start_at(millis("2027-06-30T23:59:59.999Z").expect("a timestamp")).await;
    let month = KEYS.iter().position(|key| key.name == "mails").expect("a quota of the month");
    takes_one_by_one(world, month, CAP, USUAL).await;
}

/// Each takes from 1 to 17 at a time.
pub(crate) async fn costs_add_up_to_the_cap(world: Arc<World>, Crowd { callers, attempts }: Crowd) {
    let org = org(&world, "costs", CAP).await;
    let run = move |org: Arc<Org>, caller, mut chance: Chance| async move {
        for _ in 0..attempts {
            org.call(caller, Request::Consume(place(SEATS), chance.between(1, 17))).await;
        }
    };
    let history = race(&org, callers, run).await;
    assert_explained(&org);
    let granted = decisions(&history).filter(|shown| shown.allowed);
    let mut sums: BTreeMap<u64, u64> = granted.map(|shown| (shown.current, shown.requested)).collect();
    let total: u64 = sums.values().sum();
    assert_eq!(used(&org, SEATS).await, total);
    assert_eq!(total, CAP, "so many ask for 1 that in the end nothing is left");
    // Each grant stands on the ones before it.
    let mut sum = 0;
    while let Some((current, cost)) = sums.pop_first() {
        sum += cost;
        assert_eq!(current, sum);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_they_cost_the_sum_of_the_grants_is_never_above_the_cap() {
    costs_add_up_to_the_cap(World::start().await, USUAL).await;
}

/// Each takes of two counters together, half of them in the one order, half in the other.
pub(crate) async fn batches_take_all_or_nothing(world: Arc<World>, Crowd { callers, attempts }: Crowd) {
    const ROOM: u64 = 400;
    let org = org(&world, "batches", ROOM).await;
    let run = move |org: Arc<Org>, caller: usize, mut chance: Chance| async move {
        for _ in 0..attempts {
            let amount = chance.between(1, 3);
            let mut items = vec![(place(SEATS), amount), (place(BOTS), amount)];
            if caller % 2 == 1 {
                items.reverse();
            }
            if caller.is_multiple_of(5) {
                items.push((place(SEATS), 1));
                items.push((place(BOTS), 1));
            }
            org.call(caller, Request::Batch(items)).await;
        }
    };
    let history = race(&org, callers, run).await;
    assert_explained(&org);
    let granted = history.iter().filter(|call| matches!(call.seen, Seen::Batch(true, _))).count();
    assert!(granted > 100 && granted < history.len(), "{granted} of {} were granted", history.len());
    let all = [used(&org, SEATS).await, used(&org, BOTS).await];
    assert_eq!(all, [ROOM, ROOM], "both are taken together, until there is no room for one more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_overlap_in_opposite_orders_take_all_or_nothing_and_wait_for_nobody() {
    batches_take_all_or_nothing(World::start().await, Crowd { attempts: 20, ..USUAL }).await;
}

/// Half of the callers take at once, the others hold first, and confirm all of it, a part, or nothing.
async fn holds_and_takings(world: &Arc<World>, Crowd { callers, attempts }: Crowd, cap: u64) -> Arc<Org> {
    let org = org(world, &format!("holds-{callers}"), cap).await;
    let run = move |org: Arc<Org>, caller: usize, mut chance: Chance| async move {
        for _ in 0..attempts {
            let amount = chance.between(1, 6);
            if caller.is_multiple_of(2) {
                org.call(caller, Request::Consume(place(SEATS), amount)).await;
                continue;
            }
            let serial = org.serial();
            let reserve = Request::Reserve { serial, place: place(SEATS), amount, ttl: 600 };
            if matches!(org.call(caller, reserve).await, Seen::Reserved { .. }) {
                let ends = [Request::Cancel(serial), Request::Confirm(serial, Some(1)), Request::Confirm(serial, None)];
                org.call(caller, chance.pick(&ends).clone()).await;
            }
        }
    };
    let history = race(&org, callers, run).await;
    let shown = |call: &Call| {
        let (Seen::Decision(shown) | Seen::Reserved { shown, .. }) = &call.seen else { return 0 };
        shown.current
    };
    assert!(history.iter().all(|call| shown(call) <= cap));
    let taken: u64 = decisions(&history).filter(|shown| shown.allowed).map(|shown| shown.requested).sum();
    let confirmed = |call: &Call| {
        let Seen::Reservation { end: Some(End::Confirmed(amount, _)), .. } = call.seen else { return 0 };
        amount
    };
    let confirmed: u64 = history.iter().map(confirmed).sum();
    assert!(taken > 0 && confirmed > 0, "{taken} were taken and {confirmed} confirmed");
    assert!(taken + confirmed <= cap);
    assert_eq!(used(&org, SEATS).await, taken + confirmed);
    org
}

/// Holds that are confirmed race with takings.
pub(crate) async fn holds_race_with_takings(world: Arc<World>, crowd: Crowd) {
    holds_and_takings(&world, crowd, CAP).await;
    // Confirming does not say how much is taken after it: of fewer callers it can still be found out in which order they came.
    let org = holds_and_takings(&world, Crowd { callers: 10, attempts: 60 }, 400).await;
    assert_explained(&org);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_are_confirmed_race_with_takings_and_the_cap_stands() {
    holds_race_with_takings(World::start().await, USUAL).await;
}

/// Each gives back what it could take.
pub(crate) async fn nothing_is_lost_that_is_given_back(world: Arc<World>, Crowd { callers, attempts }: Crowd) {
    const ROOM: u64 = 40;
    let org = org(&world, "given-back", ROOM).await;
    let run = move |org: Arc<Org>, caller: usize, mut chance: Chance| async move {
        for _ in 0..attempts {
            let amount = chance.between(1, 17);
            let taken = org.call(caller, Request::Consume(place(SEATS), amount)).await;
            if matches!(taken, Seen::Decision(Shown { allowed: true, .. })) {
                let given_back = org.call(caller, Request::Release(place(SEATS), amount)).await;
                assert!(matches!(given_back, Seen::Decision(_)), "what was taken can be given back: {given_back:?}");
            }
        }
    };
    let history = race(&org, callers, run).await;
    assert_explained(&org);
    let refused = decisions(&history).filter(|shown| !shown.allowed).count();
    assert!(refused > 0 && decisions(&history).all(|shown| shown.current <= ROOM), "{refused} were refused");
    assert_eq!(used(&org, SEATS).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_makes_room_for_others_and_nothing_is_lost() {
    nothing_is_lost_that_is_given_back(World::start().await, Crowd { attempts: 20, ..USUAL }).await;
}
