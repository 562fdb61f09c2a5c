//! What would have allowed what was refused.

use serde::Serialize;

use super::ask::Question;
use super::bound::{Bound, Quantity};
use super::decision::{Decision, Detail, Facts, Usage, WindowUse, decide, max_of};
use super::effective::Effective;
use super::explain::{Case, Grounds};
use super::limit_key::Kind;
use super::names::TierName;
use super::time::{Day, Moment, UtcMillis};
use super::value::Value;

/// Moments at which something changes that are looked at at most: an org has few overrides.
const MOST_MOMENTS: usize = 64;

/// What would have allowed it. When the org is banned, that must end whatever else there is; of the others any single one is enough,
/// and when there is none, the end of the ban is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remedies {
    /// Whether the org would have to be unbanned.
    pub unban: bool,
    /// The cheapest tier that would allow it.
    pub tier: Option<BetterTier>,
    /// The smallest value that would allow it.
    pub value: Option<Value>,
    /// How many would have to be deleted or released.
    pub release: Option<Quantity>,
    /// The most that could have been asked for.
    pub amount: Option<Quantity>,
    /// How long to wait, if nobody takes anything meanwhile and nothing is changed.
    pub wait: Option<Wait>,
    /// The earliest start of the range that could have been read.
    pub from: Option<Day>,
}

/// A tier, and the value that would apply to the org in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BetterTier {
    /// The tier.
    pub tier: TierName,
    /// What would apply there, with the org's overrides.
    pub value: Value,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// In seconds, rounded up.
    pub seconds: u64,
    /// Until when.
    pub until: UtcMillis,
}

/// What would have allowed this case.
pub fn remedies<'t>(
    grounds: &Grounds<'_>,
    case: &Case,
    tiers: impl Iterator<Item = (&'t TierName, Option<Value>)>,
) -> Remedies {
    let unban = case.facts.org_banned;
    let unbanned = Case { facts: Facts { org_banned: false, ..case.facts }, ..case.clone() };
    let effective = grounds.effective(case.now);
    let decision = judged(grounds, &unbanned, effective);
    if decision.refusal.is_none() {
        return Remedies { unban, ..Remedies::default() };
    }
    Remedies {
        unban,
        tier: better_tier(grounds, &unbanned, tiers),
        value: enough(grounds, &unbanned, &decision),
        release: release(grounds, &unbanned, effective),
        amount: amount(&decision),
        wait: wait(grounds, &unbanned, effective),
        from: from(&decision),
    }
}

fn judged(grounds: &Grounds<'_>, case: &Case, effective: Effective) -> Decision {
    decide(grounds.limit_key, effective, &case.question, &case.facts, case.now)
}

fn better_tier<'t>(
    grounds: &Grounds<'_>,
    case: &Case,
    mut tiers: impl Iterator<Item = (&'t TierName, Option<Value>)>,
) -> Option<BetterTier> {
    // Where the API key has a rate of its own, no tier has a say.
    if grounds.own.is_some() {
        return None;
    }
    tiers.find_map(|(tier, value)| {
        let effective = grounds.effective_in(value, case.now);
        let allows = judged(grounds, case, effective).refusal.is_none();
        allows.then(|| BetterTier { tier: tier.clone(), value: effective.value })
    })
}

fn at_least(number: u64) -> Bound {
    Quantity::new(number).map_or(Bound::Unlimited, Bound::Limited)
}

fn enough(grounds: &Grounds<'_>, case: &Case, decision: &Decision) -> Option<Value> {
    let taken = case.taken().get();
    match (grounds.limit_key.kind(), decision.detail) {
        (Kind::Count | Kind::Quota, Detail::Count(amounts) | Detail::Quota { amounts, .. }) => {
            Some(Value::Max(at_least(taken.saturating_add(amounts.requested.get()))))
        }
        (Kind::Rate, _) => Some(Value::Max(at_least(taken.saturating_add(1)))),
        (Kind::Retention, Detail::Retention { range, .. }) => {
            let back = range.from.day().start().seconds_until(case.now.day().start());
            Some(Value::Days(at_least(back.div_ceil(86_400))))
        }
        (Kind::Feature, _) => Some(Value::Enabled(true)),
        (Kind::Count | Kind::Quota | Kind::Retention | Kind::Interval, _) => None,
    }
}

/// Only what is counted for good can be given back.
fn release(grounds: &Grounds<'_>, case: &Case, effective: Effective) -> Option<Quantity> {
    let Question::Add { amount, .. } = &case.question else { return None };
    let max = max_of(effective.value).limit().filter(|max| grounds.limit_key.kind() == Kind::Count && amount <= max)?;
    Some(case.taken().minus(max.minus(*amount)))
}

fn amount(decision: &Decision) -> Option<Quantity> {
    match decision.detail {
        Detail::Count(amounts) | Detail::Quota { amounts, .. } => amounts.remaining.filter(|left| *left > Quantity::ZERO),
        Detail::Rate { .. } | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => None,
    }
}

fn from(decision: &Decision) -> Option<Day> {
    match decision.detail {
        Detail::Retention { earliest, range, .. } => earliest.filter(|earliest| *earliest <= range.to.day()),
        Detail::Count(_) | Detail::Quota { .. } | Detail::Rate { .. } | Detail::Interval { .. } | Detail::Feature { .. } => {
            None
        }
    }
}

/// The first moment at which it would be allowed: the window has room, an override begins or ends, or the tier or what it says changes.
fn wait(grounds: &Grounds<'_>, case: &Case, effective: Effective) -> Option<Wait> {
    let ends = match judged(grounds, case, effective).detail {
        Detail::Quota { resets_at, .. } => Some(resets_at),
        Detail::Rate { resets_at, .. } => resets_at,
        Detail::Count(_) | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => None,
    };
    let overrides = grounds.concerned().take(MOST_MOMENTS);
    let turns = overrides.flat_map(|candidate| [Some(candidate.starts_at), candidate.expires_at]).flatten();
    let scheduled = grounds.said.turns.iter().map(|turn| turn.starts_at);
    let mut moments: Vec<UtcMillis> = turns.chain(scheduled).chain(ends).filter(|moment| *moment > case.now).collect();
    moments.sort_unstable();
    let until = moments.into_iter().find(|moment| {
        let then = later(grounds, case, *moment, ends.is_some_and(|end| end <= *moment));
        judged(grounds, &then, grounds.effective(*moment)).refusal.is_none()
    })?;
    Some(Wait { seconds: case.now.seconds_until(until), until })
}

/// The same case at a later moment, if nobody takes anything meanwhile.
pub(super) fn later(grounds: &Grounds<'_>, case: &Case, now: UtcMillis, is_over: bool) -> Case {
    let mut then = Case { now, ..case.clone() };
    match (&mut then.question, is_over) {
        // A range that has no end ends today, whenever it was asked for.
        (Question::Read { from, to }, _) => *to = to.or(Some(Moment::Day(case.now.day().max(from.day())))),
        (Question::Add { current, .. }, true) => {
            *current = current.map(|_| Quantity::ZERO);
            then.facts.usage = Usage::default();
        }
        // One leaves the window; when more do is not known.
        (Question::Happen { .. }, true) => {
            let limit = max_of(grounds.effective(case.now).value).limit().unwrap_or(Quantity::ZERO);
            then.facts.window = WindowUse { used: limit.minus(Quantity::ONE), frees_at: None };
        }
        (Question::Add { .. } | Question::Happen { .. } | Question::Clamp { .. } | Question::Have, _) => {}
    }
    then
}
