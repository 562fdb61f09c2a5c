//! Which operations are called: drawn from a seed over few names, so that they meet each other.

mod admin;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::{Value, json};

use super::likeness::Likeness;
use crate::harness::Answer;
use crate::ledger::chance::Chance;

/// Names that languages sort in another order than bytes. The last was never registered at first.
const ORGS: [&str; 6] = ["acme", "Zeta", "beta-1", "beta_1", "Beta.1", "ghost"];
const RESOURCES: [&str; 5] = ["p1", "P1", "p-1", "p_1", "p.1"];
const TIERS: [&str; 4] = ["free", "pro", "pro-2", "pro_2"];
const USERS: [&str; 3] = ["ann", "Bob", "x@y"];
/// Limit keys, with what their values look like.
const LIMIT_KEYS: [(&str, Form); 11] = [
    ("seats", Form::Max),
    ("bots", Form::Max),
    ("posts", Form::Max),
    ("calls", Form::Max),
    ("mails", Form::Max),
    ("pings", Form::Max),
    ("bursts", Form::Max),
    ("history", Form::Days),
    ("polling", Form::Min),
    ("sso", Form::Enabled),
    ("extra", Form::Max),
];
/// Those that usage is taken of; what is counted per project is the third, the last comes and goes.
const TAKEN: [&str; 7] = ["seats", "bots", "posts", "calls", "mails", "pings", "extra"];
const PER_PROJECT: &str = "posts";
/// Every answer that there is to be met, and how often at least.
const EXPECTED: [(&str, usize); 24] = [
    ("POST /v1/consume 200", 500),
    ("POST /v1/consume 402", 10),
    ("POST /v1/consume 429", 5),
    ("POST /v1/consume 409", 5),
    ("POST /v1/consume/batch 200", 200),
    ("POST /v1/release 200", 100),
    ("POST /v1/release 409", 50),
    ("POST /v1/reservations 201", 200),
    ("POST /v1/reservations/{} 200", 100),
    ("POST /v1/reservations/{} 409", 20),
    ("GET /v1/reservations/{} 200", 50),
    ("PUT /v1/orgs/{} 200", 100),
    ("GET /v1/orgs/{} 200", 200),
    ("POST /v1/check 200", 200),
    ("POST /v1/check 404", 5),
    ("POST /v1/check/batch 200", 50),
    ("POST /v1/authorize 200", 50),
    ("PUT /v1/admin/orgs/{} 200", 50),
    ("DELETE /v1/admin/orgs/{} 200", 3),
    ("PUT /v1/admin/tiers/{} 412", 3),
    ("POST /v1/admin/api-keys 201", 20),
    ("GET /v1/admin/audit 200", 50),
    ("PUT /v1/admin/catalog 200", 20),
    ("GET /v1/admin/api-keys 200", 20),
];
/// Calls that were replayed, and calls under a key that was used for another.
const REPLAYED: usize = 50;

/// The form of a value.
#[derive(Clone, Copy, Debug)]
enum Form {
    Max,
    Days,
    Min,
    Enabled,
}

/// One call, with `<kind:index>` in the place of names that the products have made.
pub(super) struct Call {
    pub(super) id: String,
    /// How far the clock is set forward before it, in milliseconds.
    pub(super) forward: Option<i64>,
    /// Whose; nobody's is the admin's.
    pub(super) bearer: Option<String>,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
}

impl Call {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        let (headers, path) = (Vec::new(), path.into());
        Self { id: String::new(), forward: None, bearer: None, method, path, headers, body: None }
    }

    fn with(self, body: &Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }

    fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).with(body)
    }

    fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PUT", path).with(body)
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// What it is called, whatever it is about.
    fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let words: Vec<&str> = path.split('/').collect();
        let depth = if path.starts_with("/v1/admin/") { 4 } else { 3 };
        let is_named = words.len() > depth && !["/v1/consume/batch", "/v1/check/batch"].contains(&path);
        if is_named { format!("{} {}/{{}}", self.method, words[..depth].join("/")) } else { format!("{} {path}", self.method) }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, headers, body, bearer, forward, .. } = self;
        write!(f, "{method} {path} {}", body.as_deref().unwrap_or_default())?;
        if let Some(forward) = forward {
            write!(f, " after {forward} ms")?;
        }
        write!(f, " {headers:?} {bearer:?}")
    }
}

