//! Processes that are killed and stopped while they deliver.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{ban, first_times, made, planned, setup};
use crate::harness::{Actor, Plimsoll, Reaction, Received, Receiver};

const ORGS: usize = 6;
/// What happens to each in a round: more than is delivered before the server is killed, and no more than is delivered soon after.
const HAPPENINGS: usize = 30;

/// Bans and unbans until enough has happened or the server is gone.
async fn make_events(actor: Actor, org: String) {
    for round in 0..HAPPENINGS {
        let what = if round % 2 == 0 { "ban" } else { "unban" };
        let request = actor.request("POST", &format!("/v1/admin/orgs/{org}/{what}")).json(&json!({}));
        if request.try_send().await.is_none() {
            return;
        }
    }
}

/// Every event that there is.
async fn feed(admin: &Actor) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let answer = admin.unjudged().get(&format!("/v1/admin/events?limit=100&after={next}")).await;
        next = answer.is(200).body["meta"]["next"].as_u64().expect("where to go on");
        if answer.items().is_empty() {
            return found;
        }
        found.extend(answer.items().to_vec());
    }
}

/// Whether everything that happened was received.
fn is_whole(received: &[Received], feed: &[Value]) -> bool {
    let ids: BTreeSet<&str> = received.iter().map(Received::id).collect();
    feed.iter().all(|event| ids.contains(event["id"].as_str().expect("an id")))
}

/// Where a database is shared, another process goes on when one is killed; else the same one does when it has started again.
#[tokio::test]
async fn a_killed_process_leaves_nothing_undelivered_and_nothing_out_of_order() {
    let mut turn = 0_usize;
    let receiver = Receiver::that(move |_| {
        turn += 1;
        Reaction::Status(if turn.is_multiple_of(7) { 500 } else { 200 })
    })
    .await;
    let (server, admin) = planned(setup()).await;
    let is_shared = server.setup().database_url().starts_with("postgres");
    let mut others = if is_shared { vec![Plimsoll::on(server.setup().clone()).await] } else { Vec::new() };
    // A lease has to end before another process goes on.
    let rounds = if is_shared { 1 } else { 2 };
    let orgs: Vec<String> = (0..ORGS).map(|org| format!("org-{org}")).collect();
    for org in &orgs {
        admin.put_org(org, "free").await.is(201);
    }
    made(&admin, json!({"url": receiver.url("/")})).await;
    let mut server = server;
    for round in 1..=rounds {
        let admin = server.admin().unjudged();
        let load: Vec<_> = orgs.iter().map(|org| tokio::spawn(make_events(admin.clone(), org.clone()))).collect();
        receiver.wait_for(round * 60).await;
        let setup = server.kill().setup;
        for caller in join_all(load).await {
            caller.expect("a caller");
        }
        let started = Plimsoll::on(setup).await;
        server = match others.pop() {
            Some(other) => {
                others.push(started);
                other
            }
            None => started,
        };
    }
    let feed = feed(&server.admin()).await;
    let received = receiver.until("not everything was delivered", |received| is_whole(received, &feed)).await;
    let known: BTreeSet<&str> = feed.iter().filter_map(|event| event["id"].as_str()).collect();
    assert!(received.iter().all(|message| known.contains(message.id())), "nothing is told that is not there");
    for org in &orgs {
        let told = first_times(&received, org);
        assert!(told.is_sorted(), "{org}: {told:?}");
    }
}

#[tokio::test]
async fn a_process_that_stops_does_not_wait_for_an_endpoint_and_loses_nothing() {
    let receiver = Receiver::that(|_| Reaction::Hang).await;
    let (server, admin) = planned(setup().variable("PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS", "60")).await;
    made(&admin, json!({"url": receiver.url("/")})).await;
    ban(&admin, "acme").await;
    receiver.wait_for(1).await;
    let begun = std::time::Instant::now();
    let stopped = server.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
    receiver.becomes(|_| Reaction::Status(200));
    let _server = Plimsoll::on(stopped.setup).await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].id(), received[1].id());
}
