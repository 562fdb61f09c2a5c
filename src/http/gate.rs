//! The gate: one request of a customer, judged as a whole. `authorize` and `forward-auth` both pass through it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::error::ApiError;
use super::extract::Fresh;
use super::judge::{Asked, asked_about, asked_of, count, judge, known_org, note_strength};
use super::service::App;
use super::taker::{Aim, WrittenTaking};
use super::telling::{Considered, Telling};
use super::windows;
use crate::domain::api_key::{ApiKey, own_rate};
use crate::domain::ask::{Question, WrittenQuestion};
use crate::domain::bound::Quantity;
use crate::domain::decision::{Decision, Facts, counted, decide};
use crate::domain::effective::Effective;
use crate::domain::explain::{Effect, Grounds};
use crate::domain::gate::{Request, first};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::refusal::Refusal;
use crate::domain::schedule::Said;
use crate::domain::time::UtcMillis;
use crate::http::consume::COUNTED;
use crate::http::decision_view::Shown;
use crate::ledger::{Admit, Operation, Outcome};
use crate::limiter::{Held, Passage, Told, Window};
use crate::snapshot::KnownOrg;

/// What is to be taken and asked beside what every request takes.
#[derive(Default)]
pub struct Wanted {
    /// What the request consumes.
    pub consume: Vec<WrittenTaking>,
    /// What else must be allowed.
    pub check: Vec<(LimitKeyName, WrittenQuestion)>,
}

/// A limit key, what it was asked, and the value that applies with where it came from.
struct About {
    limit_key: Arc<LimitKey>,
    question: Question,
    effective: Effective,
    said: Said,
    own: Option<Effective>,
}

impl About {
    fn of(asked: Asked<'_>) -> Self {
        let Asked { limit_key, question, effective, said, own, .. } = asked;
        Self { limit_key: Arc::clone(limit_key), question, effective, said, own }
    }
}

/// A request that is being judged: everything about it that needs no counting is known.
pub struct Gate {
    service: App,
    /// When it is judged.
    pub now: UtcMillis,
    /// The catalogue revision that it is judged by.
    pub revision: u64,
    /// Its API key, if it has one that is known.
    pub key: Option<Arc<ApiKey>>,
    known: Option<KnownOrg>,
    /// Why it is refused before anything is counted.
    refusal: Option<Refusal>,
    /// The sliding windows that it has to fit in.
    rates: Vec<About>,
    /// What the windows said, once they were asked.
    passage: OnceLock<Told<Vec<Decision>>>,
    /// What it takes: the quotas of every request, then what it consumes.
    takings: Vec<Aim>,
    /// What it asks, and what was decided.
    checks: Vec<(About, Told<Decision>)>,
}

/// What was decided about a request.
pub struct Verdict<'a> {
    /// Which of the refusals won.
    pub refusal: Option<&'a Refusal>,
    /// Every single decision, with what it was based on, in the order of the ladder.
    pub decisions: Vec<Considered<'a>>,
    /// Whether some of them are of windows that stood in for others.
    pub is_degraded: bool,
}

/// How it is found out whether a request passes its windows.
pub enum Admission {
    /// It can be told without waiting.
    AtHand(Admit),
    /// Somebody else has to be asked.
    Asked(Pin<Box<dyn Future<Output = bool>>>),
}

fn has_passed(told: &Told<Vec<Decision>>) -> bool {
    told.what.iter().all(|decision| decision.refusal.is_none())
}

impl Gate {
    /// Judges everything that needs no counting. Errors are about what was written; nothing was counted then.
    pub async fn open(
        service: App,
        fresh: &Fresh,
        key: Option<Arc<ApiKey>>,
        request: &Request<'_>,
        wanted: Wanted,
        now: UtcMillis,
    ) -> Result<Self, ApiError> {
        let refusal = request.admit(fresh.catalogue.removed(), now).err();
        let mut gate = Self {
            service,
            now,
            revision: fresh.revision,
            key,
            known: None,
            refusal,
            rates: Vec::new(),
            passage: OnceLock::new(),
            takings: Vec::new(),
            checks: Vec::new(),
        };
        if let Some(key) = gate.key.as_ref().filter(|key| key.admit(now).is_ok()) {
            service.directory.note_use(key, now);
        }
        if gate.refusal.is_none() {
            gate.prepare(fresh, wanted).await?;
        }
        Ok(gate)
    }

