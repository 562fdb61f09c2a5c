//! Sliding windows that several processes share through a real Redis, and what holds when it is not there.

mod away;
mod cluster;
mod exact;
mod secrets;
pub(crate) mod server;
mod tls;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, Plimsoll, Setup};

/// The longest that something may take to come about on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Processes that know the same plan and the same customers, each from a database of its own.
struct Processes {
    all: Vec<Plimsoll>,
    /// Customers of the org `acme`.
    customers: Vec<Customer>,
}

/// An API key of a customer.
#[derive(Clone)]
struct Customer {
    secret: String,
    id: String,
}

fn plan() -> Value {
    json!({
        "limitKeys": {
            "calls": {"kind": "rate", "windowSeconds": 3600, "bucket": "v1Api", "perRequest": true, "default": {"max": 60}},
            "seats": {"kind": "count", "default": {"max": 5}},
        },
        "tiers": {"free": {}},
    })
}

/// So many processes and customers. Each process has the settings that its number leads to.
async fn processes(count: usize, customers: usize, settings: impl Fn(usize, Setup) -> Setup) -> Processes {
    let first = Plimsoll::start().await;
    first.admin().put_catalog(&plan()).await.is(200);
    first.admin().put_org("acme", "free").await.is(201);
    let mut known = Vec::new();
    for _ in 0..customers {
        let made = first.admin().create_key(&json!({"name": "a customer's key", "org": "acme"})).await;
        let (secret, id) = (made.is(201).text_at("/data/key").to_owned(), made.text_at("/data/id").to_owned());
        known.push(Customer { secret, id });
    }
    let stopped = first.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
    let mut all = Vec::new();
    for number in 0..count {
        let setup = Setup::new();
        std::fs::copy(stopped.setup.database(), setup.database()).expect("a copy of the database");
        all.push(Plimsoll::on(settings(number, setup)).await);
    }
    Processes { all, customers: known }
}

/// With a Redis that is waited for as long as a busy machine may need.
fn patient(setup: Setup, url: &str) -> Setup {
    hasty(setup, url).variable("PLIMSOLL_REDIS_TIMEOUT_MILLIS", "10000")
}

/// With a Redis that is waited for as long as it is by default.
fn hasty(setup: Setup, url: &str) -> Setup {
    setup.variable("PLIMSOLL_REDIS_URL", url)
}

impl Processes {
    /// Until all of them share their windows.
    async fn share(&self) {
        for server in &self.all {
            until("shared windows", async || metric(server, "plimsoll_limiter_servers_away").await == Some(0.0)).await;
        }
    }

    /// One request of the customer, by the process of this number.
    async fn authorize(&self, number: usize, customer: &Customer) -> Answer {
        self.all[number].admin().post("/v1/authorize", request(customer)).await
    }

    /// What the customer's window holds, as the process of this number sees it.
    async fn seen(&self, number: usize, customer: &Customer) -> Answer {
        self.all[number].admin().check(question(customer)).await
    }

    /// The answers to 16 callers at once, who ask the processes in turn, so many times each.
    async fn rush(&self, customer: &Customer, times: usize) -> Vec<Answer> {
        let mut callers = JoinSet::new();
        for number in 0..16 {
            let (asks, body) = (self.all[number % self.all.len()].admin(), request(customer));
            callers.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..times {
                    answers.push(asks.post("/v1/authorize", body.clone()).await);
                }
                answers
            });
        }
        callers.join_all().await.concat()
    }
}

fn request(customer: &Customer) -> Value {
    json!({"apiKey": customer.secret, "method": "GET", "path": "/"})
}

fn question(customer: &Customer) -> Value {
    json!({"org": "acme", "limitKey": "calls", "keyId": customer.id})
}

fn is_allowed(answer: &Answer) -> bool {
    answer.is(200).data()["allowed"] == true
}

/// How many were allowed.
fn allowed(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| is_allowed(answer)).count()
}

/// Whether it says that the process's own windows stood in.
fn is_degraded(answer: &Answer) -> bool {
    let meta = &answer.body["meta"];
    assert!(meta.is_null() || *meta == json!({"degraded": ["limiter"]}), "{}", answer.text);
    !meta.is_null()
}

/// How many say so.
fn degraded(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| is_degraded(answer)).count()
}

/// A metric without labels, if it is there.
async fn metric(server: &Plimsoll, name: &str) -> Option<f64> {
    let text = server.anonymous().get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().expect("a number"))
}

/// Asks again and again until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::task::yield_now().await;
    }
}
