//! Limit keys: named things that are limited, each of one kind.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::bound::{Bound, Quantity};
use super::issue::{Invalid, Issue};
use super::names::{LimitKeyName, ResourceKind};
use super::threshold::{Thresholds, USUAL};
use super::time::UtcMillis;
use super::value::{Value, WrittenValue};
use super::window::Window;

/// The longest sliding window: 31 days, the length of the longest calendar window.
pub const MAX_WINDOW_SECONDS: u64 = 2_678_400;
/// Labels, buckets and units stand in sentences and headers; 64 characters keep those readable.
pub const MAX_LABEL: usize = 64;
/// A description is a paragraph, not a document.
pub const MAX_DESCRIPTION: usize = 1_024;

/// The kinds of limit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// How many may exist.
    Count,
    /// How many per calendar window.
    Quota,
    /// How many per sliding window, per API key.
    Rate,
    /// Days of history.
    Retention,
    /// The smallest allowed interval.
    Interval,
    /// On or off.
    Feature,
}

impl Kind {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 6] = [Self::Count, Self::Quota, Self::Rate, Self::Retention, Self::Interval, Self::Feature];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Quota => "quota",
            Self::Rate => "rate",
            Self::Retention => "retention",
            Self::Interval => "interval",
            Self::Feature => "feature",
        }
    }

    /// How a value of this kind is written.
    pub const fn value_form(self) -> &'static str {
        match self {
            Self::Count | Self::Quota | Self::Rate => r#"{"max": <number>} or {"unlimited": true}"#,
            Self::Retention => r#"{"days": <number>} or {"unlimited": true}"#,
            Self::Interval => r#"{"min": <number>}"#,
            Self::Feature => r#"{"enabled": true} or {"enabled": false}"#,
        }
    }

    /// The value that grants nothing: what a limit key's default is when none is given.
    pub const fn nothing(self) -> Value {
        match self {
            Self::Count | Self::Quota | Self::Rate => Value::Max(Bound::Limited(Quantity::ZERO)),
            Self::Retention => Value::Days(Bound::Limited(Quantity::ZERO)),
            Self::Interval => Value::Min(Quantity::ZERO),
            Self::Feature => Value::Enabled(false),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| Invalid::new("must be one of count, quota, rate, retention, interval, feature"))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a limit is counted per.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    /// The org as a whole.
    Org,
    /// Each resource of this kind inside the org.
    Resource(ResourceKind),
}

impl Per {
    /// Its name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Org => "org",
            Self::Resource(kind) => kind.as_str(),
        }
    }
}

impl FromStr for Per {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "org" => Ok(Self::Org),
            _ => ResourceKind::parse(text).map(Self::Resource),
        }
    }
}

/// What each kind knows beside its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// How many may exist.
    Count,
    /// How many per calendar window.
    Quota {
        /// The calendar window.
        window: Window,
        /// What is counted, as it stands in the refusal's sentence (`API request`).
        label: String,
        /// Whether every request through the gate takes one.
        per_request: bool,
    },
    /// How many per sliding window, per API key.
    Rate {
        /// The window's length.
        window_seconds: u64,
        /// The name that the refusal carries (`v1Api`).
        bucket: String,
        /// Whether every request through the gate takes one.
        per_request: bool,
    },
    /// Days of history.
    Retention,
    /// The smallest allowed interval, in this unit.
    Interval {
        /// `hours`, `minutes`, …
        unit: String,
    },
    /// On or off.
    Feature,
}

impl Rule {
    /// The kind whose rule it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Count => Kind::Count,
            Self::Quota { .. } => Kind::Quota,
            Self::Rate { .. } => Kind::Rate,
            Self::Retention => Kind::Retention,
            Self::Interval { .. } => Kind::Interval,
            Self::Feature => Kind::Feature,
        }
    }
}

/// That a limit key is no longer asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Since when.
    pub at: UtcMillis,
    /// The limit key to ask about instead.
    pub replacement: Option<LimitKeyName>,
}

