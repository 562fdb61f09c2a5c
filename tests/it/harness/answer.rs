//! One answer, and what tests say about it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The method and the path that it answers.
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The text as JSON; null when it is something else.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn new(asked: String, status: u16, headers: HeaderMap, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { asked, status, headers, text, body }
    }

    /// Asserts the status.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        self
    }

    /// Asserts an error by its status and code.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{}: {}", self.asked, self.text);
        self
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("visible ASCII"))
    }

    /// The entity tag, which must be there.
    #[track_caller]
    pub(crate) fn etag(&self) -> &str {
        self.header("etag").unwrap_or_else(|| panic!("{} has no ETag", self.asked))
    }

    /// `meta.code`, or nothing in particular.
    pub(crate) fn code(&self) -> &str {
        self.body["meta"]["code"].as_str().unwrap_or_default()
    }

    /// The sentence of an error.
    pub(crate) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// What was answered.
    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// The items of a list.
    #[track_caller]
    pub(crate) fn items(&self) -> &[Value] {
        self.data().as_array().unwrap_or_else(|| panic!("{} is no list: {}", self.asked, self.text))
    }

    /// One field of every item of a list.
    #[track_caller]
    pub(crate) fn each(&self, field: &str) -> Vec<&str> {
        self.items().iter().map(|item| item[field].as_str().expect("text")).collect()
    }

    /// The paths of `meta.issues`, in order.
    #[track_caller]
    pub(crate) fn issues(&self) -> Vec<&str> {
        let issues = self.body["meta"]["issues"].as_array().unwrap_or_else(|| panic!("{} has no issues", self.text));
        issues.iter().map(|issue| issue["path"].as_str().expect("a path")).collect()
    }

    /// The catalogue revision of a write.
    #[track_caller]
    pub(crate) fn revision(&self) -> u64 {
        self.body["meta"]["revision"].as_u64().unwrap_or_else(|| panic!("{} has no revision: {}", self.asked, self.text))
    }

    /// Text at a JSON pointer.
    #[track_caller]
    pub(crate) fn text_at(&self, pointer: &str) -> &str {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text at {pointer} of {}", self.text))
    }
}
