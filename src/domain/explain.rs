//! Why a decision is what it is: every step that was considered, in order, and what would have allowed it.
//!
//! It judges nothing itself: it is made beside a decision, when somebody asks, from the same facts.

use serde::Serialize;

use super::ask::Question;
use super::bound::{Bound, Quantity};
use super::decision::{Amounts, Decision, Detail, Facts, Usage, WindowUse, decide, max_of};
use super::effective::{Effective, Mode, Override, Source, effective, shaping};
use super::limit_key::{Kind, LimitKey, Rule};
use super::names::{LimitKeyName, RecordId, TierName};
use super::remedy::{Remedies, remedies};
use super::schedule::{Said, Turn};
use super::time::{Day, UtcMillis};
use super::value::Value;
use super::window::Span;

/// Where a value comes from: everything that may have shaped it.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The limit key.
    pub limit_key: &'a LimitKey,
    /// The org's tier.
    pub tier: &'a TierName,
    /// What the tier says of the limit key, and what that changes to by itself.
    pub said: &'a Said,
    /// The org's overrides, also those for other limit keys.
    pub overrides: &'a [Override],
    /// The value that the API key has of its own, which replaces all of these.
    pub own: Option<Effective>,
}

impl<'a> Grounds<'a> {
    /// The org's overrides for this limit key.
    pub fn concerned(&self) -> impl Iterator<Item = &'a Override> + use<'a> {
        let name = &self.limit_key.name;
        self.overrides.iter().filter(move |candidate| candidate.limit_key == *name)
    }

    /// The value that applies at `now`.
    pub fn effective(&self, now: UtcMillis) -> Effective {
        self.effective_in(self.said.at(now), now)
    }

    /// The value that would apply in a tier that says this.
    pub fn effective_in(&self, tier: Option<Value>, now: UtcMillis) -> Effective {
        self.own.unwrap_or_else(|| effective(self.limit_key.default, tier, self.concerned(), now))
    }
}

/// What is known of usage, and of the org's standing, with the question that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The question.
    pub question: Question,
    /// The facts before anything was taken.
    pub facts: Facts,
    /// When it was judged.
    pub now: UtcMillis,
}

/// What a decision did to usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// What was asked for is used.
    Taken,
    /// What was asked for is held.
    Held,
}

impl Case {
    /// The case behind a decision. Its figures are those that it was judged by, so the case is the one that was judged: also where
    /// several askings of one counter were judged as one, and where the window had turned meanwhile.
    pub fn behind(decision: &Decision, question: Question, effect: Effect, now: UtcMillis) -> Self {
        let org_banned = decision.refusal == Some(super::refusal::Refusal::OrgBanned);
        let facts = Facts { org_banned, ..Facts::default() };
        match (decision.detail, question) {
            (Detail::Count(amounts), Question::Add { current, resource, .. }) => {
                let question = Question::Add { amount: amounts.requested, current, resource };
                Self { question, facts: Facts { usage: before(amounts, effect), ..facts }, now }
            }
            (Detail::Quota { amounts, window_start, resets_at }, Question::Add { current, resource, .. }) => {
                let question = Question::Add { amount: amounts.requested, current, resource };
                let now = now.max(window_start).min(resets_at.plus_millis(-1));
                Self { question, facts: Facts { usage: before(amounts, effect), ..facts }, now }
            }
            (Detail::Rate { limit, remaining, resets_at, .. }, question) => {
                let counted = if effect == Effect::Taken { Quantity::ONE } else { Quantity::ZERO };
                let held = limit.limit().zip(remaining).map_or(Quantity::ZERO, |(limit, remaining)| limit.minus(remaining));
                let window = WindowUse { used: held.minus(counted), frees_at: resets_at };
                Self { question, facts: Facts { window, ..facts }, now }
            }
            (_, question) => Self { question, facts, now },
        }
    }

    /// What counts against the limit.
    pub fn taken(&self) -> Quantity {
        match &self.question {
            Question::Add { current: Some(own), .. } => *own,
            Question::Add { current: None, .. } => self.facts.usage.taken(),
            Question::Happen { .. } => self.facts.window.used,
            Question::Read { .. } | Question::Clamp { .. } | Question::Have => Quantity::ZERO,
        }
    }
}

