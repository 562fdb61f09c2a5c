//! Strict parsing: everything that is wrong with a document, each with its path.

use std::ops::ControlFlow;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use serde_json::Value as Json;

use crate::domain::issue::{Invalid, Issue};

/// A document may be wrong in many places; more findings than this help nobody.
const MAX_ISSUES: usize = 50;

/// Everything that was found wrong.
#[derive(Debug)]
pub struct Issues(pub Vec<Issue>);

/// Reads a typed value from JSON, or says everything that is wrong with it.
pub fn parse<T: Deserr<Issues>>(document: Json) -> Result<T, Vec<Issue>> {
    deserr::deserialize::<T, _, Issues>(document).map_err(|issues| issues.0)
}

impl Issues {
    fn with(this: Option<Self>, issue: Issue) -> ControlFlow<Self, Self> {
        let mut issues = this.map_or_else(Vec::new, |this| this.0);
        issues.push(issue);
        bounded(issues)
    }
}

fn bounded(issues: Vec<Issue>) -> ControlFlow<Issues, Issues> {
    if issues.len() < MAX_ISSUES { ControlFlow::Continue(Issues(issues)) } else { ControlFlow::Break(Issues(issues)) }
}

impl DeserializeError for Issues {
    fn error<V: IntoValue>(
        this: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let issue = match error {
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                let message = format!("must be {}, not {}", described(accepted), name_of(actual.kind()));
                Issue::new(path_of(location), message)
            }
            ErrorKind::MissingField { field } => Issue::new(path_of(location.push_key(field)), "is required"),
            ErrorKind::UnknownKey { key, accepted } => {
                let message = match accepted {
                    [] => "is not a known field; there are none".to_owned(),
                    known => format!("is not a known field; known are: {}", known.join(", ")),
                };
                Issue::new(path_of(location.push_key(key)), message)
            }
            ErrorKind::UnknownValue { accepted, .. } => {
                Issue::new(path_of(location), format!("must be one of {}", accepted.join(", ")))
            }
            ErrorKind::BadSequenceLen { expected, .. } => Issue::new(path_of(location), format!("must have {expected} items")),
            ErrorKind::Unexpected { msg } => Issue::new(path_of(location), msg),
        };
        Self::with(this, issue)
    }
}

impl MergeWithError<Self> for Issues {
    fn merge(this: Option<Self>, other: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut issues = this.map_or_else(Vec::new, |this| this.0);
        issues.extend(other.0);
        bounded(issues)
    }
}

impl MergeWithError<Invalid> for Issues {
    fn merge(this: Option<Self>, other: Invalid, location: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        Self::with(this, other.at(path_of(location)))
    }
}

fn path_of(location: ValuePointerRef<'_>) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev: ValuePointerRef::Origin } => key.to_owned(),
        ValuePointerRef::Key { key, prev } => format!("{}.{key}", path_of(*prev)),
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", path_of(*prev)),
    }
}

fn described(kinds: &[ValueKind]) -> String {
    let mut names: Vec<&str> = kinds.iter().map(|kind| name_of(*kind)).collect();
    names.dedup();
    names.join(" or ")
}

const fn name_of(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "a boolean",
        ValueKind::Integer => "a whole number",
        ValueKind::NegativeInteger => "a negative number",
        ValueKind::Float => "a fraction",
        ValueKind::String => "a string",
        ValueKind::Sequence => "an array",
        ValueKind::Map => "an object",
    }
}

#[cfg(test)]
mod tests {
    use deserr::Deserr;
    use serde_json::json;

    use super::*;
    use crate::domain::bound::Quantity;
    use crate::domain::names::OrgId;

    #[derive(Debug, Deserr)]
    #[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        org: OrgId,
        #[expect(dead_code, reason = "only its parsing is looked at")]
        #[deserr(default)]
        amount: Option<Quantity>,
    }

    #[test]
    fn every_issue_is_named_at_once() {
        let issues =
            parse::<Example>(json!({"org": "a b", "amount": 9_007_199_254_740_992_u64, "x": 1})).expect_err("three issues");
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["org", "amount", "x"]);
    }

    #[test]
    fn fractions_negatives_and_strings_are_not_quantities() {
        let too_large = [json!(9_007_199_254_740_992.0), json!(1e300)];
        for bad in [json!(1.5), json!(-1), json!(-1.0), json!("5"), json!([5]), json!(true)].into_iter().chain(too_large) {
            assert!(parse::<Example>(json!({"org": "a", "amount": bad})).is_err(), "{bad}");
        }
        for good in [json!(5), json!(5.0), json!(0.0), json!(-0.0), json!(9_007_199_254_740_991.0)] {
            assert!(parse::<Example>(json!({"org": "a", "amount": good})).is_ok(), "{good}");
        }
        assert!(parse::<Example>(json!({"org": "a"})).is_ok());
    }

    #[test]
    fn missing_fields_are_named() {
        let issues = parse::<Example>(json!({})).expect_err("org is missing");
        assert_eq!(issues, [Issue::new("org", "is required")]);
    }
}
