//! Runs the scenarios against the pure decision, with a fixed clock. The answer is written out here once more, independently of
//! the service's own views, so that both must agree with the scenarios.

use plimsoll::domain::ask::{Question, WrittenQuestion};
use plimsoll::domain::bound::Quantity;
use plimsoll::domain::decision::{Amounts, Decision, Detail, Facts, Usage, WindowUse, decide};
use plimsoll::domain::effective::{Effective, Override, effective};
use plimsoll::domain::issue::{Invalid, Issue};
use plimsoll::domain::limit_key::{LimitKey, Rule};
use plimsoll::domain::names::LimitKeyName;
use plimsoll::domain::plan::Plan;
use plimsoll::domain::refusal::Refusal;
use plimsoll::domain::time::{Moment, UtcMillis};
use serde_json::{Map, Value, json};

use super::document::{self, named};
use super::{Case, Only, cases};

const NOW: &str = "2026-11-22T17:05:53.250Z";

#[test]
fn every_scenario_holds_for_the_pure_decision() {
    let now = named_time(NOW);
    let all = cases();
    let run: Vec<&Case> = all.iter().filter(|case| case.only != Some(Only::Http)).collect();
    let failures: Vec<String> = run.iter().filter_map(|case| failure(&case.at(now, "key_1"), now)).collect();
    assert!(run.len() >= 100, "only {} scenarios were found", run.len());
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n{}", failures.len(), run.len(), failures.join("\n"));
}

