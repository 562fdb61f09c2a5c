//! A tier that is lowered in one process, and what the others answer to those who demand to know of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{patient, watchful};
use crate::harness::{Actor, Answer, Plimsoll};

/// So many questions, each of which demands the revision that was acknowledged last.
const QUESTIONS: usize = 10_000;
const CALLERS: usize = 8;
/// More than it is ever lowered by.
const ROOM: u64 = 1_000_000;

/// What was acknowledged last: the revision, and the room that there is from it on.
#[derive(Clone, Copy)]
struct Lowered {
    revision: u64,
    max: u64,
}

async fn lower(admin: &Actor, max: u64) -> Lowered {
    let put = admin.put_value("free", "seats", json!({"max": max})).await;
    assert!([200, 201].contains(&put.status), "{}", put.text);
    Lowered { revision: put.revision(), max }
}

/// One more than there is room for: as a question that brings the number, one about what is tracked, and a taking.
async fn ask(actor: &Actor, number: usize, max: u64) -> Answer {
    let too_many = json!({"org": "acme", "limitKey": "seats", "amount": max + 1});
    match number % 3 {
        0 => actor.check(json!({"org": "acme", "limitKey": "seats", "current": max})).await,
        1 => actor.check(too_many).await,
        _ => actor.post("/v1/consume", too_many).await,
    }
}

fn assert_new(answer: &Answer, Lowered { revision, max }: Lowered) {
    let told: &Value = answer.is(200).data();
    assert_eq!((&told["allowed"], &told["decision"]), (&json!(false), &json!("limit_reached")), "{}", answer.text);
    assert!(told["max"].as_u64().is_some_and(|told| told <= max), "not the old {max}: {}", answer.text);
    assert!(told["revision"].as_u64().is_some_and(|told| told >= revision), "{revision} was demanded: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_demands_the_revision_of_a_lowered_tier_is_never_answered_by_the_old_one() {
    let postgres = watchful();
    let servers = Plimsoll::all(vec![patient(&postgres); 3]).await;
    let admin = servers[0].admin().unjudged();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 0}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    let latest = Arc::new(Mutex::new(lower(&admin, ROOM).await));
    let asked = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let actor = servers[1 + caller % 2].admin().unjudged();
        let (latest, asked) = (Arc::clone(&latest), Arc::clone(&asked));
        callers.spawn(async move {
            loop {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                if number >= QUESTIONS {
                    return;
                }
                let known = *latest.lock().unwrap_or_else(PoisonError::into_inner);
                assert_new(&ask(&actor.at_least(known.revision), number, known.max).await, known);
            }
        });
    }
    let mut lowered = 0;
    while asked.load(Ordering::SeqCst) < QUESTIONS {
        if let Some(ended) = callers.try_join_next() {
            ended.expect("a caller that was answered by what is new");
        }
        lowered += 1;
        let next = lower(&admin, ROOM - lowered).await;
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
    callers.join_all().await;
    assert!(lowered > 100, "it was only lowered {lowered} times");
}
