//! What would be over if the catalogue, or an org's tier, were another.

use super::ask::Question;
use super::bound::Quantity;
use super::decision::{Facts, Usage, decide, max_of};
use super::effective::{Effective, Override, effective, shaping};
use super::limit_key::{Kind, LimitKey, Per, Rule};
use super::names::{LimitKeyName, OrgId, RecordId, ResourceId, TierName};
use super::plan::Plan;
use super::time::UtcMillis;

/// The most counters that are named of one org; how many there are is always told.
pub const MAX_PLACES: usize = 20;

/// The catalogue as it is and as it would be, and to whom the difference applies.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// As it is.
    pub before: Plan,
    /// As it would be.
    pub after: Plan,
    /// What is looked at.
    pub scope: Scope,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One limit key, of the orgs of this tier; without one, of the orgs whose tier says nothing about it.
    Limit(Option<TierName>, LimitKeyName),
    /// All that this org has, in another tier.
    Tier(OrgId, TierName),
    /// All that all orgs have.
    Everything,
}

/// What is known of an org.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its tier, as it is now.
    pub tier: &'a TierName,
    /// Its overrides, of all limit keys.
    pub overrides: &'a [Override],
}

/// What an org has taken of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The limit key.
    pub limit_key: LimitKeyName,
    /// The resource; none for the org as a whole.
    pub resource: Option<ResourceId>,
    /// The first moment of its window, in milliseconds since the epoch; 0 without one.
    pub window_start: i64,
    /// How much.
    pub usage: Usage,
}

/// A counter that would be over, or that only overrides keep from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The limit key.
    pub limit_key: LimitKeyName,
    /// The resource; none for the org as a whole.
    pub resource: Option<ResourceId>,
    /// What is used plus what is held.
    pub current: Quantity,
    /// What would apply, and where it would come from.
    pub effective: Effective,
    /// How it would stand.
    pub standing: Standing,
}

/// How a counter would stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Over what is allowed.
    Over {
        /// By how much.
        excess: Quantity,
        /// Whether it is so already.
        already: bool,
    },
    /// Within what is allowed, and over it without these overrides.
    Saved {
        /// By how much.
        excess: Quantity,
        /// Their ids.
        overrides: Vec<RecordId>,
    },
}

/// The first moment of the window that a limit key counts in, in milliseconds since the epoch; 0 for a count.
fn window_start(limit_key: &LimitKey, now: UtcMillis) -> i64 {
    match &limit_key.rule {
        Rule::Quota { window, .. } => window.span(now).start.get(),
        Rule::Count | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => 0,
    }
}

/// Whether usage of it is counted, and asked about.
fn is_counted(limit_key: &LimitKey) -> bool {
    matches!(limit_key.kind(), Kind::Count | Kind::Quota) && limit_key.archived.is_none()
}

/// Whether this is what the limit key counts now: what was taken when it was another one does not count.
fn counts(limit_key: &LimitKey, taken: &Taken, now: UtcMillis) -> bool {
    is_counted(limit_key)
        && window_start(limit_key, now) == taken.window_start
        && (limit_key.per == Per::Org) == taken.resource.is_none()
}

/// How far above the cap it is, by the judge of all questions: at the cap, nothing more is not too much.
fn excess(limit_key: &LimitKey, effective: Effective, usage: Usage, now: UtcMillis) -> Option<Quantity> {
    let nothing_more = Question::Add { amount: Quantity::ZERO, current: None, resource: None };
    let facts = Facts { usage, ..Facts::default() };
    let is_refused = decide(limit_key, effective, &nothing_more, &facts, now).refusal.is_some();
    let max = max_of(effective.value).limit().filter(|_| is_refused)?;
    Some(usage.taken().minus(max))
}

impl WhatIf {
    /// The limit keys whose usage is looked at, each with the window that it counts in.
    pub fn counted(&self, now: UtcMillis) -> Vec<(LimitKeyName, i64)> {
        let is_looked_at = |limit_key: &&LimitKey| match &self.scope {
            Scope::Limit(_, name) => limit_key.name == *name,
            Scope::Tier(..) | Scope::Everything => true,
        };
        let counted = self.after.limit_keys.values().filter(|limit_key| is_counted(limit_key)).filter(is_looked_at);
        counted.map(|limit_key| (limit_key.name.clone(), window_start(limit_key, now))).collect()
    }

    /// Whether the difference applies to the orgs of this tier.
    pub fn applies_to(&self, tier: &TierName, now: UtcMillis) -> bool {
        match &self.scope {
            Scope::Limit(Some(named), _) => named == tier,
            Scope::Limit(None, limit_key) => self.before.value_in(tier, limit_key, now).is_none(),
            Scope::Tier(..) | Scope::Everything => true,
        }
    }

