//! The way to the server: slow, cut, silent, and losing what matters most.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::interval;

use super::scene::{PROBE, Scene, durable, eventually};
use crate::crash::{current, take_once, taking};

const MAX: u64 = 2_000;
/// How often the ends of transactions are lost, in two ways.
const LOSSES: usize = 12;
/// How long and how often connections are cut.
const CUTTING: Duration = Duration::from_secs(3);
const CUT: Duration = Duration::from_millis(100);
/// A way that is slow, and one that is too slow: a taking is a dozen round trips, and as many more on a new connection.
const SLOW: Duration = Duration::from_millis(2);
const TOO_SLOW: Duration = Duration::from_millis(300);
/// How long the way is silent or too slow.
const TROUBLE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_answers_of_commits_are_lost_and_every_call_has_one_effect() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    for turn in 0..LOSSES {
        let sprung = scene.proxy.sprung();
        if turn % 2 == 0 {
            scene.proxy.swallow_commits(2);
        } else {
            scene.proxy.lose_commits(2);
        }
        eventually("two ends are lost", || async { scene.proxy.sprung() == sprung + 2 }).await;
        load.answers(50).await;
    }
    scene.recovers(&load).await;
    scene.is_whole(load, &postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_call_whose_commit_was_not_answered_is_answered_by_its_record_and_never_done_again() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 1, MAX).await;
    let admin = scene.servers[0].admin();
    let body = taking(PROBE, "seats", 1);
    admin.post("/v1/consume", body.clone()).await.is(200);
    scene.proxy.swallow_commits(1);
    let done = take_once(&admin, "done", &body).await;
    assert_eq!((done.is(200).data()["current"].clone(), done.header("idempotent-replayed")), (json!(2), None));
    let again = take_once(&admin, "done", &body).await;
    assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (done.text.as_str(), Some("true")));
    // Nobody can be asked about one without a key: it is not known, and it was done.
    scene.proxy.swallow_commits(1);
    admin.post("/v1/consume", body.clone()).await.fails(503, "unavailable");
    assert_eq!(current(&admin, PROBE, "seats").await, 3);
    // One that never arrived was not done, whether that is known or not.
    scene.proxy.lose_commits(1);
    take_once(&admin, "lost", &body).await.fails(503, "unavailable");
    assert_eq!(current(&admin, PROBE, "seats").await, 3);
    assert_eq!(take_once(&admin, "lost", &body).await.is(200).data()["current"], json!(4));
    assert_eq!(scene.proxy.sprung(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn connections_are_cut_again_and_again_and_nothing_is_lost() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    let (begun, mut pace) = (Instant::now(), interval(CUT));
    while begun.elapsed() < CUTTING {
        pace.tick().await;
        scene.proxy.reset();
    }
    scene.recovers(&load).await;
    scene.is_whole(load, &postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_slow_way_is_waited_for_one_too_slow_or_silent_is_not() {
    let postgres = durable();
    let scene = Scene::start(&postgres, 2, MAX).await;
    let load = scene.load().await;
    scene.proxy.delay(SLOW);
    scene.recovers(&load).await;
    for is_silent in [false, true] {
        let begun = Instant::now();
        if is_silent {
            scene.proxy.silence(true);
            scene.refuses_at_once().await;
        } else {
            scene.proxy.delay(TOO_SLOW);
        }
        eventually("it was so for some time", || async { begun.elapsed() >= TROUBLE }).await;
        scene.proxy.delay(Duration::ZERO);
        scene.proxy.silence(false);
        scene.recovers(&load).await;
    }
    let tally = scene.is_whole(load, &postgres).await;
    assert!(tally.unavailable() > 0, "nobody noticed");
}
