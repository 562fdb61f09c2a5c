//! Clients that hang up at random moments, and what they leave behind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, block_in_place};

use super::scene::{Scene, durable, is_quiet, patient};
use crate::crash::lost::{Reset, ask, hang_up, written};
use crate::crash::random::Random;
use crate::crash::{current, taking};
use crate::harness::{ADMIN_KEY, Actor};

const CLIENTS: usize = 2_000;
const AT_A_TIME: usize = 64;
const MAX: u64 = 2_000;
const ORG: &str = "keyed-1";

/// What a client asks before it hangs up: takings, a question of tracked usage, and reads of an admin.
fn request(number: usize) -> String {
    let of = |line: &str, body: &str| {
        let length = body.len();
        format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    match number % 6 {
        0..=1 => written(&key(number), &taking(ORG, "seats", 1).to_string()),
        2 => of("POST /v1/check", &json!({"org": ORG, "limitKey": "seats"}).to_string()),
        3 => of("GET /v1/admin/audit?limit=100", ""),
        4 => of("GET /v1/admin/orgs", ""),
        _ => of("GET /v1/orgs/keyed-1/usage", ""),
    }
}

fn key(number: usize) -> String {
    format!("call-{number}")
}

fn moment(random: &mut Random, length: usize) -> Reset {
    match random.below(5) {
        0 => Reset::Sending(usize::try_from(random.below(1 << 16)).expect("a small number") % length),
        1 => Reset::Sent,
        2 => Reset::Answered,
        3 => Reset::Reading,
        _ => Reset::Waiting(Duration::from_micros(random.below(20_000))),
    }
}

async fn hang_ups(servers: &[SocketAddr]) {
    let (places, mut random, mut clients) = (Arc::new(Semaphore::new(AT_A_TIME)), Random::new(), JoinSet::new());
    for number in 0..CLIENTS {
        let place = Arc::clone(&places).acquire_owned().await.expect("a place");
        let request = request(number);
        let (reset, address) = (moment(&mut random, request.len()), servers[number % servers.len()]);
        clients.spawn(async move {
            hang_up(address, request.as_bytes(), reset).await;
            drop(place);
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("a client that was served until it hung up");
    }
}

/// As many at once as there were, each of them answered.
async fn assert_served(actor: &Actor) {
    let actor = actor.unjudged();
    let one = |number: usize| {
        let actor = actor.clone();
        async move {
            match number % 4 {
                0 => actor.check(json!({"org": ORG, "limitKey": "seats"})).await.is(200).status,
                1 => actor.get("/v1/admin/orgs").await.is(200).status,
                2 => actor.get("/v1/orgs/keyed-1/usage").await.is(200).status,
                _ => actor.post("/v1/consume", taking("unkeyed-1", "seats", 1)).await.is(200).status,
            }
        }
    };
    let mut asking: JoinSet<u16> = (0..AT_A_TIME).map(one).collect();
    while let Some(answered) = asking.join_next().await {
        answered.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_thousand_clients_hang_up_at_random_moments_and_the_pools_stay_clean() {
    let postgres = durable();
    let scene = Scene::with(&postgres, 2, MAX, patient).await;
    let addresses: Vec<SocketAddr> = scene.servers.iter().map(crate::harness::Plimsoll::address).collect();
    hang_ups(&addresses).await;
    for server in &scene.servers {
        assert_served(&server.admin()).await;
    }
    block_in_place(|| is_quiet(&postgres, scene.servers.len()));
    let admin = scene.servers[1].admin().unjudged();
    let mut taken = 0;
    for number in (0..CLIENTS).filter(|number| number % 6 < 2) {
        let answer = ask(&admin, &key(number), &taking(ORG, "seats", 1)).await;
        assert_eq!(answer.is(200).data()["allowed"], json!(true), "{}", answer.text);
        taken += 1;
    }
    assert_eq!(current(&admin, ORG, "seats").await, taken);
}