/// A limit key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitKey {
    /// Its name.
    pub name: LimitKeyName,
    /// Its kind, with what the kind needs.
    pub rule: Rule,
    /// What it is counted per.
    pub per: Per,
    /// The value where a tier says nothing.
    pub default: Value,
    /// The thresholds that are its own; the usual ones when it has none. Only what is counted has any.
    pub thresholds: Option<Thresholds>,
    /// For people.
    pub description: String,
    /// Set when it is archived.
    pub archived: Option<Archived>,
}

impl LimitKey {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.rule.kind()
    }

    /// The percents of its cap whose crossing is told, in order.
    pub fn thresholds(&self) -> &[u64] {
        self.thresholds.as_ref().map_or(&USUAL, Thresholds::percents)
    }

    /// What is written says whether a limit key is archived, not since when: a date that `before` has stays.
    pub fn keep_archive_date(&mut self, before: Option<&Self>) {
        let known = before.and_then(|before| before.archived.as_ref());
        if let (Some(known), Some(archived)) = (known, self.archived.as_mut()) {
            archived.at = known.at;
        }
    }
}

/// A limit key as it was written, before its kind says which fields belong.
#[derive(Clone, Debug)]
pub struct WrittenLimitKey {
    /// `kind`
    pub kind: Kind,
    /// `per`
    pub per: Option<Per>,
    /// `default`
    pub default: Option<WrittenValue>,
    /// `description`
    pub description: Option<String>,
    /// `window`
    pub window: Option<Window>,
    /// `label`
    pub label: Option<String>,
    /// `perRequest`
    pub per_request: Option<bool>,
    /// `windowSeconds`
    pub window_seconds: Option<u64>,
    /// `bucket`
    pub bucket: Option<String>,
    /// `unit`
    pub unit: Option<String>,
    /// `thresholds`
    pub thresholds: Option<Vec<u64>>,
    /// `archived`
    pub archived: Option<bool>,
    /// `replacement`
    pub replacement: Option<LimitKeyName>,
}

impl WrittenLimitKey {
    /// The limit key, or every field that is missing, out of range or not taken by the kind.
    /// Paths start with `prefix`; one that is archived is so since `now`.
    pub fn named(self, name: LimitKeyName, prefix: &str, now: UtcMillis) -> Result<LimitKey, Vec<Issue>> {
        let mut issues = self.misplaced(prefix);
        let mut note = |field: &str, message: String| issues.push(Issue::new(format!("{prefix}{field}"), message));
        if let Some(description) = &self.description
            && let Err(invalid) = check_text(description, MAX_DESCRIPTION)
        {
            note("description", invalid.0);
        }
        for (field, text) in [("label", &self.label), ("bucket", &self.bucket), ("unit", &self.unit)] {
            if let Some(Err(invalid)) = text.as_ref().map(|text| check_label(text)) {
                note(field, invalid.0);
            }
        }
        let kind = self.kind;
        let default = self.default.map_or(Ok(kind.nothing()), |written| written.for_kind(kind));
        let default = default.map_err(|invalid| note("default", invalid.0));
        let thresholds = self.thresholds.clone().map(Thresholds::parse).transpose();
        let thresholds = thresholds.map_err(|invalid| note("thresholds", invalid.0));
        let description = self.description.clone().unwrap_or_default();
        let per = self.per.clone().unwrap_or(Per::Org);
        let is_archived = self.archived == Some(true);
        let archived = is_archived.then(|| Archived { at: now, replacement: self.replacement.clone() });
        let rule = self.rule(&name).map_err(|missing| note(missing.path.as_str(), missing.message));
        match (default, rule, thresholds) {
            (Ok(default), Ok(rule), Ok(thresholds)) if issues.is_empty() => {
                Ok(LimitKey { name, rule, per, default, thresholds, description, archived })
            }
            _ => Err(issues),
        }
    }