    /// How this counter of an org would stand; nothing when it is within what the org is allowed anyway.
    pub fn judge(&self, subject: Subject<'_>, taken: &Taken, now: UtcMillis) -> Option<Place> {
        let Taken { limit_key: name, resource, usage, .. } = taken;
        let limit_key = self.after.limit_keys.get(name).filter(|limit_key| counts(limit_key, taken, now))?;
        let tier = match &self.scope {
            Scope::Tier(_, tier) => tier,
            Scope::Limit(..) | Scope::Everything => subject.tier,
        };
        let own = || subject.overrides.iter().filter(|candidate| candidate.limit_key == *name);
        let value = self.after.value_in(tier, name, now);
        let with = effective(limit_key.default, value, own(), now);
        let without = effective(limit_key.default, value, std::iter::empty(), now);
        let standing = match excess(limit_key, with, *usage, now) {
            Some(excess) => Standing::Over { excess, already: self.is_over(subject, taken, now) },
            None => Standing::Saved {
                excess: excess(limit_key, without, *usage, now)?,
                overrides: shaping(own(), now).into_iter().map(|saving| saving.id.clone()).collect(),
            },
        };
        let (limit_key, resource) = (name.clone(), resource.clone());
        Some(Place { limit_key, resource, current: usage.taken(), effective: with, standing })
    }

    /// Whether it is over as things are.
    fn is_over(&self, subject: Subject<'_>, taken: &Taken, now: UtcMillis) -> bool {
        let name = &taken.limit_key;
        let Some(limit_key) = self.before.limit_keys.get(name).filter(|limit_key| counts(limit_key, taken, now)) else {
            return false;
        };
        let own = subject.overrides.iter().filter(|candidate| candidate.limit_key == *name);
        let present = effective(limit_key.default, self.before.value_in(subject.tier, name, now), own, now);
        excess(limit_key, present, taken.usage, now).is_some()
    }
}

/// What was found of one org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgFinding {
    /// The org.
    pub org: OrgId,
    /// Its tier, as it is.
    pub tier: TierName,
    /// The first of its counters that would be over or are saved, by limit key and resource.
    pub places: Vec<Place>,
    /// How many would be over.
    pub over: u64,
    /// How many of those are not over already.
    pub newly_over: u64,
    /// How many are saved.
    pub saved: u64,
    /// By how much those that would be over are so, together.
    pub excess: Quantity,
}

impl OrgFinding {
    /// Nothing so far.
    pub fn new(org: OrgId, tier: TierName) -> Self {
        Self { org, tier, places: Vec::new(), over: 0, newly_over: 0, saved: 0, excess: Quantity::ZERO }
    }

    /// Adds a counter.
    pub fn add(&mut self, place: Place) {
        match &place.standing {
            Standing::Over { excess, already } => {
                self.over = self.over.saturating_add(1);
                self.newly_over = self.newly_over.saturating_add(u64::from(!already));
                self.excess = self.excess.plus(*excess);
            }
            Standing::Saved { .. } => self.saved = self.saved.saturating_add(1),
        }
        if self.places.len() < MAX_PLACES {
            self.places.push(place);
        }
    }
}

/// What was found of all orgs: how many, and a page of who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Orgs that would be over.
    pub over: u64,
    /// Those of them that are over nothing of it already.
    pub newly_over: u64,
    /// Orgs that only overrides keep from being over something.
    pub saved: u64,
    /// By how much all of them would be over, together.
    pub excess: Quantity,
    /// The page: orgs that would be over or are saved, in order.
    pub page: Vec<OrgFinding>,
    /// Whether there are more behind it.
    pub has_more: bool,
    after: Option<String>,
    limit: usize,
}

impl Findings {
    /// Nothing so far. The page is to begin after an org and to have at most `limit`.
    pub const fn new(after: Option<String>, limit: usize) -> Self {
        let excess = Quantity::ZERO;
        Self { over: 0, newly_over: 0, saved: 0, excess, page: Vec::new(), has_more: false, after, limit }
    }

    /// Adds an org. Orgs come in order.
    pub fn add(&mut self, found: OrgFinding) {
        let is_over = found.over > 0;
        if !is_over && found.saved == 0 {
            return;
        }
        self.over = self.over.saturating_add(u64::from(is_over));
        self.newly_over = self.newly_over.saturating_add(u64::from(is_over && found.over == found.newly_over));
        self.saved = self.saved.saturating_add(u64::from(found.saved > 0));
        self.excess = self.excess.plus(found.excess);
        if self.after.as_deref().is_some_and(|after| found.org.as_str() <= after) {
            return;
        }
        if self.page.len() < self.limit {
            self.page.push(found);
        } else {
            self.has_more = true;
        }
    }
}

#[cfg(test)]
#[path = "what_if_tests.rs"]
mod tests;
