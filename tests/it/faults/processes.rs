//! A process that is killed under load, beside another that goes on.

use super::scene::{Scene, durable};
use crate::harness::Plimsoll;

const KILLS: usize = 3;
const MAX: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_is_killed_under_load_and_nothing_that_it_acknowledged_is_lost() {
    let postgres = durable();
    let mut scene = Scene::start(&postgres, 2, MAX).await;
    let mut load = scene.load().await;
    load.look_away(0, &scene).await;
    for kill in 1..=KILLS {
        let killed = scene.servers.remove(0).kill();
        load.servers().set([scene.servers[0].url("")]);
        load.answers(100).await;
        assert!(load.unanswered() > 0, "nobody noticed the {kill}. time");
        scene.servers.insert(0, Plimsoll::on(killed.setup).await);
        load.servers().set(scene.servers.iter().map(|server| server.url("")));
        load.answers(200).await;
    }
    scene.recovers(&load).await;
    scene.is_whole(load, &postgres).await;
}