    fn rule(self, name: &LimitKeyName) -> Result<Rule, Issue> {
        let required = |field: &str| Issue::new(field, format!("is required for a limit key of kind {}", self.kind));
        let per_request = self.per_request.unwrap_or(false);
        Ok(match self.kind {
            Kind::Count => Rule::Count,
            Kind::Quota => Rule::Quota {
                window: self.window.ok_or_else(|| required("window"))?,
                label: self.label.unwrap_or_else(|| name.to_string()),
                per_request,
            },
            Kind::Rate => {
                let window_seconds = self.window_seconds.ok_or_else(|| required("windowSeconds"))?;
                if !(1..=MAX_WINDOW_SECONDS).contains(&window_seconds) {
                    let range = format!("must be a whole number from 1 to {MAX_WINDOW_SECONDS}");
                    return Err(Issue::new("windowSeconds", range));
                }
                Rule::Rate { window_seconds, bucket: self.bucket.unwrap_or_else(|| name.to_string()), per_request }
            }
            Kind::Retention => Rule::Retention,
            Kind::Interval => Rule::Interval { unit: self.unit.ok_or_else(|| required("unit"))? },
            Kind::Feature => Rule::Feature,
        })
    }

    fn misplaced(&self, prefix: &str) -> Vec<Issue> {
        let kind = self.kind;
        let is_archived = self.archived == Some(true);
        let fields = [
            ("replacement", self.replacement.is_some(), is_archived),
            ("per", matches!(self.per, Some(Per::Resource(_))), matches!(kind, Kind::Count | Kind::Quota)),
            ("window", self.window.is_some(), kind == Kind::Quota),
            ("label", self.label.is_some(), kind == Kind::Quota),
            ("perRequest", self.per_request.is_some(), matches!(kind, Kind::Quota | Kind::Rate)),
            ("windowSeconds", self.window_seconds.is_some(), kind == Kind::Rate),
            ("bucket", self.bucket.is_some(), kind == Kind::Rate),
            ("unit", self.unit.is_some(), kind == Kind::Interval),
            ("thresholds", self.thresholds.is_some(), matches!(kind, Kind::Count | Kind::Quota)),
        ];
        let is_taken_by_all = self.per_request == Some(true) && matches!(self.per, Some(Per::Resource(_)));
        let per_resource = is_taken_by_all.then(|| {
            Issue::new(
                format!("{prefix}perRequest"),
                "must be false for what is counted per resource: a request has no resource",
            )
        });
        let misplaced = fields.into_iter().filter(|(_, is_given, is_taken)| *is_given && !is_taken);
        misplaced
            .map(|(field, ..)| match field {
                "replacement" => Issue::new(format!("{prefix}replacement"), "is taken only with \"archived\": true"),
                "per" => Issue::new(format!("{prefix}per"), format!("must be org for a limit key of kind {kind}")),
                _ => Issue::new(format!("{prefix}{field}"), format!("is not taken by a limit key of kind {kind}")),
            })
            .chain(per_resource)
            .collect()
    }
}

/// A label is a short printable text: it is quoted in sentences and headers.
pub fn check_label(text: &str) -> Result<(), Invalid> {
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_trimmed = text.trim() == text;
    if (1..=MAX_LABEL).contains(&text.len()) && is_printable && is_trimmed {
        Ok(())
    } else {
        Err(Invalid::new("must be 1 to 64 printable ASCII characters without surrounding spaces"))
    }
}

/// Free text for people: bounded, and without control characters (a database refuses U+0000).
pub fn check_text(text: &str, max: usize) -> Result<(), Invalid> {
    let length = text.chars().count();
    if length <= max && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        Ok(())
    } else {
        Err(Invalid::new(format!("must be at most {max} characters without control characters")))
    }
}

#[cfg(test)]
#[path = "limit_key_tests.rs"]
mod tests;
