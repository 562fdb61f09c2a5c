//! What an explanation says, held against the function that decides.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::remedy::later;
use super::*;
use crate::domain::testing::*;
use crate::domain::time::Moment;

/// Random questions that each property is tried with.
const QUESTIONS: u32 = 100_000;

/// A limit key, what may shape its value, a question about it, and three tiers.
#[derive(Clone, Debug)]
struct Asked {
    limit_key: LimitKey,
    tier: TierName,
    said: Said,
    overrides: Vec<Override>,
    own: Option<Effective>,
    case: Case,
    tiers: Vec<(TierName, Option<Value>)>,
}

impl Asked {
    fn grounds(&self) -> Grounds<'_> {
        let Self { limit_key, tier, said, overrides, own, .. } = self;
        Grounds { limit_key, tier, said, overrides, own: *own }
    }

    fn decided(&self) -> Decision {
        self.with(&self.case, self.grounds().effective(self.case.now))
    }

    fn with(&self, case: &Case, effective: Effective) -> Decision {
        decide(&self.limit_key, effective, &case.question, &case.facts, case.now)
    }

    fn explained(&self) -> Explanation {
        explain(&self.grounds(), &self.case, self.tiers.iter().map(|(tier, value)| (tier, *value)))
    }
}

fn questions_of(kind: Kind) -> BoxedStrategy<Question> {
    match kind {
        Kind::Count | Kind::Quota => (amounts(), prop::option::of(quantities()))
            .prop_map(|(amount, current)| Question::Add { amount, current, resource: None })
            .boxed(),
        Kind::Rate => Just(happening()).boxed(),
        Kind::Retention => (moments_near_now(), prop::option::of(moments_near_now()))
            .prop_map(|(from, to)| Question::Read { from, to: to.filter(|to| !from.is_after(*to)) })
            .boxed(),
        Kind::Interval => quantities().prop_map(|requested| Question::Clamp { requested }).boxed(),
        Kind::Feature => Just(Question::Have).boxed(),
    }
}

fn overrides_of(kind: Kind) -> impl Strategy<Value = Vec<Override>> {
    let one = (values_of(kind), any::<bool>(), -2..=2_i64, prop::option::of(-1..=3_i64));
    prop::collection::vec(one, 0..=3).prop_map(|made| {
        let hours = |hours: i64| now().plus_millis(hours * 3_600_000);
        let numbered = made.into_iter().enumerate();
        numbered
            .map(|(number, (value, is_set, starts, lasts))| Override {
                id: named(&format!("ovr_{number}")),
                limit_key: named("some_limit"),
                mode: if is_set { Mode::Set } else { Mode::Add },
                value,
                starts_at: hours(starts),
                expires_at: lasts.map(|lasts| hours(starts + lasts)),
            })
            .collect()
    })
}

