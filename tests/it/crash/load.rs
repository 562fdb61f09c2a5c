//! Callers that take until the server is gone or they are told to stop, and the book of what they know about what they took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::random::Random;
use super::{current, taking};
use crate::harness::{ADMIN_KEY, Actor, Plimsoll};

/// An org and a limit key.
pub(crate) type Place = (String, &'static str);

/// Orgs whose takings all carry an idempotency key, and orgs whose takings do not.
pub(crate) const KEYED: [&str; 3] = ["keyed-1", "keyed-2", "keyed-3"];
pub(crate) const UNKEYED: [&str; 2] = ["unkeyed-1", "unkeyed-2"];
/// How soon a call without a known outcome is sent again.
const PACE: Duration = Duration::from_millis(20);
const LIMIT_KEYS: [&str; 2] = ["seats", "monthly"];

/// One change of usage, as a request that can be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Change {
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

    pub(crate) fn request(&self, client: &Client, url: &str) -> RequestBuilder {
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
pub(crate) struct Book {
    sure: BTreeMap<Place, i64>,
    unknown: Vec<Change>,
    pub(crate) refused: usize,
    pub(crate) granted: usize,
    /// Answers that say that the outcome is not known.
    pub(crate) unavailable: usize,
    /// Calls without an answer.
    pub(crate) unanswered: usize,
    /// The longest that an answer took.
    pub(crate) slowest: Duration,
}

impl Book {
    /// Notes an answer. A refusal, and a reservation that has ended otherwise, have no effect.
    pub(crate) fn answered(&mut self, change: &Change, status: u16, body: &Value) {
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
    pub(crate) fn bounds(&self, place: &Place) -> (i64, i64) {
        let sure = self.sure.get(place).copied().unwrap_or(0);
        let effects = self.unknown.iter().flat_map(|change| &change.effect).filter(|(at, _)| at == place);
        effects.fold((sure, sure), |(low, high), (_, amount)| (low + amount.min(&0), high + amount.max(&0)))
    }

    /// The changes that can be asked about again, which are known from then on.
    pub(crate) fn take_unknown(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.unknown).into_iter().filter(|change| change.key.is_some()).collect()
    }

    /// What nobody can be asked about was found out by looking.
    pub(crate) fn found(&mut self, place: Place, used: i64) {
        self.sure.insert(place, used);
    }
}

/// An answer's body.
pub(crate) fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

pub(crate) fn places(orgs: &[&str]) -> Vec<Place> {
    orgs.iter().flat_map(|org| LIMIT_KEYS.map(|limit_key| ((*org).to_owned(), limit_key))).collect()
}

/// Where callers send to, which may change while they call.
#[derive(Clone, Debug)]
pub(crate) struct Servers(Arc<Mutex<Vec<String>>>);

impl Servers {
    pub(crate) fn at(urls: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new(urls.into_iter().collect())))
    }

    /// These from now on.
    pub(crate) fn set(&self, urls: impl IntoIterator<Item = String>) {
        *self.lock() = urls.into_iter().collect();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Each of them, turn by turn; there is always one.
    fn pick(&self, turn: u64) -> String {
        let urls = self.lock();
        let place = turn % u64::try_from(urls.len()).expect("a small number");
        urls[usize::try_from(place).expect("a small number")].clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a caller goes on.
#[derive(Clone, Debug)]
pub(crate) enum Until {
    /// Until an answer is lost: the server is gone, and it gives no answer that is neither a grant nor a refusal.
    Gone,
    /// Until it is told to stop, whatever it is answered.
    Told(Arc<AtomicBool>),
}

/// What callers have in common.
#[derive(Clone)]
pub(crate) struct Crew {
    pub(crate) client: Client,
    pub(crate) servers: Servers,
    pub(crate) book: Arc<Mutex<Book>>,
    /// One permit for each answer.
    pub(crate) answers: Arc<Semaphore>,
    pub(crate) until: Until,
}

impl Crew {
    /// Callers on servers, who write into a book.
    pub(crate) fn on(servers: Servers, book: &Arc<Mutex<Book>>, until: Until) -> Self {
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { client, servers, book: Arc::clone(book), answers: Arc::new(Semaphore::new(0)), until }
    }

    /// Starts so many of them. Their idempotency keys begin with a name that no others have.
    pub(crate) fn start(&self, callers: usize, name: &str, random: &mut Random) -> Vec<JoinHandle<()>> {
        let caller = |number| {
            let name = format!("{name}-{number}");
            Caller { crew: self.clone(), name, random: random.split(), has_lost: false }
        };
        (0..callers).map(caller).map(|caller| tokio::spawn(caller.run())).collect()
    }
}

/// One caller.
struct Caller {
    crew: Crew,
    name: String,
    random: Random,
    /// An answer did not come.
    has_lost: bool,
}

impl Caller {
    /// Takes for as long as it is to go on.
    async fn run(mut self) {
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            let change = self.next(number);
            let answer = self.send(change).await;
            if let Some((id, body)) = answer.as_ref().and_then(|body| Some((body["data"]["id"].as_str()?, body))) {
                let settling = self.settling(id, body, number);
                self.send(settling).await;
            }
        }
    }

    fn goes_on(&self) -> bool {
        match &self.crew.until {
            Until::Gone => !self.has_lost,
            Until::Told(is_over) => !is_over.load(Ordering::SeqCst),
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

    /// The answer, or nothing when it is not known. Who goes on whatever happens asks again for as long as that can be done.
    async fn send(&mut self, change: Change) -> Option<Value> {
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            let body = self.send_once(&change).await;
            if body.is_some() {
                return body;
            }
            let asks_again = change.key.is_some() && matches!(self.crew.until, Until::Told(_)) && self.goes_on();
            if !asks_again {
                lock(&self.crew.book).lost(change);
                return None;
            }
        }
    }

    async fn send_once(&mut self, change: &Change) -> Option<Value> {
        let url = self.crew.servers.pick(self.random.below(1 << 32));
        let begun = Instant::now();
        let answer = answer(change.request(&self.crew.client, &url)).await;
        let mut book = lock(&self.crew.book);
        book.slowest = book.slowest.max(begun.elapsed());
        let Some((status, body)) = answer else {
            self.has_lost = true;
            book.unanswered += 1;
            return None;
        };
        self.crew.answers.add_permits(1);
        if matches!(self.crew.until, Until::Told(_)) && is_not_known(status, &body) {
            book.unavailable += 1;
            return None;
        }
        book.answered(change, status, &body);
        Some(body)
    }
}

/// Storage is away, or the first call with this key has not ended.
fn is_not_known(status: u16, body: &Value) -> bool {
    matches!((status, body["meta"]["code"].as_str()), (503, Some("unavailable")) | (409, Some("idempotency_in_progress")))
}

/// The status and the body, if they came.
async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    response.bytes().await.ok().map(|bytes| (status, parsed(&bytes)))
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().expect("no panic")
}

/// Acknowledged <= used <= acknowledged + unknown, and never above the cap.
pub(crate) async fn assert_bounds(admin: &Actor, book: &Mutex<Book>, max: u64) {
    for place in places(&[KEYED.as_slice(), &UNKEYED].concat()) {
        let used = i64::try_from(current(admin, &place.0, place.1).await).expect("a small number");
        let (low, high) = lock(book).bounds(&place);
        assert!((low..=high).contains(&used), "{place:?}: {used} is not from {low} to {high}");
        assert!(used <= i64::try_from(max).expect("a small number"), "{place:?}: {used} is above the cap");
        if UNKEYED.contains(&place.0.as_str()) {
            lock(book).found(place, used);
        }
    }
}

/// Asks for every answer that was lost, holds usage to exactly what was granted, and says how many were lost.
pub(crate) async fn assert_exact(server: &Plimsoll, book: &Mutex<Book>) -> usize {
    let client = Client::builder().no_proxy().build().expect("a client");
    let unknown = lock(book).take_unknown();
    let asked = unknown.len();
    for change in unknown {
        let (status, body) = answer(change.request(&client, &server.url(""))).await.expect("an answer");
        lock(book).answered(&change, status, &body);
    }
    for place in places(&[KEYED.as_slice(), &UNKEYED].concat()) {
        let used = i64::try_from(current(&server.admin(), &place.0, place.1).await).expect("a small number");
        assert_eq!(lock(book).bounds(&place), (used, used), "{place:?}");
    }
    asked
}