    /// Finds what applies to the key's org. A platform key has none, and no plan that could limit it.
    async fn prepare(&mut self, fresh: &Fresh, wanted: Wanted) -> Result<(), ApiError> {
        let Some(key) = self.key.clone() else { return Ok(()) };
        let Some(org) = &key.org else { return without_org(&wanted) };
        let facts = known_org(&self.service, fresh, org, self.now).await?;
        self.known = Some(facts.clone());
        let per_request = fresh.catalogue.per_request();
        let rate = |limit_key: &Arc<LimitKey>| {
            let (said, of_org) = fresh.catalogue.grounds(&facts, limit_key, self.now);
            let (own, question) = (own_rate(&key.rates, &limit_key.name), Question::Happen { key_id: key.id.clone() });
            About { limit_key: Arc::clone(limit_key), question, effective: own.unwrap_or(of_org), said, own }
        };
        self.rates = per_request.rates.iter().map(rate).collect();
        let quota =
            |limit_key: &Arc<LimitKey>| Aim::of(fresh, org, &facts, (Arc::clone(limit_key), Quantity::ONE, None), self.now);
        self.takings = per_request.quotas.iter().map(quota).collect();
        let mut issues = Vec::new();
        for (position, written) in wanted.consume.into_iter().enumerate() {
            let aim = Aim::at(fresh, org, &facts, written, &COUNTED, self.now);
            self.takings.extend(placed(aim, "consume", position, &mut issues)?);
        }
        for (position, (name, written)) in wanted.check.into_iter().enumerate() {
            let checked = self.check(fresh, (org, &facts), &name, written).await;
            self.checks.extend(placed(checked, "check", position, &mut issues)?);
        }
        if issues.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody(issues)) }
    }

    async fn check(
        &self,
        fresh: &Fresh,
        (org, facts): (&OrgId, &KnownOrg),
        name: &LimitKeyName,
        written: WrittenQuestion,
    ) -> Result<(About, Told<Decision>), ApiError> {
        // A window is asked for the key of the request, unless another is named.
        let is_rate = asked_about(fresh, name)?.kind() == Kind::Rate;
        let own = self.key.as_ref().filter(|_| is_rate).map(|key| key.id.clone());
        let written = WrittenQuestion { key_id: written.key_id.clone().or(own), ..written };
        let asked = asked_of(&self.service, fresh, (org, facts.clone()), name, written, self.now).await?;
        let decision = judge(&self.service, org, &asked, self.now).await?;
        Ok((About::of(asked), decision))
    }

    /// How it is found out whether it passes its windows.
    pub fn admission(self: &Arc<Self>) -> Admission {
        let gate = Arc::clone(self);
        if self.is_at_hand() {
            Admission::AtHand(Box::new(move || gate.passes_at_once().unwrap_or(false)))
        } else {
            Admission::Asked(Box::pin(async move { gate.passes().await }))
        }
    }

    /// Whether it can be told without waiting whether it passes.
    fn is_at_hand(&self) -> bool {
        self.refusal.is_some() || self.rates.is_empty() || self.service.limiter.are_at_hand() || self.passage.get().is_some()
    }

    /// Counts the request in its windows, if it got so far and fits in. It is counted once, however often this is asked.
    pub async fn passes(&self) -> bool {
        if let Some(passes) = self.passes_at_once() {
            return passes;
        }
        let told = match self.windows() {
            Some((of, windows)) => self.decided(&windows, self.service.limiter.pass(of, &windows).await),
            None => Told::fully(Vec::new()),
        };
        has_passed(self.passage.get_or_init(|| told))
    }

    /// The same when it can be told without waiting.
    fn passes_at_once(&self) -> Option<bool> {
        if self.refusal.is_some() {
            return Some(false);
        }
        if self.passage.get().is_none() {
            let told = match self.windows() {
                Some((of, windows)) => self.decided(&windows, self.service.limiter.pass_at_once(of, &windows)?),
                None => Told::fully(Vec::new()),
            };
            return Some(has_passed(self.passage.get_or_init(|| told)));
        }
        self.passage.get().map(has_passed)
    }

    /// The windows that it has to fit in, and whose they are.
    fn windows(&self) -> Option<([&str; 2], Vec<Window<'_>>)> {
        let key = self.key.as_ref().filter(|_| !self.rates.is_empty())?;
        let windows = self.rates.iter().filter_map(|rate| windows::window(&rate.limit_key, rate.effective));
        Some((windows::of(key.org.as_ref()?, &key.id), windows.collect()))
    }

    fn decided(&self, windows: &[Window<'_>], told: Told<Passage>) -> Told<Vec<Decision>> {
        let Told { what: passage, is_degraded } = told;
        note_strength(&self.service, is_degraded);
        let what = self.key.as_ref().map(|key| self.decisions(&key.id, windows, passage)).unwrap_or_default();
        Told { what, is_degraded }
    }

    fn decisions(&self, key_id: &RecordId, windows: &[Window<'_>], passage: Passage) -> Vec<Decision> {
        let (is_counted, held) = match passage {
            Passage::Counted(held) => (true, held),
            Passage::Refused(held) => (false, held),
            Passage::Full(wait) => {
                self.service.metrics.limiter_full();
                (false, windows.iter().map(|window| full(window, wait)).collect())
            }
        };
        let question = Question::Happen { key_id: key_id.clone() };
        let decided = |(rate, held): (&About, Held)| {
            let window = windows::in_use(held, self.now);
            let facts = Facts { window, ..Facts::default() };
            let decision = match is_counted {
                true => counted(rate.effective, window),
                false => decide(&rate.limit_key, rate.effective, &question, &facts, self.now),
            };
            count(&self.service, &rate.limit_key, &decision, self.now);
            decision
        };
        self.rates.iter().zip(held).map(decided).collect()
    }

    /// What is to be done when it passes its windows. If one of its questions is refused, the rest is weighed only.
    pub fn operation(&self) -> Operation {
        let Some(org) = self.key.as_ref().and_then(|key| key.org.clone()).filter(|_| !self.takings.is_empty()) else {
            return Operation::Nothing;
        };
        let takings = self.takings.iter().map(|aim| aim.taking.clone()).collect();
        if self.checks.iter().any(|(_, told)| told.what.refusal.is_some()) {
            Operation::Weigh { org, takings }
        } else {
            Operation::Consume { org, takings }
        }
    }

    /// What was decided, with what came of the operation.
    pub fn verdict<'a>(&'a self, outcome: &'a Outcome) -> Verdict<'a> {
        let mut decisions: Vec<Considered<'a>> = Vec::new();
        let passage = self.passage.get().map(|told| told.what.as_slice()).unwrap_or_default();
        let mut is_degraded = self.passage.get().is_some_and(|told| told.is_degraded);
        let effect = if self.passage.get().is_some_and(has_passed) { Effect::Taken } else { Effect::None };
        decisions.extend(self.rates.iter().zip(passage).filter_map(|(rate, decision)| self.considered(rate, decision, effect)));
        if self.refusal.is_none() && self.passage.get().is_some_and(has_passed) {
            if let Outcome::Consumed(taken) = outcome {
                let effect = self.effect(taken);
                let pairs = self.takings.iter().zip(taken);
                decisions.extend(pairs.map(|(aim, decision)| aim.considered(decision, effect)));
            }
            let asked = self.checks.iter();
            decisions.extend(asked.filter_map(|(about, told)| self.considered(about, &told.what, Effect::None)));
            is_degraded |= self.checks.iter().any(|(_, told)| told.is_degraded);
        }
        let refused = first(decisions.iter().filter_map(|considered| considered.decision.refusal.as_ref()));
        Verdict { refusal: self.refusal.as_ref().or(refused), decisions, is_degraded }
    }

    /// Counts in the metrics what came of the operation.
    pub fn count(&self, outcome: &Outcome, telling: &Telling) {
        if let Outcome::Consumed(decisions) = outcome {
            for (aim, decision) in self.takings.iter().zip(decisions) {
                telling.count(&aim.taking.limit_key, decision);
            }
        }
    }

    /// What came of the takings: if one of them or one of the questions is refused, nothing was taken.
    fn effect(&self, taken: &[Decision]) -> Effect {
        let asked = self.checks.iter().map(|(_, told)| &told.what);
        let is_refused = taken.iter().chain(asked).any(|decision| decision.refusal.is_some());
        if is_refused { Effect::None } else { Effect::Taken }
    }

    fn considered<'a>(&'a self, about: &'a About, decision: &'a Decision, effect: Effect) -> Option<Considered<'a>> {
        let (org, known) = self.key.as_ref()?.org.as_ref().zip(self.known.as_ref())?;
        let About { limit_key, question, effective, said, own } = about;
        let resource = match question {
            Question::Add { resource, .. } => resource.as_ref(),
            Question::Happen { .. } | Question::Read { .. } | Question::Clamp { .. } | Question::Have => None,
        };
        let (tier, revision) = (known.tier, self.revision);
        let shown = Shown { org, limit_key, resource, tier, source: effective.source, revision };
        let grounds = Grounds { limit_key, tier, said, overrides: known.overrides(), own: *own };
        Some(Considered { shown, decision, grounds, question: question.clone(), effect })
    }
}

/// A window as it is answered when there is no memory for it: as if it were full until there may be. Nobody goes free.
fn full(window: &Window<'_>, wait: Duration) -> Held {
    Held { used: window.limit.limit().map_or(0, Quantity::get), frees_in: Some(wait) }
}

/// What a platform key's request wants of an org's plan cannot be had.
fn without_org(wanted: &Wanted) -> Result<(), ApiError> {
    let fields = [("consume", wanted.consume.is_empty()), ("check", wanted.check.is_empty())];
    let message = "cannot be asked for: the API key is a platform key, which has no org and no plan";
    let issues: Vec<Issue> =
        fields.iter().filter(|(_, is_empty)| !is_empty).map(|(field, _)| Issue::new(*field, message)).collect();
    if issues.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody(issues)) }
}

/// Findings about an item are placed in the whole body and collected; other errors end it.
fn placed<T>(item: Result<T, ApiError>, list: &str, position: usize, issues: &mut Vec<Issue>) -> Result<Option<T>, ApiError> {
    match item {
        Ok(item) => Ok(Some(item)),
        Err(ApiError::InvalidBody(found)) => {
            let place = |Issue { path, message }| Issue::new(format!("{list}[{position}].{path}"), message);
            issues.extend(found.into_iter().map(place));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
