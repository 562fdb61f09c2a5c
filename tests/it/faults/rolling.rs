//! One process after the other is told to stop and started again, behind a balancer, and no call fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::interval;

use super::scene::{Scene, durable, eventually, patient};
use crate::crash::load::Servers;
use crate::harness::{Plimsoll, Setup};

const MAX: u64 = 1_000_000;
/// How often the balancer asks who is ready.
const PACE: Duration = Duration::from_millis(100);
/// For how long a process that stops still serves, such that every balancer has noticed, also on a busy machine.
const DRAIN_SECONDS: &str = "3";

/// Sends callers to those that are ready.
struct Balancer {
    members: Arc<Mutex<Vec<String>>>,
    asking: JoinHandle<()>,
}

impl Balancer {
    fn before(servers: &[Plimsoll], used: Servers) -> Self {
        let members = Arc::new(Mutex::new(urls(servers)));
        let known = Arc::clone(&members);
        let asking = tokio::spawn(async move {
            let (client, mut pace) = (Client::builder().no_proxy().build().expect("a client"), interval(PACE));
            loop {
                pace.tick().await;
                let all = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let mut ready = Vec::new();
                for url in all {
                    let answer = client.get(format!("{url}/readyz")).send().await;
                    if answer.is_ok_and(|answer| answer.status() == 200) {
                        ready.push(url);
                    }
                }
                used.set(ready);
            }
        });
        Self { members, asking }
    }

    fn set(&self, servers: &[Plimsoll]) {
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = urls(servers);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

fn urls(servers: &[Plimsoll]) -> Vec<String> {
    servers.iter().map(|server| server.url("")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_processes_are_restarted_one_by_one_under_load_and_no_call_fails() {
    let postgres = durable();
    let drains = |setup: Setup| patient(setup).variable("PLIMSOLL_DRAIN_SECONDS", DRAIN_SECONDS);
    let mut scene = Scene::with(&postgres, 3, MAX, drains).await;
    let mut load = scene.load().await;
    for _ in 0..3 {
        load.look_away(0, &scene).await;
    }
    let balancer = Balancer::before(&scene.servers, load.servers().clone());
    for _ in 0..3 {
        let stopped = block_in_place(|| scene.servers.remove(0).terminate());
        assert_eq!(stopped.status.code(), Some(0), "{}", stopped.stderr);
        scene.servers.push(Plimsoll::on(stopped.setup).await);
        balancer.set(&scene.servers);
        eventually("it is used", || async { load.servers().count() == 3 }).await;
        load.answers(100).await;
    }
    assert_eq!((load.unanswered(), load.unavailable()), (0, 0), "calls failed");
    scene.is_whole(load, &postgres).await;
}
