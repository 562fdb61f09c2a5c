//! Callers that consume, reserve and confirm until they are told to stop or the server is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::Plimsoll;

const PATIENCE: Duration = Duration::from_secs(20);

/// Two limit keys, a tier with room for all and one without, two orgs, and a key that may consume.
pub(super) async fn product(server: &Plimsoll) -> String {
    let plan = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "calls": {"kind": "quota", "window": "day", "label": "call", "default": {"unlimited": true}},
        },
        "tiers": {"free": {}, "max": {"limits": {"seats": {"unlimited": true}}}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    for org in ["org-0", "org-1"] {
        server.admin().put_org(org, "max").await.is(201);
    }
    server.key(&["read", "write"], None).await.secret().to_owned()
}

/// Running callers.
pub(super) struct Load {
    callers: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    seats: Arc<AtomicU64>,
}

struct Caller {
    client: reqwest::Client,
    url: String,
    key: String,
    number: usize,
    is_over: Arc<AtomicBool>,
    seats: Arc<AtomicU64>,
}

impl Load {
    pub(super) fn start(server: &Plimsoll, key: &str, callers: usize) -> Self {
        let (is_over, seats) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let caller = |number| {
            let (client, url, key) = (client.clone(), server.url(""), key.to_owned());
            Caller { client, url, key, number, is_over: Arc::clone(&is_over), seats: Arc::clone(&seats) }
        };
        let callers = (0..callers).map(|number| tokio::spawn(caller(number).call())).collect();
        Self { callers, is_over, seats }
    }

    /// How many seats were acknowledged.
    pub(super) fn count(&self) -> u64 {
        self.seats.load(Ordering::SeqCst)
    }

    /// Waits until so many seats are acknowledged.
    pub(super) async fn acknowledged(&self, seats: u64) {
        let enough = async {
            while self.count() < seats {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("so many answers in time");
    }

    /// Ends when every caller has had its last answer, or none.
    pub(super) async fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.await.expect("no answer but success");
        }
    }
}

impl Caller {
    async fn call(self) {
        let org = format!("org-{}", self.number % 2);
        for round in 0_u64.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let Some(_) = self.post("/v1/consume", json!({"org": org, "limitKey": "seats"}), round).await else { return };
            self.seats.fetch_add(1, Ordering::SeqCst);
            let hold = json!({"org": org, "limitKey": "calls", "amount": 2});
            let Some(held) = self.post("/v1/reservations", hold, round).await else { return };
            let id = held["data"]["id"].as_str().expect("an id").to_owned();
            if round.is_multiple_of(2) {
                let confirm = format!("/v1/reservations/{id}/confirm");
                let Some(_) = self.post(&confirm, json!({"amount": 1}), round).await else { return };
            }
        }
    }

    /// The answer; nothing when the server is gone.
    async fn post(&self, path: &str, body: Value, round: u64) -> Option<Value> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = request.header("Content-Type", "application/json");
        let request = request.header("Idempotency-Key", format!("{}-{round}-{path}", self.number));
        let answer = request.body(body.to_string()).send().await.ok()?;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.ok()?;
        Some(serde_json::from_str(&text).expect("JSON"))
    }
}
