//! The primary is destroyed, and its synchronous standby takes its place.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::scene::{Scene, durable, eventually};

const MAX: u64 = 2_000;
/// How long the standby stands still: for several attempts, if there were more than one.
const TROUBLE: Duration = Duration::from_secs(5);
/// How many connections of a process are left waiting for it at most: one that took, and one that changed something.
const LEFT_WAITING: usize = 2;

/// Under load the primary ends, with all its connections or without a word to them, and the standby becomes the one that is written to.
async fn fails_over(is_silent: bool) {
    let primary = durable();
    let scene = Scene::start(&primary, 2, MAX).await;
    let standby = block_in_place(|| primary.standby());
    let load = scene.load().await;
    if is_silent {
        scene.proxy.abandon();
    }
    block_in_place(|| primary.destroy());
    scene.refuses_at_once().await;
    block_in_place(|| standby.promote());
    scene.proxy.redirect(standby.address());
    scene.recovers(&load).await;
    let tally = scene.is_whole(load, &standby).await;
    assert!(tally.unavailable() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn while_the_standby_stands_still_nothing_is_acknowledged() {
    let primary = durable();
    let scene = Scene::start(&primary, 2, MAX).await;
    let standby = block_in_place(|| primary.standby());
    let load = scene.load().await;
    block_in_place(|| standby.freeze());
    scene.refuses().await;
    let (begun, granted) = (Instant::now(), load.granted());
    eventually("it was so for some time", || async { begun.elapsed() >= TROUBLE }).await;
    assert_eq!(load.granted(), granted, "a call was acknowledged that the standby does not have");
    let waiting = primary.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    let most = i64::try_from(LEFT_WAITING * scene.servers.len()).expect("a number");
    assert!((1..=most).contains(&waiting), "{waiting} connections wait for the standby");
    block_in_place(|| standby.thaw());
    scene.recovers(&load).await;
    scene.is_whole(load, &primary).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_primary_is_destroyed_under_load_and_the_standby_has_every_acknowledged_call() {
    fails_over(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_primary_vanishes_without_a_word_and_the_standby_has_every_acknowledged_call() {
    fails_over(true).await;
}
