//! Random histories: hundreds of seeds, each an org of its own with callers that ask at the same time, and long traces of one
//! caller. `ORACLE_SEED=17` runs one seed alone, and a hundred times over.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::calendar::millis;
use super::chance::Chance;
use super::checker::outcomes;
use super::clock::Clock;
use super::model::State;
use super::plan::TIERS;
use super::tally::Tally;
use super::trace::Theme;
use super::world::{Org, World};

/// How many histories are made at a time on one server: so many that the writer's batches have several orgs in them.
const AT_A_TIME: usize = 8;
/// How often a seed that was asked for runs: how its callers interleave is not up to the seed.
const REPETITIONS: u64 = 100;
/// So many of the histories have their answers held to the document too.
const JUDGED: u64 = 20;
/// What every kind of history is to meet, and how often at least.
const USUAL: &[&str] = &[
    "granted",
    "refused",
    "batch granted",
    "batch refused",
    "given back",
    "not given back",
    "held",
    "not held",
    "confirmed",
    "not confirmed",
    "cancelled",
    "reconciled",
    "listed",
    "checked",
    "over the cap",
];
const OFTEN: usize = 3;
/// One day at most, in seconds.
const LONG: &[u64] = &[60, 3_600, 86_400];
const ANY: &[u64] = &[1, 2, 30, 60, 600, 3_600, 86_400];
const SHORT: &[u64] = &[1];