fn before(amounts: Amounts, effect: Effect) -> Usage {
    let Amounts { current, held, requested, .. } = amounts;
    let used = current.minus(held);
    match effect {
        Effect::None => Usage { used, held },
        Effect::Taken => Usage { used: used.minus(requested), held },
        Effect::Held => Usage { used, held: held.minus(requested) },
    }
}

/// Why a decision is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The clock that it was judged by.
    pub at: UtcMillis,
    /// What was considered, in order.
    pub steps: Vec<Step>,
    /// What would have allowed it; nothing when it was allowed.
    pub would_allow: Option<Remedies>,
}

/// One thing that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Whether the org is banned, which stands above every limit.
    Ban {
        /// Whether it is.
        banned: bool,
    },
    /// What is limited.
    LimitKey {
        /// Its name.
        limit_key: LimitKeyName,
        /// Its kind.
        kind: Kind,
    },
    /// The limit key's default.
    Default {
        /// What it says.
        value: Value,
        /// Whether it has a part in the value that applies.
        applied: bool,
    },
    /// What the org's tier says.
    Tier {
        /// The tier.
        tier: TierName,
        /// What it says; nothing when it is silent.
        value: Option<Value>,
        /// Whether it has a part in the value that applies.
        applied: bool,
    },
    /// What the org's tier, or what it says, changes to by itself.
    Scheduled {
        /// The first moment of it.
        starts_at: UtcMillis,
        /// The org's tier from then on.
        tier: TierName,
        /// What it says from then on; nothing when it is silent.
        value: Option<Value>,
        /// Whether it is what the tier says now.
        active: bool,
    },
    /// An override of the org for this limit key.
    Override {
        /// Its id.
        id: RecordId,
        /// Whether it replaces or adds.
        mode: Mode,
        /// By what.
        value: Value,
        /// The first moment that it applies at.
        starts_at: UtcMillis,
        /// The first moment that it no longer applies at.
        expires_at: Option<UtcMillis>,
        /// Whether it was active.
        active: bool,
        /// Whether it has a part in the value that applies.
        applied: bool,
    },
    /// The rate that the API key has of its own.
    ApiKeyRate {
        /// What it says.
        value: Value,
        /// It replaces everything else.
        applied: bool,
    },
    /// The value that applies.
    Effective {
        /// The value.
        value: Value,
        /// Where it came from.
        source: Source,
    },
    /// The window that was counted in.
    Window {
        /// A calendar window's name, or nothing for a sliding window.
        window: Option<&'static str>,
        /// A sliding window's length in seconds.
        window_seconds: Option<u64>,
        /// The first moment that counts.
        from: UtcMillis,
        /// The first moment of the next calendar window; nothing for a sliding window.
        to: Option<UtcMillis>,
    },
    /// What is used.
    Usage {
        /// What is used plus what is held.
        current: Quantity,
        /// What is held by reservations.
        held: Quantity,
        /// Whose figure it is: `caller`, `ledger`, `window`.
        figure_of: &'static str,
    },
    /// The comparison that decides.
    Comparison {
        /// In words and figures.
        rule: String,
        /// Whether it holds.
        holds: bool,
    },
}

/// Explains the decision about this case. `tiers` are what all tiers say of the limit key, from the lowest to the highest.
pub fn explain<'t>(
    grounds: &Grounds<'_>,
    case: &Case,
    tiers: impl Iterator<Item = (&'t TierName, Option<Value>)>,
) -> Explanation {
    let Case { question, facts, now } = case;
    let effective = grounds.effective(*now);
    let decision = decide(grounds.limit_key, effective, question, facts, *now);
    let mut steps = vec![
        Step::Ban { banned: facts.org_banned },
        Step::LimitKey { limit_key: grounds.limit_key.name.clone(), kind: grounds.limit_key.kind() },
    ];
    steps.extend(values(grounds, *now));
    steps.push(Step::Effective { value: effective.value, source: effective.source });
    steps.extend(window(grounds.limit_key, *now));
    steps.extend(usage(case));
    steps.push(comparison(grounds.limit_key, effective, case));
    let would_allow = decision.refusal.is_some().then(|| remedies(grounds, case, tiers));
    Explanation { at: *now, steps, would_allow }
}

