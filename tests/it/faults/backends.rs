//! Connections that the server ends again and again.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::interval;

use super::scene::{Scene, durable, eventually};

/// For how long connections are ended, how often, and how many of them at least.
const LENGTH: Duration = Duration::from_secs(30);
const ENDED: usize = 50;
const PACE: Duration = Duration::from_millis(200);
/// Little enough that counters are full in the end.
const MAX: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_connections_are_ended_every_200_milliseconds_and_nothing_is_lost() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    let (begun, mut pace, mut ended) = (Instant::now(), interval(PACE), 0);
    while begun.elapsed() < LENGTH || ended < ENDED {
        pace.tick().await;
        ended += block_in_place(|| postgres.terminate_backends(None));
    }
    scene.recovers(&load).await;
    eventually("a counter is full", || async { load.refused() > 0 }).await;
    scene.is_whole(load, &postgres).await;
}
