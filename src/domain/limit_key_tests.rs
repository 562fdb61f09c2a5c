//! Which fields a limit key takes, for every kind and every combination of fields.

use proptest::prelude::*;

use super::*;
use crate::domain::bound::MAX_QUANTITY;
use crate::domain::testing::*;

const FIELDS: [&str; 8] = ["per", "window", "label", "perRequest", "windowSeconds", "bucket", "unit", "thresholds"];

/// The fields that each kind needs and those that it takes beside them, as the contract says it.
fn table(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Count => (&[], &["per", "thresholds"]),
        Kind::Quota => (&["window"], &["per", "label", "perRequest", "thresholds"]),
        Kind::Rate => (&["windowSeconds"], &["bucket", "perRequest"]),
        Kind::Retention | Kind::Feature => (&[], &[]),
        Kind::Interval => (&["unit"], &[]),
    }
}

fn written(kind: Kind, given: &[&str]) -> WrittenLimitKey {
    let text = |field: &str| given.contains(&field).then(|| format!("some {field}"));
    WrittenLimitKey {
        kind,
        per: given.contains(&"per").then(|| Per::Resource(named("project"))),
        default: None,
        description: None,
        window: given.contains(&"window").then_some(Window::Hour),
        label: text("label"),
        per_request: given.contains(&"perRequest").then_some(!given.contains(&"per")),
        window_seconds: given.contains(&"windowSeconds").then_some(60),
        bucket: text("bucket"),
        unit: text("unit"),
        thresholds: given.contains(&"thresholds").then(|| vec![90, 50]),
        archived: None,
        replacement: None,
    }
}

fn subsets() -> impl Iterator<Item = Vec<&'static str>> {
    (0..1_u32 << FIELDS.len()).map(|bits| {
        let chosen = FIELDS.into_iter().enumerate().filter(move |(position, _)| bits >> position & 1 == 1);
        chosen.map(|(_, field)| field).collect()
    })
}

fn judged(written: WrittenLimitKey) -> Result<LimitKey, Vec<Issue>> {
    written.named(named("some_limit"), "limitKeys.some_limit.", UtcMillis::new(0))
}

fn misfits(written: WrittenLimitKey) -> Vec<String> {
    judged(written).err().unwrap_or_default().into_iter().map(|issue| issue.path).collect()
}

fn max_of(number: u64) -> WrittenValue {
    WrittenValue { max: Some(quantity(number)), ..WrittenValue::default() }
}

#[test]
fn every_misfit_field_is_named_at_once_and_only_those() {
    for kind in Kind::ALL {
        let (needed, optional) = table(kind);
        for given in subsets() {
            let is_taken = |field: &&str| needed.contains(field) || optional.contains(field);
            let misplaced = FIELDS.into_iter().filter(|field| given.contains(field) && !is_taken(field));
            let missing = needed.iter().copied().filter(|field| !given.contains(field));
            let expected: Vec<String> = misplaced.chain(missing).map(|field| format!("limitKeys.some_limit.{field}")).collect();
            assert_eq!(misfits(written(kind, &given)), expected, "{kind} with {given:?}");
        }
    }
}

#[test]
fn every_bad_text_and_value_is_named_at_once() {
    let bad = WrittenLimitKey {
        default: Some(WrittenValue { enabled: Some(true), ..WrittenValue::default() }),
        description: Some("\0".to_owned()),
        label: Some(" spaced ".to_owned()),
        bucket: Some(String::new()),
        thresholds: Some(vec![101]),
        ..written(Kind::Quota, &[])
    };
    let expected = ["bucket", "description", "label", "bucket", "default", "thresholds", "window"];
    assert_eq!(misfits(bad), expected.map(|field| format!("limitKeys.some_limit.{field}")));
}

#[test]
fn what_is_not_written_has_a_sensible_value() {
    let count = judged(written(Kind::Count, &[]));
    assert_eq!(count, Ok(limit_key("some_limit", Rule::Count)));
    let rule = Rule::Quota { window: Window::Hour, label: "some_limit".to_owned(), per_request: false };
    assert_eq!(judged(written(Kind::Quota, &["window"])), Ok(limit_key("some_limit", rule)));
    let rule = Rule::Rate { window_seconds: 60, bucket: "some_limit".to_owned(), per_request: false };
    assert_eq!(judged(written(Kind::Rate, &["windowSeconds"])), Ok(limit_key("some_limit", rule)));
}