/// Runs the seeds, or the one that is asked for, and fails with all that is wrong.
async fn of_seeds<F>(seeds: Range<u64>, expected: &[&[&'static str]], run: impl Fn(u64, String) -> F)
where
    F: Future<Output = Result<Tally, String>> + Send + 'static,
{
    let wanted = std::env::var_os("ORACLE_SEED").map(|text| text.to_string_lossy().parse().expect("ORACLE_SEED is a number"));
    let mut names: Vec<(u64, String)> = match wanted {
        None => seeds.map(|seed| (seed, format!("seed-{seed}"))).collect(),
        Some(seed) => (0..REPETITIONS).map(|turn| (seed, format!("seed-{seed}-{turn}"))).collect(),
    };
    let mut running = JoinSet::new();
    let mut failures = Vec::new();
    let mut tally = Tally::default();
    while !names.is_empty() || !running.is_empty() {
        while let Some((seed, name)) = if running.len() < AT_A_TIME { names.pop() } else { None } {
            let history = run(seed, name);
            running.spawn(async move { history.await.map_err(|why| format!("ORACLE_SEED={seed}: {why}")) });
        }
        if let Some(ended) = running.join_next().await {
            match ended.expect("no panic") {
                Ok(found) => tally.add(&found),
                Err(why) => failures.push(why),
            }
        }
    }
    let first = failures.first().cloned().unwrap_or_default();
    assert!(failures.is_empty(), "{} histories cannot be explained, the first with\n{first}", failures.len());
    eprintln!("{tally:?}");
    if wanted.is_none() {
        expected.iter().for_each(|all| tally.has(OFTEN, all));
    }
}

/// Between two requests of a caller, nothing or a while.
#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    Every(Duration),
}

/// Callers that ask at the same time, the first of which also changes the plan.
async fn concurrently(
    world: Arc<World>,
    seed: u64,
    name: String,
    ttls: &'static [u64],
    (pace, requests): (Pace, u64),
) -> Result<Tally, String> {
    let mut chance = Chance::new(seed);
    let theme = Arc::new(Theme::new(&mut chance, ttls));
    let tier = chance.index(TIERS.len());
    let org = Arc::new(world.org(&name, tier, seed.is_multiple_of(JUDGED)).await);
    let mut callers = JoinSet::new();
    for caller in 0..usize::try_from(chance.between(2, 6)).expect("a few") {
        let chance = chance.fork(u64::try_from(caller).expect("a few") + 1);
        let (world, org, theme) = (Arc::clone(&world), Arc::clone(&org), Arc::clone(&theme));
        callers.spawn(async move { ask(&world, &org, &theme, caller, chance, (pace, requests)).await });
    }
    callers.join_all().await;
    org.explained()?;
    Ok(Tally::of(&org.history()))
}

async fn ask(world: &World, org: &Org, theme: &Theme, caller: usize, mut chance: Chance, (pace, requests): (Pace, u64)) {
    let mut ticks = match pace {
        Pace::AtOnce => None,
        Pace::Every(while_) => Some(interval(while_)),
    };
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    for _ in 0..requests {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        if caller == 0 && chance.percent(12) {
            org.change_plan(&mut chance).await;
        }
        if let (Clock::Set(clock), true) = (&world.clock, chance.percent(2)) {
            clock.advance(&mut chance);
        }
        let request = theme.request(&mut chance, &org.made(), org.serial());
        org.call(caller, request).await;
    }
}

/// Whatever concurrent callers are answered is explained by one order.
pub(crate) async fn at_once(world: Arc<World>, seeds: Range<u64>) {
    let run = |seed, name| concurrently(Arc::clone(&world), seed, name, LONG, (Pace::AtOnce, 12));
    of_seeds(seeds, &[USUAL, &["beside another"]], run).await;
}

/// So it is while holds of one second expire.
pub(crate) async fn while_holds_expire(world: Arc<World>, seeds: Range<u64>) {
    let pace = (Pace::Every(Duration::from_millis(60)), 30);
    let run = |seed, name| concurrently(Arc::clone(&world), seed, name, SHORT, pace);
    of_seeds(seeds, &[&["beside another", "ran out", "confirmed", "not confirmed"]], run).await;
}

/// So it is while the clock of the world is set over the ends of windows and holds.
pub(crate) async fn while_windows_roll_over(world: Arc<World>, seeds: Range<u64>) {
    let run = |seed, name| concurrently(Arc::clone(&world), seed, name, ANY, (Pace::AtOnce, 12));
    of_seeds(seeds, &[USUAL, &["beside another", "expired", "ran out"]], run).await;
}

/// A moment that is soon the end of a minute, an hour, a day, a week and a month.
pub(crate) fn eve() -> i64 {
    millis("2027-01-31T23:59:58.250Z").expect("a timestamp")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_concurrent_callers_are_answered_is_explained_by_one_order() {
    at_once(World::start().await, 0..300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_explained_by_one_order_while_holds_of_one_second_expire() {
    while_holds_expire(World::start().await, 1_000..1_024).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_explained_by_one_order_while_windows_roll_over_and_holds_expire() {
    while_windows_roll_over(World::start_at(eve()).await, 2_000..2_200).await;
}

/// One caller, whose every answer is just what the model says.
async fn alone(world: Arc<World>, seed: u64, name: String, requests: u64) -> Result<Tally, String> {
    let mut chance = Chance::new(seed);
    let theme = Theme { has_giants: chance.percent(25), ..Theme::new(&mut chance, ANY) };
    let org = world.org(&name, chance.index(TIERS.len()), seed.is_multiple_of(JUDGED)).await;
    // More than one only while another history sets the clock in the middle of a call.
    let mut states = vec![State::default()];
    for number in 0..requests {
        if chance.percent(8) {
            org.change_plan(&mut chance).await;
        }
        // Every history sets the clock of all: if each did so more often, hardly a hold would live until it is ended.
        if let (Clock::Set(clock), true) = (&world.clock, chance.percent(2)) {
            clock.advance(&mut chance);
        }
        let request = theme.request(&mut chance, &org.made(), org.serial());
        org.call(0, request).await;
        let history = org.history();
        let call = history.last().expect("the call");
        let after: Vec<State> = states.iter().flat_map(|state| outcomes(state, call)).collect();
        if after.is_empty() {
            let trace: String = history.iter().map(|call| format!("{call}\n")).collect();
            return Err(format!("call {number} is not answered as from {states:?}:\n{trace}"));
        }
        states = after;
        states.dedup();
    }
    Ok(Tally::of(&org.history()))
}

/// Long traces of one caller, each of whose answers is just what the model says.
pub(crate) async fn one_by_one(world: Arc<World>, seeds: Range<u64>) {
    of_seeds(seeds, &[USUAL, &["expired"]], |seed, name| alone(Arc::clone(&world), seed, name, 200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_trace_of_one_caller_is_answered_exactly_as_the_model_says() {
    one_by_one(World::start_at(millis("2027-12-30T22:58:57.999Z").expect("a timestamp")).await, 3_000..3_024).await;
}
