//! Connections that the server ends again and again.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::interval;

use super::scene::{Scene, durable};

/// For how long connections are ended, and how often. More of the same shows more of the same.
const LENGTH: Duration = Duration::from_secs(10);
const PACE: Duration = Duration::from_millis(200);
/// Little enough that counters are full in the end.
const MAX: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_connections_are_ended_every_200_milliseconds_and_nothing_is_lost() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    let (begun, mut pace, mut ended) = (Instant::now(), interval(PACE), 0);
    while begun.elapsed() < LENGTH {
        pace.tick().await;
        ended += block_in_place(|| postgres.terminate_backends(None));
    }
    assert!(ended > 50, "only {ended} connections were ended");
    scene.recovers(&load).await;
    let tally = scene.is_whole(load, &postgres).await;
    assert!(tally.refused() > 0, "no counter was ever full");
}
