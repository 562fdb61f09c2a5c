//! Reads the plan of a scenario by the product's own parser.

use std::fmt::Display;
use std::str::FromStr;

use plimsoll::domain::issue::Invalid;
use plimsoll::domain::plan::Plan;
use plimsoll::domain::time::UtcMillis;
use plimsoll::domain::value::WrittenValue;
use plimsoll::wire;
use plimsoll::wire::plan::PlanDocument;
use serde_json::Value;

/// A name or an id, or the end of the test.
pub(super) fn named<T: FromStr<Err = Invalid>>(text: impl AsRef<str> + Display) -> T {
    text.as_ref().parse().unwrap_or_else(|invalid| panic!("{text}: {invalid}"))
}

/// A value as an override posts it.
pub(super) fn value(posted: &Value) -> WrittenValue {
    wire::parse(posted.clone()).expect("a value")
}

/// The plan that a document describes; it holds together.
pub(super) fn plan(document: &Value) -> Plan {
    let plan = PlanDocument::read(document.clone(), &Plan::default(), UtcMillis::new(0)).expect("a plan document");
    assert_eq!(plan.contradictions(), []);
    plan
}
