//! How long the pure decision takes, for every kind, allowed and refused, with the effective value of an org that has two
//! overrides. The goal is below 200 ns each.

#![expect(clippy::expect_used, reason = "a benchmark whose fixture is wrong has to stop")]

use std::fmt;
use std::str::FromStr;

use divan::{Bencher, black_box};
use plimsoll::domain::ask::Question;
use plimsoll::domain::bound::{Bound, Quantity};
use plimsoll::domain::decision::{Decision, Facts, Usage, WindowUse, decide};
use plimsoll::domain::effective::{Mode, Override, effective};
use plimsoll::domain::issue::Invalid;
use plimsoll::domain::limit_key::{Kind, LimitKey, Per, Rule};
use plimsoll::domain::time::{Moment, UtcMillis};
use plimsoll::domain::value::Value;
use plimsoll::domain::window::Window;

fn main() {
    divan::main();
}

/// What the question is to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Allowed,
    Refused,
}

#[derive(Clone, Copy)]
struct Asked(Kind, Answer);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0, self.1)
    }
}

/// Intervals never refuse; for those, `Refused` stands for clamped.
const ASKED: [Asked; 12] = [
    Asked(Kind::Count, Answer::Allowed),
    Asked(Kind::Count, Answer::Refused),
    Asked(Kind::Quota, Answer::Allowed),
    Asked(Kind::Quota, Answer::Refused),
    Asked(Kind::Rate, Answer::Allowed),
    Asked(Kind::Rate, Answer::Refused),
    Asked(Kind::Retention, Answer::Allowed),
    Asked(Kind::Retention, Answer::Refused),
    Asked(Kind::Interval, Answer::Allowed),
    Asked(Kind::Interval, Answer::Refused),
    Asked(Kind::Feature, Answer::Allowed),
    Asked(Kind::Feature, Answer::Refused),
];

struct Fixture {
    limit_key: LimitKey,
    tier: Value,
    overrides: [Override; 2],
    question: Question,
    facts: Facts,
    now: UtcMillis,
}

impl Fixture {
    fn new(Asked(kind, answer): Asked) -> Self {
        let now = UtcMillis::parse("2026-11-22T17:05:53.250Z").expect("a timestamp");
        let base = base(kind, answer);
        let add = |id, mode, value| Override {
            id: named(id),
            limit_key: named("max_creators_per_org"),
            mode,
            value,
            starts_at: now.plus_millis(-1),
            expires_at: Some(now.plus_seconds(60)),
        };
        let limit_key = LimitKey {
            name: named("max_creators_per_org"),
            rule: rule(kind),
            per: Per::Org,
            default: base,
            thresholds: None,
            description: String::new(),
            archived: None,
        };
        let used = Quantity::saturating(50);
        let facts = Facts {
            org_banned: false,
            usage: Usage { used, held: Quantity::ZERO },
            window: WindowUse { used, frees_at: Some(now.plus_seconds(7)) },
        };
        let overrides = [add("ovr_1", Mode::Set, base), add("ovr_2", Mode::Add, kind.nothing())];
        Self { limit_key, tier: base, overrides, question: question(kind), facts, now }
    }

    fn decide(&self) -> Decision {
        let limit_key = black_box(&self.limit_key);
        let overrides = black_box(self.overrides.as_slice()).iter();
        let effective = effective(limit_key.default, Some(black_box(self.tier)), overrides, self.now);
        decide(limit_key, effective, black_box(&self.question), black_box(&self.facts), self.now)
    }
}

fn named<T: FromStr<Err = Invalid>>(text: &str) -> T {
    text.parse().expect("a valid name")
}

fn rule(kind: Kind) -> Rule {
    match kind {
        Kind::Count => Rule::Count,
        Kind::Quota => Rule::Quota { window: Window::Month, label: "API request".to_owned(), per_request: false },
        Kind::Rate => Rule::Rate { window_seconds: 60, bucket: "v1Api".to_owned(), per_request: false },
        Kind::Retention => Rule::Retention,
        Kind::Interval => Rule::Interval { unit: "hours".to_owned() },
        Kind::Feature => Rule::Feature,
    }
}

/// A value with or without room for the question.
fn base(kind: Kind, answer: Answer) -> Value {
    let is_allowed = answer == Answer::Allowed;
    let bound = Bound::Limited(Quantity::saturating(if is_allowed { 100 } else { 10 }));
    match kind {
        Kind::Count | Kind::Quota | Kind::Rate => Value::Max(bound),
        Kind::Retention => Value::Days(bound),
        Kind::Interval => Value::Min(Quantity::saturating(if is_allowed { 1 } else { 24 })),
        Kind::Feature => Value::Enabled(is_allowed),
    }
}

fn question(kind: Kind) -> Question {
    match kind {
        Kind::Count | Kind::Quota => Question::Add { amount: Quantity::ONE, current: None, resource: None },
        Kind::Rate => Question::Happen { key_id: named("key_1") },
        Kind::Retention => Question::Read { from: Moment::parse("2026-10-23").expect("a date"), to: None },
        Kind::Interval => Question::Clamp { requested: Quantity::saturating(6) },
        Kind::Feature => Question::Have,
    }
}

#[divan::bench(args = ASKED)]
fn decision(bencher: Bencher<'_, '_>, asked: Asked) {
    let fixture = Fixture::new(asked);
    let is_refused = fixture.decide().refusal.is_some();
    let Asked(kind, answer) = asked;
    assert_eq!(is_refused, answer == Answer::Refused && kind != Kind::Interval, "{asked}");
    bencher.bench_local(|| fixture.decide());
}
