//! The whole server: it crashes and comes back, and it stands still.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::scene::{Scene, durable, eventually};

const CRASHES: usize = 2;
/// How long the server stands still.
const FREEZE: Duration = Duration::from_secs(10);
const MAX: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_server_crashes_and_comes_back_and_nothing_is_lost() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    for _ in 0..CRASHES {
        block_in_place(|| postgres.stop_immediate());
        scene.refuses_at_once().await;
        block_in_place(|| postgres.start_again());
        scene.recovers(&load).await;
    }
    let tally = scene.is_whole(load, &postgres).await;
    assert!(tally.unavailable() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_server_stands_still_for_ten_seconds_and_goes_on() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    let begun = Instant::now();
    block_in_place(|| postgres.freeze());
    scene.refuses_at_once().await;
    eventually("ten seconds are over", || async { begun.elapsed() >= FREEZE }).await;
    scene.refuses_at_once().await;
    block_in_place(|| postgres.thaw());
    scene.recovers(&load).await;
    let tally = scene.is_whole(load, &postgres).await;
    assert!(tally.unavailable() > 0, "nobody noticed");
}
