//! Events of a process that is killed: there is one if and only if its cause is there.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{DEADLINE, planned};
use crate::harness::{Actor, Plimsoll};

/// Orgs that take at the same time.
const ORGS: usize = 24;

/// Takes until the server is gone. Says how many it was told that it has.
async fn take_all(actor: Actor, org: String) -> u64 {
    let mut taken = 0;
    loop {
        let body = json!({"org": org, "limitKey": "seats"});
        match actor.request("POST", "/v1/consume").json(&body).try_send().await {
            Some(answer) if answer.status == 200 && answer.data()["allowed"] == true => taken += 1,
            Some(answer) if answer.status == 200 => {
                // It has begun to be refused: a new window of events begins by giving back.
                let amount = json!({"org": org, "limitKey": "seats", "amount": 5});
                if actor.request("POST", "/v1/release").json(&amount).try_send().await.is_some() {
                    taken = 0;
                }
            }
            Some(answer) => panic!("{}: {}", answer.status, answer.text),
            None => return taken,
        }
    }
}

/// Every event of the feed, by org.
async fn by_org(admin: &Actor) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut next = 0;
    loop {
        let answer = admin.unjudged().get(&format!("/v1/admin/events?limit=100&after={next}")).await;
        next = answer.is(200).body["meta"]["next"].as_u64().expect("where to go on");
        if answer.items().is_empty() {
            return found;
        }
        for event in answer.items() {
            found.entry(event["org"].as_str().expect("an org").to_owned()).or_default().push(event.clone());
        }
    }
}

/// Waits until the feed is so long, and says how long it is.
async fn last(admin: &Actor, least: u64) -> u64 {
    let begun = Instant::now();
    let admin = admin.unjudged();
    let mut next = 0;
    while next < least {
        assert!(begun.elapsed() < DEADLINE, "only {next} events");
        next = admin.get(&format!("/v1/admin/events?limit=100&after={next}")).await.is(200).body["meta"]["next"]
            .as_u64()
            .expect("a number");
    }
    next
}

/// What one org was told, against what it has used: the events of whole rounds, and then those of the one that is under way.
fn judge(org: &str, events: &[Value], used: u64) {
    let label = |event: &Value| match event["type"].as_str().expect("a type") {
        "usage.threshold_crossed" => event["data"]["threshold"].to_string(),
        other => other.to_owned(),
    };
    let round = ["80", "100", "limit.reached"];
    let told: Vec<String> = events.iter().map(label).collect();
    for (position, told) in told.iter().enumerate() {
        assert_eq!(told, round[position % 3], "{org}: {position}");
    }
    let under_way = told.len() % 3;
    let expected: &[usize] = match used {
        0..4 => &[0],
        4 => &[1],
        // At the cap it was refused, or it was not yet.
        _ => &[2, 0],
    };
    assert!(expected.contains(&under_way), "{org} has used {used} and was told {told:?}");
    assert!(used < 5 || !told.is_empty(), "{org}");
}

#[tokio::test]
async fn a_killed_process_leaves_an_event_for_each_cause_and_no_event_without_one() {
    let (server, admin) = planned().await;
    for org in 0..ORGS {
        admin.put_org(&format!("org-{org}"), "free").await.is(201);
    }
    let mut server = server;
    let mut seen = 0;
    for _ in 0..3 {
        let admin = server.admin().unjudged();
        let load: Vec<_> = (0..ORGS).map(|org| tokio::spawn(take_all(admin.clone(), format!("org-{org}")))).collect();
        // Until there is something to lose.
        seen = last(&server.admin(), seen + 60).await;
        let setup = server.kill().setup;
        for caller in join_all(load).await {
            caller.expect("a caller that was answered as it should be");
        }
        server = Plimsoll::on(setup).await;
        let admin = server.admin();
        let told = by_org(&admin).await;
        for org in 0..ORGS {
            let org = format!("org-{org}");
            let usage = admin.get(&format!("/v1/orgs/{org}/usage?limitKey=seats")).await;
            let used = usage.is(200).items().first().map_or(0, |one| one["used"].as_u64().expect("a number"));
            judge(&org, told.get(&org).map_or(&[], Vec::as_slice), used);
        }
    }
}
