//! Random histories of callers who ask one process after the other: each answer is explained by one order of all of them.

use super::{patient, watchful};
use crate::harness::Setup;
use crate::ledger::random::{self, eve};
use crate::ledger::world::World;

/// Runs histories on a database that finds no deadlock in the end.
async fn histories<F: Future<Output = ()>>(run: impl FnOnce(Setup) -> F) {
    let postgres = watchful();
    run(patient(&postgres)).await;
    assert_eq!(postgres.deadlocks(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_callers_of_two_processes_are_answered_is_explained_by_one_order() {
    histories(async |setup| random::at_once(World::over(setup, 2).await, 10_000..10_100).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_callers_of_three_processes_are_answered_is_explained_by_one_order() {
    histories(async |setup| random::at_once(World::over(setup, 3).await, 20_000..20_100).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_explained_by_one_order_while_holds_of_one_second_expire() {
    histories(async |setup| random::while_holds_expire(World::over(setup, 3).await, 30_000..30_016).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_explained_by_one_order_while_windows_roll_over_and_holds_expire() {
    histories(async |setup| random::while_windows_roll_over(World::over_at(setup, 3, eve()).await, 40_000..40_080).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_trace_over_three_processes_is_answered_exactly_as_the_model_says() {
    histories(async |setup| random::one_by_one(World::over_at(setup, 3, eve()).await, 50_000..50_008).await).await;
}