#[test]
fn every_scenario_has_a_name_of_its_own() {
    let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

fn named_time(text: &str) -> UtcMillis {
    UtcMillis::parse(text).expect("a timestamp")
}

fn failure(case: &Case, now: UtcMillis) -> Option<String> {
    let (status, envelope) = answer(case, now);
    case.mismatch(status, &envelope)
}

fn answer(case: &Case, now: UtcMillis) -> (u16, Value) {
    let plan = document::plan(&case.plan);
    let name: LimitKeyName = named(case.body["limitKey"].as_str().expect("a limit key"));
    let limit_key = &plan.limit_keys[&name];
    match written(&case.body).and_then(|question| question.about(limit_key)) {
        Ok(question) => {
            let effective = effective_of(case, &plan, limit_key, now);
            let decision = decide(limit_key, effective, &question, &facts(case, now), now);
            let data = rendered(case, (limit_key, tier_of(case, now)), effective, &question, &decision);
            (200, json!({"data": data, "error": null, "meta": null}))
        }
        Err(issues) => (400, json!({"data": null, "error": "…", "meta": {"code": "invalid_body", "issues": issues}})),
    }
}

/// Reads the fields of a question, as any edge of the service does.
fn written(body: &Value) -> Result<WrittenQuestion, Vec<Issue>> {
    let mut issues = Vec::new();
    let mut note = |field: &str, invalid: Invalid| issues.push(invalid.at(field));
    let mut number = |field: &str| {
        let number = body[field].as_u64()?;
        Quantity::new(number).map_err(|invalid| note(field, invalid)).ok()
    };
    let (amount, current, requested) = (number("amount"), number("current"), number("requested"));
    let mut moment = |field: &str| Moment::parse(body[field].as_str()?).map_err(|invalid| note(field, invalid)).ok();
    let (from, to) = (moment("from"), moment("to"));
    let resource = body["resource"].as_str().and_then(|text| text.parse().map_err(|invalid| note("resource", invalid)).ok());
    let key_id = body["keyId"].as_str().map(named);
    let question = WrittenQuestion { amount, current, resource, from, to, requested, key_id };
    if issues.is_empty() { Ok(question) } else { Err(issues) }
}

fn facts(case: &Case, now: UtcMillis) -> Facts {
    let usage = case.usage.unwrap_or_default();
    let usage = Usage { used: Quantity::saturating(usage.used), held: Quantity::saturating(usage.held) };
    let window = case.window.map_or(WindowUse::default(), |window| WindowUse {
        used: Quantity::saturating(window.used),
        frees_at: Some(now.plus_seconds(window.frees_in)),
    });
    Facts { org_banned: case.org.banned, usage, window }
}

fn effective_of(case: &Case, plan: &Plan, limit_key: &LimitKey, now: UtcMillis) -> Effective {
    let tier = &plan.tiers[tier_of(case, now).as_str()];
    let numbered = case.org.overrides.iter().enumerate();
    let overrides: Vec<Override> = numbered.map(|(number, posted)| override_of(plan, number, posted)).collect();
    let of_this_key = overrides.iter().filter(|candidate| candidate.limit_key == limit_key.name);
    effective(limit_key.default, tier.value_of(&limit_key.name, now), of_this_key, now)
}

/// The tier that the org was given, or the last that has begun.
fn tier_of(case: &Case, now: UtcMillis) -> String {
    let scheduled = case.org.scheduled.iter().map(|step| (step["startsAt"].as_str(), step["tier"].as_str()));
    let begun = scheduled.rev().find(|(starts_at, _)| named_time(starts_at.expect("a start")) <= now);
    begun.map_or_else(|| case.org.tier.clone(), |(_, tier)| tier.expect("a tier").to_owned())
}

fn override_of(plan: &Plan, number: usize, posted: &Value) -> Override {
    let text = |field: &str| posted[field].as_str();
    let limit_key: LimitKeyName = named(text("limitKey").expect("a limit key"));
    let written = document::value(&posted["value"]);
    Override {
        id: named(format!("ovr_{number}")),
        mode: named(text("mode").expect("a mode")),
        value: written.for_kind(plan.limit_keys[&limit_key].kind()).expect("a value of its kind"),
        starts_at: named_time(text("startsAt").expect("a start")),
        expires_at: text("expiresAt").map(named_time),
        limit_key,
    }
}

fn rendered(
    case: &Case,
    (limit_key, tier): (&LimitKey, String),
    effective: Effective,
    question: &Question,
    decision: &Decision,
) -> Value {
    let resource = match question {
        Question::Add { resource, .. } => json!(resource),
        Question::Happen { .. } | Question::Read { .. } | Question::Clamp { .. } | Question::Have => Value::Null,
    };
    let mut answer = json!({
        "allowed": decision.refusal.is_none(), "decision": decision.refusal.as_ref().map_or("allowed", Refusal::code),
        "kind": limit_key.kind(), "org": case.org.id, "limitKey": limit_key.name, "resource": resource,
        "tier": tier, "source": effective.source,
        "denial": decision.refusal.as_ref().map(Refusal::denial),
    });
    answer.as_object_mut().expect("an object").extend(figures(&limit_key.rule, &decision.detail));
    answer
}

fn figures(rule: &Rule, detail: &Detail) -> Map<String, Value> {
    let figures = match *detail {
        Detail::Count(amounts) => with(&amounts, json!({"resetsAt": null})),
        Detail::Quota { amounts, window_start, resets_at } => {
            with(&amounts, json!({"windowStart": window_start, "resetsAt": resets_at}))
        }
        Detail::Rate { limit, remaining, resets_at, retry_after } => json!({
            "bucket": if let Rule::Rate { bucket, .. } = rule { bucket } else { "" },
            "limit": limit.limit(), "remaining": remaining, "resetsAt": resets_at, "retryAfter": retry_after,
        }),
        Detail::Retention { retention, earliest, range, permitted } => json!({
            "retentionDays": retention.limit(), "earliest": earliest, "from": range.from, "to": range.to, "permitted": permitted,
        }),
        Detail::Interval { requested, min, effective } => {
            json!({"requested": requested, "min": min, "effective": effective, "clamped": effective != requested})
        }
        Detail::Feature { enabled } => json!({"enabled": enabled}),
    };
    let Value::Object(figures) = figures else { panic!("not an object: {figures}") };
    figures
}

fn with(amounts: &Amounts, mut more: Value) -> Value {
    let own = json!({
        "current": amounts.current, "held": amounts.held, "max": amounts.max.limit(), "unlimited": amounts.max.limit().is_none(),
        "requested": amounts.requested, "remaining": amounts.remaining,
    });
    let Value::Object(own) = own else { panic!("not an object: {own}") };
    more.as_object_mut().expect("an object").extend(own);
    more
}
