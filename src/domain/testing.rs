//! What the tests of the domain share: moments, limit keys of every kind, and numbers that like the edges.

use std::str::FromStr;

use proptest::prelude::*;

use super::bound::{Bound, MAX_QUANTITY, Quantity};
use super::decision::{Decision, Facts, Usage, WindowUse, decide};
use super::effective::{Effective, Source};
use super::issue::Invalid;
use super::limit_key::{Kind, LimitKey, Per, Rule};
use super::time::{Day, Moment, UtcMillis};
use super::value::Value;
use super::window::Window;
use crate::domain::ask::Question;

pub(crate) const DAY_MILLIS: i64 = 86_400_000;

/// The moment that examples are asked at.
pub(crate) fn now() -> UtcMillis {
    at("2026-11-22T17:05:53.250Z")
}

pub(crate) fn at(text: &str) -> UtcMillis {
    UtcMillis::parse(text).expect("a timestamp")
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).expect("a date")
}

pub(crate) fn named<T: FromStr<Err = Invalid>>(text: &str) -> T {
    text.parse().expect("a valid name")
}

pub(crate) fn quantity(number: u64) -> Quantity {
    Quantity::new(number).expect("a number in range")
}

pub(crate) fn limited(number: u64) -> Bound {
    Bound::Limited(quantity(number))
}

pub(crate) fn usage(used: Quantity, held: Quantity) -> Facts {
    Facts { usage: Usage { used, held }, ..Facts::default() }
}

pub(crate) fn window_use(used: Quantity, frees_at: Option<UtcMillis>) -> Facts {
    Facts { window: WindowUse { used, frees_at }, ..Facts::default() }
}

pub(crate) fn rule_of(kind: Kind) -> Rule {
    match kind {
        Kind::Count => Rule::Count,
        Kind::Quota => Rule::Quota { window: Window::Day, label: "API request".to_owned(), per_request: false },
        Kind::Rate => Rule::Rate { window_seconds: 60, bucket: "v1Api".to_owned(), per_request: false },
        Kind::Retention => Rule::Retention,
        Kind::Interval => Rule::Interval { unit: "hours".to_owned() },
        Kind::Feature => Rule::Feature,
    }
}

pub(crate) fn limit_key(name: &str, rule: Rule) -> LimitKey {
    let default = rule.kind().nothing();
    LimitKey { name: named(name), rule, per: Per::Org, default, thresholds: None, description: String::new(), archived: None }
}

pub(crate) fn key_of(kind: Kind) -> LimitKey {
    limit_key("some_limit", rule_of(kind))
}

pub(crate) fn of_tier(value: Value) -> Effective {
    Effective { value, source: Source::Tier }
}

pub(crate) fn adding(amount: Quantity) -> Question {
    Question::Add { amount, current: None, resource: None }
}

pub(crate) fn happening() -> Question {
    Question::Happen { key_id: named("key_1") }
}

/// Judges at the moment of the examples.
pub(crate) fn judge(limit_key: &LimitKey, value: Value, question: &Question, facts: &Facts) -> Decision {
    decide(limit_key, of_tier(value), question, facts, now())
}

/// Numbers of the contract's range: small ones that meet each other, the largest, and any between.
pub(crate) fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..=8_u64, 1 => MAX_QUANTITY - 8..=MAX_QUANTITY, 1 => 0..=MAX_QUANTITY]
}

pub(crate) fn quantities() -> impl Strategy<Value = Quantity> {
    numbers().prop_map(Quantity::saturating)
}

pub(crate) fn amounts() -> impl Strategy<Value = Quantity> {
    numbers().prop_map(|number| Quantity::saturating(number.max(1)))
}

pub(crate) fn bounds() -> impl Strategy<Value = Bound> {
    prop_oneof![5 => quantities().prop_map(Bound::Limited), 1 => Just(Bound::Unlimited)]
}

pub(crate) fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.as_slice())
}

pub(crate) fn values_of(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Count | Kind::Quota | Kind::Rate => bounds().prop_map(Value::Max).boxed(),
        Kind::Retention => bounds().prop_map(Value::Days).boxed(),
        Kind::Interval => quantities().prop_map(Value::Min).boxed(),
        Kind::Feature => any::<bool>().prop_map(Value::Enabled).boxed(),
    }
}

/// Any moment between the years 1 and 9998.
pub(crate) fn times() -> impl Strategy<Value = UtcMillis> {
    (at("0001-01-01T00:00:00Z").get()..at("9998-12-31T23:59:59.999Z").get()).prop_map(UtcMillis::new)
}

/// A date or a timestamp around the moment of the examples.
pub(crate) fn moments_near_now() -> impl Strategy<Value = Moment> {
    let offsets = prop_oneof![-40 * DAY_MILLIS..=3 * DAY_MILLIS, (-40..=3_i64).prop_map(|days| days * DAY_MILLIS)];
    (offsets, any::<bool>()).prop_map(|(offset, is_day)| {
        let time = now().day().start().plus_millis(offset);
        if is_day { Moment::Day(time.day()) } else { Moment::Time(time) }
    })
}