/// What is drawn from.
pub(super) struct Draw {
    chance: Chance,
    /// The entity tag that a path was answered with last.
    tags: HashMap<String, String>,
    /// Calls that had an idempotency key.
    keyed: Vec<(String, Call)>,
    /// What was met, and how often.
    met: BTreeMap<String, usize>,
    replayed: usize,
    reused: usize,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let (tags, keyed, met) = (HashMap::new(), Vec::new(), BTreeMap::new());
        Self { chance: Chance::new(seed), tags, keyed, met, replayed: 0, reused: 0 }
    }

    /// The next call. The first of all is the catalogue.
    pub(super) fn next(&mut self, number: usize, likeness: &Likeness, now: i64) -> Call {
        let call = match number {
            0 => Call::put("/v1/admin/catalog", &admin::catalogue()),
            1..=5 => Call::put(format!("/v1/admin/orgs/{}", ORGS[number - 1]), &json!({"tier": TIERS[number % TIERS.len()]})),
            _ => self.any(likeness, now),
        };
        let forward = (number > 5 && self.chance.percent(3)).then(|| self.forward());
        Call { id: format!("call-{number}"), forward, ..call }
    }

    /// Mostly little, sometimes some hours: some days in all.
    fn forward(&mut self) -> i64 {
        let millis = match self.chance.below(10) {
            0..=3 => self.chance.between(1, 999),
            4..=6 => self.chance.between(1_000, 90_000),
            7..=8 => self.chance.between(60_000, 600_000),
            _ => self.chance.between(1_000_000, 10_000_000),
        };
        i64::try_from(millis).expect("some hours")
    }

    fn any(&mut self, likeness: &Likeness, now: i64) -> Call {
        if !self.keyed.is_empty() && self.chance.percent(5) {
            return self.again();
        }
        let call = match self.chance.below(100) {
            0..=51 => self.usage(likeness, now),
            52..=71 => self.question(likeness),
            72..=97 => self.administration(likeness),
            _ => self.nonsense(),
        };
        let call = self.as_somebody(call, likeness);
        let call = self.on_condition(call);
        self.under_a_key(call)
    }

    /// One that was sent before, or its idempotency key for another.
    fn again(&mut self) -> Call {
        let from = self.keyed.len().saturating_sub(60);
        let (key, earlier) = &self.keyed[from + self.chance.index(self.keyed.len() - from)];
        let (mut path, mut body) = (earlier.path.clone(), earlier.body.clone());
        match self.chance.below(10) {
            0 => body = Some(json!({"org": ORGS[0], "limitKey": "bots", "amount": 2}).to_string()),
            1 => "/v1/release".clone_into(&mut path),
            _ => {}
        }
        let headers = vec![("Idempotency-Key", key.clone())];
        Call { bearer: earlier.bearer.clone(), headers, body, ..Call::new("POST", path) }
    }

    fn under_a_key(&mut self, mut call: Call) -> Call {
        let takes_one =
            call.method == "POST" && !["/v1/check", "/v1/admin/what-if", "/ofrep"].iter().any(|one| call.path.starts_with(one));
        if takes_one && self.chance.percent(15) {
            let key = format!("key-{}", self.chance.below(100_000));
            call.headers.push(("Idempotency-Key", key.clone()));
            let copy = Call { bearer: call.bearer.clone(), body: call.body.clone(), ..Call::new("POST", call.path.clone()) };
            self.keyed.push((key, copy));
        }
        call
    }

    fn on_condition(&mut self, mut call: Call) -> Call {
        if call.path.starts_with("/v1/admin/") && call.method != "GET" && self.chance.percent(10) {
            let tag = self.tags.get(&call.path).cloned();
            match (tag, self.chance.below(4)) {
                (_, 0) if call.method == "PUT" => call.headers.push(("If-None-Match", "*".to_owned())),
                (Some(tag), 1..=2) => call.headers.push(("If-Match", tag)),
                (_, _) => call.headers.push(("If-Match", "\"1\"".to_owned())),
            }
        }
        call
    }

    /// Mostly the admin, otherwise somebody with an API key.
    fn as_somebody(&mut self, call: Call, likeness: &Likeness) -> Call {
        let bearer = match self.chance.below(100) {
            0..=11 => self.made("plm", likeness),
            12 => Some(format!("plm_{}", "e".repeat(64))),
            _ => None,
        };
        Call { bearer, ..call }
    }

    /// Something that the products have made, if they have made any: mostly one of the last.
    fn made(&mut self, kind: &str, likeness: &Likeness) -> Option<String> {
        let count = likeness.pairs.get(kind).map_or(0, Vec::len);
        let few = if self.chance.percent(80) { 8 } else { count };
        let index = (count > 0).then(|| count - 1 - self.chance.index(few.min(count)))?;
        Some(format!("<{kind}:{index}>"))
    }

    fn org(&mut self) -> &'static str {
        // The first has the most.
        let any: &&str = self.chance.pick(&ORGS);
        if self.chance.percent(40) { ORGS[0] } else { any }
    }

    fn value(&mut self, form: Form) -> Value {
        let number = self.chance.below(12);
        match form {
            Form::Enabled => json!({"enabled": self.chance.percent(50)}),
            _ if self.chance.percent(10) => json!({"unlimited": true}),
            Form::Max => json!({"max": number * number}),
            Form::Days => json!({"days": number}),
            Form::Min => json!({"min": number}),
        }
    }

    /// What no operation takes.
    fn nonsense(&mut self) -> Call {
        let bodies =
            ["{", "[]", "{\"org\":1}", "{\"org\":\"acme\",\"limitKey\":\"seats\",\"amount\":0,\"more\":1}", "\"\\u0000\""];
        let paths = ["/v1/consume", "/v1/check", "/v1/reservations", "/v1/admin/api-keys", "/v1/consume/batch", "/v1/nowhere"];
        match self.chance.below(3) {
            0 => Call::get(*self.chance.pick(&[
                "/v1/orgs/a%00b/usage",
                "/v1/admin/orgs?limit=0",
                "/v1/admin/tiers?cursor=x",
                "/v1/reservations/res_1",
            ])),
            _ => Call { body: Some((*self.chance.pick(&bodies)).to_owned()), ..Call::new("POST", *self.chance.pick(&paths)) },
        }
    }

    /// Takes note of what was met.
    pub(super) fn learn(&mut self, call: &Call, answer: &Answer) {
        *self.met.entry(format!("{} {}", call.kind(), answer.status)).or_default() += 1;
        self.replayed += usize::from(answer.header("idempotent-replayed").is_some());
        self.reused += usize::from(answer.code() == "idempotency_key_reused");
        if let Some(tag) = answer.header("etag") {
            self.tags.insert(call.path.clone(), tag.to_owned());
        }
    }

    /// Fails if something came up too seldom for the test to prove anything.
    pub(super) fn has_met_everything(&self) {
        let seldom = EXPECTED.iter().filter(|(what, times)| self.met.get(*what).is_none_or(|met| met < times));
        let seldom: Vec<_> = seldom.collect();
        assert!(seldom.is_empty(), "{seldom:?} came up too seldom: {:#?}", self.met);
        assert!(self.replayed > REPLAYED && self.reused > 5, "{} were replayed, {} reused", self.replayed, self.reused);
        assert!(self.met.keys().all(|what| !what.ends_with(" 500") && !what.ends_with(" 503")), "{:#?}", self.met);
    }
}
