//! Scenarios as data: `tests/scenarios/*.yaml`, loaded once for every way of asking.
//!
//! `cases()` gives them all. Whoever runs them resolves each with `Case::at`, sets up `plan` and `org`, asks `body` and
//! hands the status and the envelope of the answer to `Case::mismatch`.

mod document;
mod http;
mod matching;
mod placeholder;
mod pure;

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::domain::time::UtcMillis;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use placeholder::resolved;

/// Where a case can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Only {
    /// The state that it needs cannot be had over HTTP, or its answer depends on the clock.
    Pure,
    /// What it shows is not the decision's to say.
    Http,
}

/// The org that asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Org {
    /// Its id, another for each case.
    #[serde(skip)]
    pub(crate) id: String,
    pub(crate) tier: String,
    pub(crate) banned: bool,
    pub(crate) registered: bool,
    /// As they are posted.
    pub(crate) overrides: Vec<Value>,
    /// As it is put.
    pub(crate) scheduled: Vec<Value>,
}

impl Default for Org {
    fn default() -> Self {
        Self {
            id: String::new(),
            tier: "free".to_owned(),
            banned: false,
            registered: true,
            overrides: Vec::new(),
            scheduled: Vec::new(),
        }
    }
}

/// What Plimsoll holds for the org before the question.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Held {
    pub(crate) used: u64,
    pub(crate) held: u64,
}

/// What the sliding window of the API key holds before the question.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sliding {
    pub(crate) used: u64,
    /// Seconds until the oldest leaves.
    pub(crate) frees_in: u64,
}

/// A question, what must be so before it, and the answer.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file and the sentence.
    pub(crate) name: String,
    /// The catalogue document.
    pub(crate) plan: Value,
    pub(crate) org: Org,
    pub(crate) usage: Option<Held>,
    pub(crate) window: Option<Sliding>,
    /// The body of `POST /v1/check`.
    pub(crate) body: Value,
    pub(crate) status: u16,
    /// A part of `data` with status 200, else a part of `meta`.
    pub(crate) expected: Value,
    pub(crate) only: Option<Only>,
}

impl Case {
    /// The same with every `${today±days}`, `${now±seconds}` and `${key}` filled in. Resolve right before asking.
    pub(crate) fn at(&self, now: UtcMillis, key_id: &str) -> Self {
        let fill = |value: &Value| resolved(value, now, key_id);
        let [overrides, scheduled] = [&self.org.overrides, &self.org.scheduled].map(|all| all.iter().map(fill).collect());
        let org = Org { overrides, scheduled, ..self.org.clone() };
        Self { org, body: fill(&self.body), expected: fill(&self.expected), ..self.clone() }
    }

    /// What the answer has otherwise than expected; nothing when it is as expected.
    pub(crate) fn mismatch(&self, status: u16, envelope: &Value) -> Option<String> {
        let (part, other, is_error) = if self.status == 200 { ("data", "meta", false) } else { ("meta", "data", true) };
        let found = if status != self.status {
            Some(format!("status {status} instead of {}", self.status))
        } else if envelope["error"].is_string() != is_error || (is_error && !envelope[other].is_null()) {
            Some("the envelope is neither an answer nor an error".to_owned())
        } else {
            matching::mismatch(part, &self.expected, &envelope[part])
        };
        found.map(|what| format!("{}: {what}\n  asked: {}\n  answer: {envelope}", self.name, self.body))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plan: Value,
    cases: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    org: Org,
    usage: Option<Held>,
    window: Option<Sliding>,
    ask: Map<String, Value>,
    #[serde(default = "ok")]
    status: u16,
    expect: Value,
    only: Option<Only>,
}

const fn ok() -> u16 {
    200
}

/// Every case of every file, in order.
pub(crate) fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.iter().flat_map(|path| cases_of(path)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn cases_of(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).expect("a readable file");
    let file: File = yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let numbered = file.cases.into_iter().enumerate();
    numbered.map(|(number, written)| case(&stem, number, &file.plan, written)).collect()
}

fn case(stem: &str, number: usize, plan: &Value, written: Written) -> Case {
    let Written { name, org, usage, window, mut ask, status, expect, only } = written;
    let org = Org { id: format!("{stem}-{number}"), ..org };
    ask.insert("org".to_owned(), json!(org.id));
    let name = format!("{stem}: {name}");
    Case { name, plan: plan.clone(), org, usage, window, body: Value::Object(ask), status, expected: expect, only }
}