#[test]
fn what_is_written_is_kept() {
    let full = WrittenLimitKey {
        default: Some(max_of(MAX_QUANTITY)),
        description: Some("Two\nlines, ünïcode".to_owned()),
        ..written(Kind::Quota, &["per", "window", "label", "perRequest", "thresholds"])
    };
    let rule = Rule::Quota { window: Window::Hour, label: "some label".to_owned(), per_request: false };
    let expected = LimitKey {
        per: Per::Resource(named("project")),
        default: Value::Max(Bound::Limited(Quantity::MAX)),
        thresholds: Thresholds::parse(vec![50, 90]).ok(),
        description: "Two\nlines, ünïcode".to_owned(),
        ..limit_key("some_limit", rule)
    };
    assert_eq!(judged(full), Ok(expected));
}

#[test]
fn a_sliding_window_lasts_from_a_second_to_31_days() {
    for (seconds, is_valid) in [(0, false), (1, true), (2_678_400, true), (2_678_401, false), (u64::MAX, false)] {
        let rate = WrittenLimitKey { window_seconds: Some(seconds), ..written(Kind::Rate, &[]) };
        assert_eq!(judged(rate).is_ok(), is_valid, "{seconds}");
    }
}

#[test]
fn what_is_counted_per_resource_cannot_be_taken_by_every_request() {
    let quota = |per: Option<Per>, per_request| {
        let written = written(Kind::Quota, &["window"]);
        judged(WrittenLimitKey { per, per_request: Some(per_request), ..written }).map(|_| ())
    };
    let project = || Some(Per::Resource(named("project")));
    assert_eq!(quota(None, true), Ok(()));
    assert_eq!(quota(project(), false), Ok(()));
    let issues = quota(project(), true).expect_err("a request has no resource");
    assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["limitKeys.some_limit.perRequest"]);
}

#[test]
fn labels_are_short_printable_and_trimmed() {
    for good in ["a", "API request", &"x".repeat(64)] {
        assert_eq!(check_label(good), Ok(()), "{good}");
    }
    for bad in ["", " a", "a ", "a\tb", "é", "a\r\nSet-Cookie: b", &"x".repeat(65)] {
        assert!(check_label(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn descriptions_are_counted_in_characters_and_hold_no_control_characters() {
    assert_eq!(check_text(&"ü".repeat(MAX_DESCRIPTION), MAX_DESCRIPTION), Ok(()));
    assert!(check_text(&"ü".repeat(MAX_DESCRIPTION + 1), MAX_DESCRIPTION).is_err());
    for bad in ["\0", "\u{7f}", "\u{9b}", "\r"] {
        assert!(check_text(bad, MAX_DESCRIPTION).is_err(), "{bad:?}");
    }
}

proptest! {
    /// A default is accepted exactly when it has the form that its kind takes, and then kept.
    #[test]
    fn a_default_has_the_form_of_its_kind(kind in kinds(), (of, value) in kinds().prop_flat_map(|of| (Just(of), values_of(of)))) {
        let mut default = WrittenValue::default();
        match value {
            Value::Max(Bound::Limited(max)) => default.max = Some(max),
            Value::Days(Bound::Limited(days)) => default.days = Some(days),
            Value::Max(Bound::Unlimited) | Value::Days(Bound::Unlimited) => default.unlimited = Some(true),
            Value::Min(min) => default.min = Some(min),
            Value::Enabled(enabled) => default.enabled = Some(enabled),
        }
        let (needed, _) = table(kind);
        let found = judged(WrittenLimitKey { default: Some(default), ..written(kind, needed) });
        let is_bounded = |kind| matches!(kind, Kind::Count | Kind::Quota | Kind::Rate | Kind::Retention);
        let fits = value.fits(kind) || (default.unlimited.is_some() && is_bounded(kind) && is_bounded(of));
        prop_assert_eq!(found.is_ok(), fits);
        if value.fits(kind) {
            prop_assert_eq!(found.map(|limit_key| limit_key.default), Ok(value));
        }
    }
}
