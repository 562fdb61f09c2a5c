//! Which fields a question takes, for every kind and every combination of fields.

use super::*;
use crate::domain::names::ResourceKind;
use crate::domain::testing::*;

const FIELDS: [&str; 7] = ["amount", "current", "resource", "from", "to", "requested", "keyId"];

/// The fields that each kind needs and those that it takes beside them, as the contract says it.
fn table(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Count | Kind::Quota => (&[], &["amount", "current"]),
        Kind::Rate => (&["keyId"], &[]),
        Kind::Retention => (&["from"], &["to"]),
        Kind::Interval => (&["requested"], &[]),
        Kind::Feature => (&[], &[]),
    }
}

fn written(given: &[&str]) -> WrittenQuestion {
    let has = |field: &str| given.contains(&field);
    WrittenQuestion {
        amount: has("amount").then_some(quantity(2)),
        current: has("current").then_some(quantity(3)),
        resource: has("resource").then(|| named("prj_1")),
        from: has("from").then(|| Moment::Day(day("2026-11-01"))),
        to: has("to").then(|| Moment::Day(day("2026-11-02"))),
        requested: has("requested").then_some(quantity(4)),
        key_id: has("keyId").then(|| named("key_1")),
    }
}

fn subsets() -> impl Iterator<Item = Vec<&'static str>> {
    (0..1_u32 << FIELDS.len()).map(|bits| {
        let chosen = FIELDS.into_iter().enumerate().filter(move |(position, _)| bits >> position & 1 == 1);
        chosen.map(|(_, field)| field).collect()
    })
}

fn paths(issues: &[Issue]) -> Vec<&str> {
    issues.iter().map(|issue| issue.path.as_str()).collect()
}

fn misfits(question: WrittenQuestion, limit_key: &LimitKey) -> Vec<Issue> {
    question.about(limit_key).err().unwrap_or_default()
}

fn expected_paths(limit_key: &LimitKey, given: &[&'static str]) -> Vec<&'static str> {
    let (needed, optional) = table(limit_key.kind());
    let per_resource = limit_key.per != Per::Org;
    let is_needed = |field: &str| needed.contains(&field) || (per_resource && field == "resource");
    let is_taken = |field: &str| is_needed(field) || optional.contains(&field);
    let fits = |field: &&str| if given.contains(field) { is_taken(field) } else { !is_needed(field) };
    FIELDS.into_iter().filter(|field| !fits(field)).collect()
}

#[test]
fn every_misfit_field_is_named_at_once_and_only_those() {
    let per_project = Per::Resource(named::<ResourceKind>("project"));
    for kind in Kind::ALL {
        for per in [Per::Org, per_project.clone()] {
            let limit_key = LimitKey { per, ..key_of(kind) };
            for given in subsets() {
                let issues = misfits(written(&given), &limit_key);
                assert_eq!(paths(&issues), expected_paths(&limit_key, &given), "{kind} with {given:?}");
            }
        }
    }
}

#[test]
fn a_misfit_says_what_is_wrong_with_it() {
    let messages = |kind, given: &[&str]| -> Vec<String> {
        misfits(written(given), &key_of(kind)).into_iter().map(|issue| issue.message).collect()
    };
    assert_eq!(messages(Kind::Count, &["from"]), ["is not taken by a limit key of kind count"]);
    assert_eq!(messages(Kind::Rate, &[]), ["is required by a limit key of kind rate"]);
    assert_eq!(messages(Kind::Count, &["resource"]), ["is not taken: some_limit is counted per org"]);
    let per_project = LimitKey { per: Per::Resource(named("project")), ..key_of(Kind::Count) };
    let issues = misfits(written(&[]), &per_project);
    assert_eq!(issues, [Issue::new("resource", "is required: some_limit is counted per project")]);
}

#[test]
fn a_question_carries_what_was_written() {
    let about = |kind, given: &[&str]| written(given).about(&key_of(kind)).expect("a question");
    let add = |amount, current| Question::Add { amount, current, resource: None };
    assert_eq!(about(Kind::Count, &[]), add(Quantity::ONE, None));
    assert_eq!(about(Kind::Quota, &["amount", "current"]), add(quantity(2), Some(quantity(3))));
    assert_eq!(about(Kind::Rate, &["keyId"]), Question::Happen { key_id: named("key_1") });
    let from = Moment::Day(day("2026-11-01"));
    assert_eq!(about(Kind::Retention, &["from"]), Question::Read { from, to: None });
    let to = Some(Moment::Day(day("2026-11-02")));
    assert_eq!(about(Kind::Retention, &["from", "to"]), Question::Read { from, to });
    assert_eq!(about(Kind::Interval, &["requested"]), Question::Clamp { requested: quantity(4) });
    assert_eq!(about(Kind::Feature, &[]), Question::Have);
}

#[test]
fn an_amount_is_at_least_one() {
    let none = WrittenQuestion { amount: Some(Quantity::ZERO), ..WrittenQuestion::default() };
    for kind in [Kind::Count, Kind::Quota] {
        let issues = misfits(none.clone(), &key_of(kind));
        assert_eq!(issues, [Issue::new("amount", "must be a whole number from 1 to 9007199254740991")]);
    }
    assert_eq!(paths(&misfits(none, &key_of(Kind::Feature))), ["amount"]);
}

#[test]
fn a_range_that_is_not_taken_is_not_judged() {
    let (from, to) = (Some(Moment::Day(day("2026-11-02"))), Some(Moment::Day(day("2026-11-01"))));
    let backwards = WrittenQuestion { from, to, ..WrittenQuestion::default() };
    assert_eq!(paths(&misfits(backwards.clone(), &key_of(Kind::Count))), ["from", "to"]);
    let issues = misfits(backwards, &key_of(Kind::Retention));
    assert_eq!(issues, [Issue::new("to", "must not be before from")]);
}

#[test]
fn a_day_lasts_until_its_last_moment() {
    let table = [
        ("2026-11-22T23:59:59.999Z", "2026-11-22", true),
        ("2026-11-22", "2026-11-22T00:00:00Z", true),
        ("2026-11-22", "2026-11-22", true),
        ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z", true),
        ("2026-11-22T09:00:00.001Z", "2026-11-22T09:00:00Z", false),
        ("2026-11-23", "2026-11-22T23:59:59Z", false),
        ("2026-11-23T00:00:00Z", "2026-11-22", false),
    ];
    for (from, to, is_a_range) in table {
        let moment = |text| Some(Moment::parse(text).expect("a moment"));
        let question = WrittenQuestion { from: moment(from), to: moment(to), ..WrittenQuestion::default() };
        assert_eq!(question.about(&key_of(Kind::Retention)).is_ok(), is_a_range, "{from} to {to}");
    }
}