/// Every value that there is, and whether it has a part in the one that applies.
fn values(grounds: &Grounds<'_>, now: UtcMillis) -> Vec<Step> {
    let shaping: Vec<&RecordId> = shaping(grounds.concerned(), now).into_iter().map(|shaping| &shaping.id).collect();
    let is_free = grounds.own.is_none();
    let active = || grounds.concerned().filter(|candidate| candidate.is_active(now));
    let is_set = active().any(|candidate| candidate.mode == Mode::Set);
    let mut steps = vec![
        Step::Default { value: grounds.limit_key.default, applied: is_free && !is_set && grounds.said.value.is_none() },
        Step::Tier {
            tier: grounds.tier.clone(),
            value: grounds.said.value,
            applied: is_free && !is_set && grounds.said.value.is_some(),
        },
    ];
    steps.extend(scheduled(grounds.said, now));
    steps.extend(grounds.concerned().map(|candidate| Step::Override {
        id: candidate.id.clone(),
        mode: candidate.mode,
        value: candidate.value,
        starts_at: candidate.starts_at,
        expires_at: candidate.expires_at,
        active: candidate.is_active(now),
        applied: is_free && shaping.contains(&&candidate.id),
    }));
    steps.extend(grounds.own.map(|own| Step::ApiKeyRate { value: own.value, applied: true }));
    steps
}

/// What is scheduled, of which the last that has begun is what the tier says.
fn scheduled(said: &Said, now: UtcMillis) -> impl Iterator<Item = Step> {
    let last = said.turns.iter().rposition(|turn| turn.starts_at <= now);
    said.turns.iter().enumerate().map(move |(position, Turn { starts_at, tier, value })| Step::Scheduled {
        starts_at: *starts_at,
        tier: tier.clone(),
        value: *value,
        active: last == Some(position),
    })
}

fn window(limit_key: &LimitKey, now: UtcMillis) -> Option<Step> {
    match &limit_key.rule {
        Rule::Quota { window, .. } => {
            let Span { start, end } = window.span(now);
            Some(Step::Window { window: Some(window.as_str()), window_seconds: None, from: start, to: Some(end) })
        }
        Rule::Rate { window_seconds, .. } => {
            let millis = i64::try_from(window_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            let from = now.plus_millis(millis.saturating_neg());
            Some(Step::Window { window: None, window_seconds: Some(*window_seconds), from, to: None })
        }
        Rule::Count | Rule::Retention | Rule::Interval { .. } | Rule::Feature => None,
    }
}

fn usage(case: &Case) -> Option<Step> {
    let (held, figure_of) = match &case.question {
        Question::Add { current: Some(_), .. } => (Quantity::ZERO, "caller"),
        Question::Add { current: None, .. } => (case.facts.usage.held, "ledger"),
        Question::Happen { .. } => (Quantity::ZERO, "window"),
        Question::Read { .. } | Question::Clamp { .. } | Question::Have => return None,
    };
    Some(Step::Usage { current: case.taken(), held, figure_of })
}

fn comparison(limit_key: &LimitKey, effective: Effective, case: &Case) -> Step {
    // The ban is a step of its own.
    let unbanned = Facts { org_banned: false, ..case.facts };
    let decision = decide(limit_key, effective, &case.question, &unbanned, case.now);
    let rule = match decision.detail {
        Detail::Count(Amounts { requested, .. }) | Detail::Quota { amounts: Amounts { requested, .. }, .. } => {
            sum(case.taken(), requested, max_of(effective.value))
        }
        Detail::Rate { limit, .. } => sum(case.taken(), Quantity::ONE, limit),
        Detail::Retention { earliest, range, .. } => retention(earliest, range.from.day()),
        Detail::Interval { requested, min, effective } => {
            format!("max(requested {}, min {}) = {}", requested.get(), min.get(), effective.get())
        }
        Detail::Feature { enabled } => format!("enabled = {enabled}"),
    };
    Step::Comparison { rule, holds: decision.refusal.is_none() }
}

fn sum(current: Quantity, amount: Quantity, max: Bound) -> String {
    let (current, amount) = (current.get(), amount.get());
    match max {
        Bound::Limited(max) => format!("current {current} + amount {amount} <= max {}", max.get()),
        Bound::Unlimited => format!("current {current} + amount {amount}, unlimited"),
    }
}

fn retention(earliest: Option<Day>, from: Day) -> String {
    match earliest {
        Some(earliest) => format!("from {from} >= earliest {earliest}"),
        None => format!("from {from}, unlimited"),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
