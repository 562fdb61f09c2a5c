//! The feed while several processes write: a reader that never stops is told everything, in an order that stays as it was.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::DEADLINE;
use crate::harness::{Actor, Plimsoll, Setup};

/// Orgs for each caller: each taking of the only seat makes two events.
const ORGS: usize = 40;
/// Callers of each process.
const CALLERS: usize = 6;

/// One process, or two where a database is shared.
async fn processes() -> Vec<Plimsoll> {
    let setup = Setup::new();
    let count = if setup.database_url().starts_with("postgres") { 2 } else { 1 };
    // One after the other: the first makes the database.
    let mut servers = vec![Plimsoll::on(setup.clone()).await];
    servers.extend(Plimsoll::all((1..count).map(|_| setup.clone())).await);
    servers
}

async fn take_seats(actor: Actor, caller: usize) {
    for org in 0..ORGS {
        let body = json!({"org": format!("org-{caller}-{org}"), "limitKey": "seats"});
        assert_eq!(actor.post("/v1/consume", body).await.is(200).data()["allowed"], true);
    }
}

/// Reads on from `next`, and says where it is then.
async fn read(actor: &Actor, next: &mut u64, into: &mut Vec<Value>) -> usize {
    let answer = actor.get(&format!("/v1/admin/events?limit=20&after={next}")).await;
    *next = answer.is(200).body["meta"]["next"].as_u64().expect("where to go on");
    into.extend(answer.items().to_vec());
    answer.items().len()
}

#[tokio::test]
async fn a_reader_that_never_stops_is_told_everything_once() {
    let servers = processes().await;
    let admin = servers[0].admin().unjudged();
    let plan = json!({"limitKeys": {"seats": {"kind": "count", "default": {"max": 1}}}, "tiers": {"free": {}}});
    admin.put_catalog(&plan).await.is(200);
    for caller in 0..CALLERS * servers.len() {
        for org in 0..ORGS {
            admin.put_org(&format!("org-{caller}-{org}"), "free").await.is(201);
        }
    }
    let callers = (0..CALLERS * servers.len()).map(|caller| {
        let actor = servers[caller % servers.len()].admin().unjudged();
        tokio::spawn(take_seats(actor, caller))
    });
    let callers: Vec<_> = callers.collect();
    let expected = CALLERS * servers.len() * ORGS * 2;
    let reader = servers.last().expect("a process").admin().unjudged();
    let (mut next, mut told, begun) = (0, Vec::new(), Instant::now());
    while told.len() < expected {
        assert!(begun.elapsed() < 3 * DEADLINE, "{} of {expected} events were told", told.len());
        read(&reader, &mut next, &mut told).await;
    }
    for caller in join_all(callers).await {
        caller.expect("every seat was taken");
    }
    let (mut next, mut again) = (0, Vec::new());
    while read(&admin, &mut next, &mut again).await > 0 {}
    assert_eq!(told.len(), expected);
    assert_eq!(told, again, "what was told while it happened is what is told afterwards");
    for caller in 0..CALLERS * servers.len() {
        for org in 0..ORGS {
            let org = format!("org-{caller}-{org}");
            let of: Vec<u64> = told
                .iter()
                .filter(|event| event["org"] == org.as_str())
                .filter_map(|event| event["data"]["threshold"].as_u64())
                .collect();
            assert_eq!(of, [80, 100], "{org}");
        }
    }
}
