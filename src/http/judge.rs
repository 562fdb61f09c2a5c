//! From a written question to a judged one: finds the facts, and lets the domain decide.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::error::ApiError;
use super::extract::Fresh;
use super::service::Service;
use super::windows;
use crate::clock;
use crate::domain::ask::{Question, WrittenQuestion};
use crate::domain::decision::{Decision, Facts, Usage, WindowUse, decide};
use crate::domain::effective::Effective;
use crate::domain::explain::Grounds;
use crate::domain::limit_key::{Archived, LimitKey};
use crate::domain::names::{LimitKeyName, OrgId};
use crate::domain::refusal::{Refusal, Removed};
use crate::domain::schedule::Said;
use crate::domain::time::UtcMillis;
use crate::ledger::CounterRef;
use crate::limiter::Told;
use crate::snapshot::KnownOrg;
use crate::telemetry::missed;

/// A question with the facts that it is judged by.
pub struct Asked<'a> {
    /// What is asked about.
    pub limit_key: &'a Arc<LimitKey>,
    /// The question, as the limit key's kind takes it.
    pub question: Question,
    /// What is known of the org.
    pub org: KnownOrg,
    /// The value that applies.
    pub effective: Effective,
    /// What the org's tier says.
    pub said: Said,
    /// The value that the API key has of its own.
    pub own: Option<Effective>,
    /// How old what is known of usage may be.
    pub max_stale: Duration,
}

/// What is known of an org that the caller may see: one that does not exist and one that is another's are the same 404.
pub async fn visible_org(
    service: &Service,
    fresh: &Fresh,
    caller: &Caller,
    org: &OrgId,
    now: UtcMillis,
) -> Result<KnownOrg, ApiError> {
    caller.may_see(org)?;
    known_org(service, fresh, org, now).await
}

/// What is known of an org, whoever asks.
pub async fn known_org(service: &Service, fresh: &Fresh, org: &OrgId, now: UtcMillis) -> Result<KnownOrg, ApiError> {
    let facts = service.org(org, now).await?.ok_or(ApiError::NotFound("org"))?;
    if fresh.catalogue.has_tier(facts.tier) {
        return Ok(facts);
    }
    Err(Box::pin(without_tier(service, &facts)).await)
}

/// An org is read after the catalogue, so its tier may be newer: then the answer is not known yet, and never a false 404.
/// Only a default tier that does not exist leaves the org unknown.
async fn without_tier(service: &Service, facts: &KnownOrg) -> ApiError {
    let latest = match service.store.revision().await {
        Ok(latest) => latest,
        Err(error) => return error.into(),
    };
    service.directory.reaches(latest).await;
    if service.directory.catalogue().has_tier(facts.tier) { ApiError::Unavailable } else { ApiError::NotFound("org") }
}

fn unknown(name: &LimitKeyName) -> ApiError {
    missed(name, clock::now());
    ApiError::NotFound("limit key")
}

/// The limit key of this name, unless it is archived.
pub fn asked_about<'a>(fresh: &'a Fresh, name: &LimitKeyName) -> Result<&'a Arc<LimitKey>, ApiError> {
    let limit_key = fresh.catalogue.limit_key(name).ok_or_else(|| unknown(name))?;
    match &limit_key.archived {
        None => Ok(limit_key),
        Some(Archived { replacement, .. }) => {
            let replacement = replacement.as_ref().map(ToString::to_string);
            Err(Refusal::Gone { what: Removed::LimitKey, replacement }.into())
        }
    }
}

/// Finds what a question is about, and the facts that it is judged by at `now`.
pub async fn asked<'a>(
    service: &Service,
    fresh: &'a Fresh,
    caller: &Caller,
    (org_id, limit_key): (&OrgId, &LimitKeyName),
    written: WrittenQuestion,
    now: UtcMillis,
) -> Result<Asked<'a>, ApiError> {
    let org = visible_org(service, fresh, caller, org_id, now).await?;
    asked_of(service, fresh, (org_id, org), limit_key, written, now).await
}

/// The same of an org that is known already.
pub async fn asked_of<'a>(
    service: &Service,
    fresh: &'a Fresh,
    (org_id, org): (&OrgId, KnownOrg),
    limit_key: &LimitKeyName,
    written: WrittenQuestion,
    now: UtcMillis,
) -> Result<Asked<'a>, ApiError> {
    let limit_key = asked_about(fresh, limit_key)?;
    let question = written.about(limit_key).map_err(ApiError::InvalidBody)?;
    let (said, of_org) = fresh.catalogue.grounds(&org, limit_key, now);
    let own = match &question {
        Question::Happen { key_id } => service.directory.own_rate(org_id, key_id, &limit_key.name).await?,
        Question::Add { .. } | Question::Read { .. } | Question::Clamp { .. } | Question::Have => None,
    };
    let effective = own.unwrap_or(of_org);
    Ok(Asked { limit_key, question, org, effective, said, own, max_stale: fresh.max_stale })
}

impl<'a> Asked<'a> {
    /// Where the value came from.
    pub fn grounds(&'a self) -> Grounds<'a> {
        let Self { limit_key, org, said, own, .. } = self;
        Grounds { limit_key, tier: org.tier, said, overrides: org.overrides(), own: *own }
    }
}

/// Judges a question at `now`. It changes nothing.
pub async fn judge(service: &Service, org: &OrgId, asked: &Asked<'_>, now: UtcMillis) -> Result<Told<Decision>, ApiError> {
    let usage = match &asked.question {
        Question::Add { current: None, resource, .. } => {
            let key = CounterRef::new(org, asked.limit_key, resource.as_ref(), now);
            service.ledger.counter(key, asked.max_stale).await?.usage(now)
        }
        Question::Add { current: Some(_), .. }
        | Question::Happen { .. }
        | Question::Read { .. }
        | Question::Clamp { .. }
        | Question::Have => Usage::default(),
    };
    let Told { what: window, is_degraded } = match (&asked.question, windows::window(asked.limit_key, asked.effective)) {
        (Question::Happen { key_id }, Some(window)) => {
            let Told { what, is_degraded } = service.limiter.held(windows::of(org, key_id), &window).await;
            Told { what: windows::in_use(what, now), is_degraded }
        }
        (_, _) => Told::fully(WindowUse::default()),
    };
    let facts = Facts { org_banned: asked.org.banned, usage, window };
    let decision = decide(asked.limit_key, asked.effective, &asked.question, &facts, now);
    count(service, asked.limit_key, &decision, now);
    note_strength(service, is_degraded);
    Ok(Told { what: decision, is_degraded })
}

/// Counts in the metrics that a process's own windows stood in.
pub fn note_strength(service: &Service, is_degraded: bool) {
    if is_degraded {
        service.metrics.limiter_degraded();
    }
}

/// Counts a decision in the metrics.
pub fn count(service: &Service, limit_key: &LimitKey, decision: &Decision, now: UtcMillis) {
    service.metrics.decided(limit_key, outcome_of(decision), now);
}

/// What the metrics call a decision.
pub fn outcome_of(decision: &Decision) -> &'static str {
    decision.refusal.as_ref().map_or("allowed", Refusal::code)
}
