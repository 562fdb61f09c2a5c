//! What is wrong with a piece of input, and where.

use serde::Serialize;

/// One finding about one place in the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// Where: a JSON path such as `checks[0].amount`, or the name of a parameter. Empty means the whole.
    pub path: String,
    /// What is wrong there, as a phrase that can stand behind the path.
    pub message: String,
}

impl Issue {
    /// A finding at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same finding inside of what is at `prefix`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        Self { path: format!("{prefix}{}", self.path), message: self.message }
    }
}

/// A value that did not satisfy its type; the phrase says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// A refusal with this phrase.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same finding, placed.
    pub fn at(self, path: impl Into<String>) -> Issue {
        Issue::new(path, self.0)
    }
}