/// What the tier says, and at times what that changes to. What has begun is what it says now.
fn said_of(kind: Kind) -> impl Strategy<Value = Said> {
    let turns = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(prop::option::of(values_of(kind)), 1..=3)];
    (prop::option::of(values_of(kind)), turns, -2..=1_i64).prop_map(|(value, turns, first)| {
        let hours = |hours: i64| now().plus_millis(hours * 3_600_000);
        let turn =
            |(value, position): (Option<Value>, i64)| Turn { starts_at: hours(first + position), tier: named("free"), value };
        let mut said = Said { value, turns: turns.into_iter().zip(0..).map(turn).collect() };
        said.value = said.at(now());
        said
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let window = (quantities(), prop::option::of(0..=59_999_i64))
        .prop_map(|(used, frees)| WindowUse { used, frees_at: frees.map(|millis| now().plus_millis(millis)) });
    (any::<bool>(), any::<bool>(), quantities(), quantities(), window).prop_map(|(banned, too, used, held, window)| Facts {
        org_banned: banned && too,
        usage: Usage { used, held },
        window,
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    kinds().prop_flat_map(|kind| {
        let value = || prop::option::of(values_of(kind));
        let own = prop::option::of(values_of(kind)).prop_map(move |own| own.filter(|_| kind == Kind::Rate));
        let shapes = (values_of(kind), said_of(kind), overrides_of(kind), own);
        (shapes, questions_of(kind), facts(), [value(), value(), value()]).prop_map(
            move |((default, said, overrides, own), question, facts, tiers)| Asked {
                limit_key: LimitKey { default, ..key_of(kind) },
                tier: named("free"),
                said,
                overrides,
                own: own.map(|value| Effective { value, source: Source::Override }),
                case: Case { question, facts, now: now() },
                tiers: ["a", "b", "c"].into_iter().map(named).zip(tiers).collect(),
            },
        )
    })
}

/// Tries a property with many questions.
fn for_many(property: impl Fn(&Asked)) {
    let mut runner = TestRunner::new(Config { cases: QUESTIONS, failure_persistence: None, ..Config::default() });
    let tried = runner.run(&asked(), |asked| {
        property(&asked);
        Ok(())
    });
    tried.expect("the property holds");
}

#[test]
fn the_decision_is_the_same_with_an_explanation_and_the_comparison_says_so() {
    for_many(|asked| {
        let before = asked.decided();
        let explanation = asked.explained();
        assert_eq!(asked.decided(), before);
        assert_eq!(explanation.would_allow.is_some(), before.refusal.is_some());
        let applied =
            Step::Effective { value: asked.grounds().effective(now()).value, source: asked.grounds().effective(now()).source };
        assert!(explanation.steps.contains(&applied));
        let Some(Step::Comparison { holds, rule }) = explanation.steps.last() else { panic!("no comparison") };
        assert_eq!(*holds && !asked.case.facts.org_banned, before.refusal.is_none(), "{rule}");
        let Some(Step::Ban { banned }) = explanation.steps.first() else { panic!("no ban") };
        assert_eq!(*banned, asked.case.facts.org_banned);
    });
}

#[test]
fn the_case_behind_a_decision_is_the_one_that_was_judged() {
    for_many(|asked| {
        // An unlimited sliding window does not tell what it holds.
        let decision = asked.decided();
        let behind = Case::behind(&decision, asked.case.question.clone(), Effect::None, now());
        let again = asked.with(&behind, asked.grounds().effective(now()));
        assert_eq!(
            again.refusal.as_ref().map(super::super::refusal::Refusal::code),
            decision.refusal.as_ref().map(super::super::refusal::Refusal::code)
        );
        if decision.refusal.is_none() && matches!(asked.case.question, Question::Add { current: None, .. }) {
            let taken = Case::behind(&decision.clone().taken(), asked.case.question.clone(), Effect::Taken, now());
            let held = Case::behind(&decision.clone().held(), asked.case.question.clone(), Effect::Held, now());
            if asked.case.taken().get().saturating_add(1) < crate::domain::bound::MAX_QUANTITY / 2 {
                let Question::Add { amount, .. } = asked.case.question else { panic!("an amount") };
                if amount.get() < crate::domain::bound::MAX_QUANTITY / 2 {
                    assert_eq!((taken.taken(), held.taken()), (behind.taken(), behind.taken()));
                }
            }
        }
    });
}

#[test]
fn what_would_have_allowed_it_does_allow_it() {
    for_many(|asked| {
        let Some(remedies) = asked.explained().would_allow else { return };
        let grounds = asked.grounds();
        let mut case = asked.case.clone();
        assert_eq!(remedies.unban, case.facts.org_banned);
        case.facts.org_banned = false;
        let present = grounds.effective(now());
        let allows = |case: &Case, effective: Effective| asked.with(case, effective).refusal.is_none();
        let others = (&remedies.tier, &remedies.value, &remedies.release, &remedies.amount, &remedies.wait, &remedies.from);
        if others == (&None, &None, &None, &None, &None, &None) {
            assert!(remedies.unban && allows(&case, present));
        }
        let tiers = asked.tiers.iter().filter(|_| asked.own.is_none());
        let cheapest = tiers
            .map(|(tier, value)| (tier, grounds.effective_in(*value, now())))
            .find(|(_, effective)| allows(&case, *effective));
        if !allows(&case, present) {
            assert_eq!(remedies.tier.as_ref().map(|better| &better.tier), cheapest.map(|(tier, _)| tier));
        }
        if let Some(value) = remedies.value {
            assert!(allows(&case, of_tier(value)), "{value:?}");
        }
        if let Some(amount) = remedies.release {
            assert!(allows(&released(&case, amount), present), "{amount:?}");
            assert!(!allows(&released(&case, amount.minus(Quantity::ONE)), present), "one fewer is not enough");
        }
        if let (Some(most), Question::Add { amount, .. }) = (remedies.amount, &mut case.clone().question) {
            *amount = most;
            let smaller =
                Case { question: Question::Add { amount: most, current: own(&case), resource: None }, ..case.clone() };
            assert!(allows(&smaller, present));
        }
        if let Some(wait) = remedies.wait {
            assert!(wait.until > now() && wait.seconds >= 1);
            let resets = match asked.with(&case, present).detail {
                Detail::Quota { resets_at, .. } => Some(resets_at),
                Detail::Rate { resets_at, .. } => resets_at,
                Detail::Count(_) | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => None,
            };
            let then = later(&grounds, &case, wait.until, resets.is_some_and(|resets| resets <= wait.until));
            assert!(allows(&then, grounds.effective(wait.until)));
        }
        if let (Some(from), Question::Read { to, .. }) = (remedies.from, case.question.clone()) {
            let shorter = Case { question: Question::Read { from: Moment::Day(from), to }, ..case.clone() };
            assert!(allows(&shorter, present));
        }
    });
}

fn own(case: &Case) -> Option<Quantity> {
    if let Question::Add { current, .. } = &case.question { *current } else { None }
}

/// The same with so much less used.
fn released(case: &Case, amount: Quantity) -> Case {
    let left = case.taken().minus(amount);
    let mut case = case.clone();
    if let Question::Add { current, .. } = &mut case.question {
        *current = current.map(|_| left);
    }
    case.facts.usage = Usage { used: left, held: Quantity::ZERO };
    case
}

#[test]
fn a_refused_count_is_told_step_by_step() {
    let asked = Asked {
        limit_key: key_of(Kind::Count),
        tier: named("free"),
        said: Said { value: Some(Value::Max(limited(5))), turns: Vec::new() },
        overrides: Vec::new(),
        own: None,
        case: Case { question: adding(quantity(2)), facts: usage_of(4, 1), now: now() },
        tiers: vec![(named("free"), Some(Value::Max(limited(5)))), (named("pro"), Some(Value::Max(limited(50))))],
    };
    let told = serde_json::to_value(asked.explained()).expect("JSON");
    let steps: Vec<&str> = told["steps"].as_array().expect("steps").iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(steps, ["ban", "limitKey", "default", "tier", "effective", "usage", "comparison"]);
    assert_eq!(told["steps"][6]["rule"], "current 5 + amount 2 <= max 5");
    let expected = serde_json::json!({
        "unban": false, "tier": {"tier": "pro", "value": {"max": 50}}, "value": {"max": 7}, "release": 2, "amount": null,
        "wait": null, "from": null,
    });
    assert_eq!(told["wouldAllow"], expected);
}

#[test]
fn what_is_scheduled_is_told_and_waited_for() {
    let turn = |moment: &str, tier: &str, max| Turn {
        starts_at: at(moment),
        tier: named(tier),
        value: Some(Value::Max(limited(max))),
    };
    let turns = vec![
        turn("2026-11-01T00:00:00Z", "free", 5),
        turn("2026-12-01T00:00:00Z", "pro", 6),
        turn("2027-01-01T00:00:00Z", "pro", 50),
    ];
    let asked = Asked {
        limit_key: key_of(Kind::Count),
        tier: named("free"),
        said: Said { value: Some(Value::Max(limited(5))), turns },
        overrides: Vec::new(),
        own: None,
        case: Case { question: adding(quantity(2)), facts: usage_of(5, 0), now: now() },
        tiers: Vec::new(),
    };
    let told = serde_json::to_value(asked.explained()).expect("JSON");
    let scheduled: Vec<_> =
        told["steps"].as_array().expect("steps").iter().filter(|step| step["step"] == "scheduled").collect();
    assert_eq!(scheduled.iter().map(|step| &step["active"]).collect::<Vec<_>>(), [true, false, false]);
    let expected = serde_json::json!({
        "step": "scheduled", "startsAt": "2027-01-01T00:00:00Z", "tier": "pro", "value": {"max": 50}, "active": false,
    });
    assert_eq!(scheduled[2], &expected);
    assert_eq!(told["wouldAllow"]["wait"]["until"], "2027-01-01T00:00:00Z", "the first change is not enough");
}

fn usage_of(used: u64, held: u64) -> Facts {
    Facts { usage: Usage { used: quantity(used), held: quantity(held) }, ..Facts::default() }
}
