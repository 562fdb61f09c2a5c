//! Goes through what all orgs have taken, in pages, and lets the rules judge it. It writes nothing and holds nothing up.

use std::collections::BTreeMap;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::error::ApiError;
use super::service::{App, Service};
use crate::domain::bound::Quantity;
use crate::domain::decision::Usage;
use crate::domain::names::{OrgId, TierName};
use crate::domain::time::UtcMillis;
use crate::domain::what_if::{Findings, OrgFinding, Scope, Subject, Taken, WhatIf};
use crate::store::{OrgFacts, TakingFilter, TakingPart, TakingPlace};

/// Counters that are read and judged at a time.
const PAGE: u64 = 2_000;

/// One at a time goes through all that there is, so that they never take more than one core and one connection from those who ask.
static TURN: Semaphore = Semaphore::const_new(1);

/// Finds out who would be over, on a thread of its own: those that answer questions are not kept from it.
pub async fn scan(service: App, what_if: WhatIf, findings: Findings, now: UtcMillis) -> Result<Findings, ApiError> {
    let turn = TURN.acquire().await.map_err(|_| ApiError::Internal)?;
    let runtime = Handle::current();
    let found = spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(go_through(&service, &what_if, findings, now))
    });
    found.await.map_err(|_| ApiError::Internal)?
}

async fn go_through(service: &Service, what_if: &WhatIf, findings: Findings, now: UtcMillis) -> Result<Findings, ApiError> {
    let org = match &what_if.scope {
        Scope::Tier(org, _) => Some(org.clone()),
        Scope::Limit(..) | Scope::Everything => None,
    };
    let filter = TakingFilter { counted: what_if.counted(now), org };
    let mut scan = Scan { service, what_if, findings, now, open: None };
    let mut after = None;
    if filter.counted.is_empty() {
        return Ok(scan.findings);
    }
    loop {
        let used = service.store.used_after(&filter, after.as_ref(), PAGE).await?;
        let held = service.store.held_after(&filter, after.as_ref(), PAGE, now).await?;
        let end = end_of(&used, &held);
        scan.judge(merged(used, held, end.as_ref())).await?;
        if end.is_none() {
            scan.close();
            return Ok(scan.findings);
        }
        after = end;
    }
}

/// The last place up to which both pages are complete; nothing when both hold all the rest.
fn end_of(used: &[TakingPart], held: &[TakingPart]) -> Option<TakingPlace> {
    let is_full = |part: &&[TakingPart]| u64::try_from(part.len()).unwrap_or(u64::MAX) >= PAGE;
    let last = |part: &[TakingPart]| part.last().map(|(place, _)| place.clone());
    [used, held].into_iter().filter(is_full).filter_map(last).min()
}

/// What is used and what is held, together for each counter, up to a place.
fn merged(used: Vec<TakingPart>, held: Vec<TakingPart>, end: Option<&TakingPlace>) -> BTreeMap<TakingPlace, Usage> {
    let is_within = |(place, _): &TakingPart| end.is_none_or(|end| place <= end);
    let mut taken: BTreeMap<TakingPlace, Usage> =
        used.into_iter().filter(is_within).map(|(place, used)| (place, Usage { used, held: Quantity::ZERO })).collect();
    for (place, held) in held.into_iter().filter(is_within) {
        taken.entry(place).or_default().held = held;
    }
    taken
}

struct Scan<'a> {
    service: &'a Service,
    what_if: &'a WhatIf,
    findings: Findings,
    now: UtcMillis,
    /// The org whose counters are being judged: they may stand on several pages.
    open: Option<OrgFinding>,
}

impl Scan<'_> {
    async fn judge(&mut self, taken: BTreeMap<TakingPlace, Usage>) -> Result<(), ApiError> {
        let mut orgs: Vec<&OrgId> = taken.keys().map(|place| &place.org).collect();
        orgs.dedup();
        let known = self.service.store.facts_of_orgs(&orgs, self.now).await?;
        let unregistered = self.service.unregistered.as_ref();
        let unregistered = unregistered.map(|org| OrgFacts::of_tier(org.tier.clone()));
        for (TakingPlace { org, limit_key, resource, window_start }, usage) in taken {
            let facts = known.get(&org).or(unregistered.as_ref());
            let Some(facts) = facts.filter(|facts| self.is_looked_at(facts.tier_at(self.now))) else { continue };
            let subject = Subject { tier: facts.tier_at(self.now), overrides: &facts.overrides };
            let place = self.what_if.judge(subject, &Taken { limit_key, resource, window_start, usage }, self.now);
            if let Some(place) = place {
                self.opened(&org, facts.tier_at(self.now)).add(place);
            }
        }
        Ok(())
    }

    fn is_looked_at(&self, tier: &TierName) -> bool {
        self.what_if.before.tiers.contains_key(tier) && self.what_if.applies_to(tier, self.now)
    }

    /// What was found of this org so far. Orgs come in order: the one before it is complete.
    fn opened(&mut self, org: &OrgId, tier: &TierName) -> &mut OrgFinding {
        if self.open.as_ref().is_some_and(|open| open.org != *org) {
            self.close();
        }
        self.open.get_or_insert_with(|| OrgFinding::new(org.clone(), tier.clone()))
    }

    fn close(&mut self) {
        if let Some(found) = self.open.take() {
            self.findings.add(found);
        }
    }
}
