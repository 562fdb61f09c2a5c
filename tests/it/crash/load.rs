//! Callers that take until the server is gone, and the book of what they know about what they took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::random::Random;
use super::taking;
use crate::harness::ADMIN_KEY;

/// An org and a limit key.
pub(super) type Place = (String, &'static str);

/// Orgs whose takings all carry an idempotency key, and orgs whose takings do not.
pub(super) const KEYED: [&str; 3] = ["keyed-1", "keyed-2", "keyed-3"];
pub(super) const UNKEYED: [&str; 2] = ["unkeyed-1", "unkeyed-2"];
const LIMIT_KEYS: [&str; 2] = ["seats", "monthly"];

/// One change of usage, as a request that can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Change {
    path: String,
    body: Value,
    key: Option<String>,
    /// What it adds, where, if it is granted.
    effect: Vec<(Place, i64)>,
}

impl Change {
    fn new(path: impl Into<String>, body: Value, key: Option<String>, effect: Vec<(Place, i64)>) -> Self {
        Self { path: path.into(), body, key, effect }
    }

    pub(super) fn request(&self, client: &Client, url: &str) -> RequestBuilder {
        let request = client.post(format!("{url}{}", self.path)).bearer_auth(ADMIN_KEY);
        let request = request.header("Content-Type", "application/json");
        let request = match &self.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        if self.body.is_null() { request } else { request.body(self.body.to_string()) }
    }
}

/// What is known for sure, and what is not known.
#[derive(Debug, Default)]
pub(super) struct Book {
    sure: BTreeMap<Place, i64>,
    unknown: Vec<Change>,
    pub(super) refused: usize,
    pub(super) granted: usize,
}

impl Book {
    /// Notes an answer. A refusal, and a reservation that has ended otherwise, have no effect.
    pub(super) fn answered(&mut self, change: &Change, status: u16, body: &Value) {
        let is_granted = match status {
            200 | 201 => body["data"]["allowed"].as_bool().unwrap_or(true),
            _ => panic!("{change:?}: {status} {body}"),
        };
        if !is_granted {
            self.refused += 1;
            return;
        }
        self.granted += 1;
        for (place, amount) in &change.effect {
            *self.sure.entry(place.clone()).or_default() += amount;
        }
    }

    fn lost(&mut self, change: Change) {
        self.unknown.push(change);
    }

    /// The least and the most that may be used of a place.
    pub(super) fn bounds(&self, place: &Place) -> (i64, i64) {
        let sure = self.sure.get(place).copied().unwrap_or(0);
        let effects = self.unknown.iter().flat_map(|change| &change.effect).filter(|(at, _)| at == place);
        effects.fold((sure, sure), |(low, high), (_, amount)| (low + amount.min(&0), high + amount.max(&0)))
    }

    /// The changes that can be asked about again, which are known from then on.
    pub(super) fn take_unknown(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.unknown).into_iter().filter(|change| change.key.is_some()).collect()
    }

    /// What nobody can be asked about was found out by looking.
    pub(super) fn found(&mut self, place: Place, used: i64) {
        self.sure.insert(place, used);
    }
}

/// An answer's body.
pub(super) fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

pub(super) fn places(orgs: &[&str]) -> Vec<Place> {
    orgs.iter().flat_map(|org| LIMIT_KEYS.map(|limit_key| ((*org).to_owned(), limit_key))).collect()
}

/// One caller.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) name: String,
    pub(super) random: Random,
    pub(super) book: Arc<Mutex<Book>>,
    /// One permit for each answer.
    pub(super) answers: Arc<Semaphore>,
}

impl Caller {
    /// Takes until the server is gone.
    pub(super) async fn run(mut self) {
        for number in 0.. {
            let change = self.next(number);
            let Some(body) = self.send(change).await else { return };
            let Some(id) = body["data"]["id"].as_str() else { continue };
            let settling = self.settling(id, &body, number);
            if self.send(settling).await.is_none() {
                return;
            }
        }
    }

    fn next(&mut self, number: u32) -> Change {
        let amount = 1 + self.random.below(4);
        let limit_key = LIMIT_KEYS[usize::from(self.random.below(2) == 1)];
        let kind = self.random.below(8);
        let orgs: &[&str] = if kind < 2 { &UNKEYED } else { &KEYED };
        let pick = self.random.below(orgs.len() as u64);
        let org = orgs[usize::try_from(pick).expect("a small number")];
        let key = (kind >= 2).then(|| format!("{}-{number}", self.name));
        let effect = |amount: u64| (((org.to_owned()), limit_key), i64::try_from(amount).expect("a small number"));
        match kind {
            0..=4 => Change::new("/v1/consume", taking(org, limit_key, amount), key, vec![effect(amount)]),
            5 => {
                let items: Vec<Value> = LIMIT_KEYS.iter().map(|name| json!({"limitKey": name, "amount": amount})).collect();
                let amount = i64::try_from(amount).expect("a small number");
                let effect = LIMIT_KEYS.map(|name| ((org.to_owned(), name), amount)).to_vec();
                Change::new("/v1/consume/batch", json!({"org": org, "items": items}), key, effect)
            }
            _ => {
                let mut body = taking(org, limit_key, amount);
                body["ttlSeconds"] = json!(3_600);
                Change::new("/v1/reservations", body, key, vec![effect(amount)])
            }
        }
    }

    /// Confirms a reservation, which changes no sum, or gives it back.
    fn settling(&mut self, id: &str, reserved: &Value, number: u32) -> Change {
        let key = Some(format!("{}-{number}-end", self.name));
        if self.random.below(2) == 0 {
            return Change::new(format!("/v1/reservations/{id}/confirm"), Value::Null, key, Vec::new());
        }
        let org = reserved["data"]["org"].as_str().expect("an org").to_owned();
        let limit_key = LIMIT_KEYS.into_iter().find(|name| reserved["data"]["limitKey"] == *name).expect("a limit key");
        let amount = reserved["data"]["requested"].as_i64().expect("a number");
        Change::new(format!("/v1/reservations/{id}/release"), Value::Null, key, vec![((org, limit_key), -amount)])
    }

    /// The answer, or nothing when it was lost.
    async fn send(&self, change: Change) -> Option<Value> {
        let answer = match change.request(&self.client, &self.url).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                response.bytes().await.ok().map(|bytes| (status, parsed(&bytes)))
            }
            Err(_) => None,
        };
        let mut book = self.book.lock().expect("no panic");
        match answer {
            Some((status, body)) => {
                book.answered(&change, status, &body);
                self.answers.add_permits(1);
                Some(body)
            }
            None => {
                book.lost(change);
                None
            }
        }
    }
}
