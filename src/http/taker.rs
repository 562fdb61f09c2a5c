//! Takings: what changes usage goes to the ledger, and is repeated safely under an `Idempotency-Key`.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use serde::Serialize;

use super::caller::Caller;
use super::document::{Describe, Description};
use super::envelope::{recorded_response, success_body};
use super::error::ApiError;
use super::extract::{Fresh, IdempotencyKey, Permit, Write};
use super::gate::Admission;
use super::judge::{asked_about, visible_org};
use super::service::{App, Service};
use super::telling::{Considered, Telling};
use super::writer::{call_of, still_permitted};
use crate::domain::ask::{Question, WrittenQuestion};
use crate::domain::bound::Quantity;
use crate::domain::decision::Decision;
use crate::domain::effective::Source;
use crate::domain::explain::{Effect, Grounds};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, OrgId, ResourceId};
use crate::domain::refusal::Denial;
use crate::domain::schedule::Said;
use crate::domain::time::UtcMillis;
use crate::http::decision_view::Shown;
use crate::ledger::{Kept, Operation, Outcome, Taking};
use crate::snapshot::KnownOrg;
use crate::store::Recorded;

/// What a taking needs of its request. The permission is asked for separately, and first.
pub struct Taker {
    request: HttpRequest,
    service: App,
    idempotency_key: Option<String>,
}

/// The answer to a taking. It may be a recorded one, when the request repeats an earlier one under its idempotency key.
pub struct Taken<F> {
    kept: Kept,
    form: PhantomData<fn() -> F>,
}

impl Taker {
    /// The service that the taking goes to. It lives as long as the process.
    pub const fn service(&self) -> App {
        self.service
    }

    /// Does the operation, once for each idempotency key, and answers after it is on disk. `view` writes the answer; nothing
    /// if what came of it is not what was asked for, which is a fault of the program.
    pub async fn run<F>(
        self,
        permit: &Permit<Write>,
        body: (&[u8], bool),
        operation: Operation,
        view: impl Fn(&Outcome) -> Option<Recorded> + Send + Sync + 'static,
    ) -> Result<Taken<F>, ApiError> {
        self.run_if(permit, body, (None, operation), view).await
    }

    /// The same for an operation of which more is told than its answer. `view` may write the answer several times, before one of them is
    /// given: what it tells of the others is not told.
    pub async fn tell<F>(
        self,
        permit: &Permit<Write>,
        body: (&[u8], bool),
        operation: Operation,
        telling: Telling,
        view: impl Fn(&Outcome, &Telling) -> Option<Recorded> + Send + Sync + 'static,
    ) -> Result<Taken<F>, ApiError> {
        self.tell_if(permit, body, (None, operation), telling, view).await
    }

    /// The same for an operation that is to be admitted first.
    pub async fn tell_if<F>(
        self,
        permit: &Permit<Write>,
        body: (&[u8], bool),
        operation: (Option<Admission>, Operation),
        telling: Telling,
        view: impl Fn(&Outcome, &Telling) -> Option<Recorded> + Send + Sync + 'static,
    ) -> Result<Taken<F>, ApiError> {
        let telling = Arc::new(telling);
        let written = Arc::clone(&telling);
        let view = move |outcome: &Outcome| {
            written.begin();
            view(outcome, &written)
        };
        let taken = self.run_if(permit, body, operation, view).await?;
        if !taken.kept.is_replay {
            telling.tell();
        }
        Ok(taken)
    }

    /// Like [`Self::run`] for an operation that is to be admitted first, once it is known that the call is not a repetition.
    pub async fn run_if<F>(
        self,
        permit: &Permit<Write>,
        (body, is_late): (&[u8], bool),
        (admission, operation): (Option<Admission>, Operation),
        view: impl Fn(&Outcome) -> Option<Recorded> + Send + Sync + 'static,
    ) -> Result<Taken<F>, ApiError> {
        self.still_permitted(is_late).await?;
        let kept = match &self.idempotency_key {
            None => {
                let outcome = self.outcome(admission, operation).await?;
                Kept { recorded: view(&outcome).ok_or(ApiError::Internal)?, is_replay: false }
            }
            Some(key) => {
                // Nothing of it is secret, and a caller may repeat it with another credential, such as a newer token.
                let call = call_of(&self.request, &permit.caller, key, body, None);
                let render = Box::new(move |result: Result<&Outcome, &_>| match result {
                    Ok(outcome) => view(outcome),
                    Err(error) => ApiError::from(error).to_recorded(),
                });
                let ledger = &self.service.ledger;
                match admission {
                    None => ledger.run_once(operation, call, None, render).await?,
                    Some(Admission::AtHand(admit)) => ledger.run_once(operation, call, Some(admit), render).await?,
                    Some(Admission::Asked(asked)) => ledger.run_once_after(operation, call, asked, render).await?,
                }
            }
        };
        Ok(Taken { kept, form: PhantomData })
    }
}

impl Taker {
    /// A body that was waited for takes its time: who was revoked meanwhile is answered nothing else.
    pub async fn still_permitted(&self, is_late: bool) -> Result<(), ApiError> {
        if is_late { still_permitted::<Write>(&self.service, &self.request).await } else { Ok(()) }
    }

    /// The answer that was given under the idempotency key before, also when the catalogue no longer has what it was about;
    /// otherwise this error, which is the answer from now on.
    pub async fn repeat_or_fail<F>(self, permit: &Permit<Write>, body: &[u8], error: ApiError) -> Result<Taken<F>, ApiError> {
        match error.to_recorded().filter(|_| self.idempotency_key.is_some()) {
            Some(recorded) => {
                self.run_if(permit, (body, false), (None, Operation::Nothing), move |_| Some(recorded.clone())).await
            }
            None => Err(error),
        }
    }

    async fn outcome(&self, admission: Option<Admission>, operation: Operation) -> Result<Outcome, ApiError> {
        let is_admitted = match admission {
            None => true,
            Some(Admission::AtHand(admit)) => admit(),
            Some(Admission::Asked(asked)) => asked.await,
        };
        if !is_admitted {
            return Ok(Outcome::Withheld);
        }
        Ok(self.service.ledger.run(operation).await?)
    }
}

/// An answer with data and no meta.
pub fn answer<T: Serialize>(status: u16, data: &T) -> Recorded {
    answer_with(status, data, ())
}

/// An answer with data and meta.
pub fn answer_with<T: Serialize, M: Serialize>(status: u16, data: &T, meta: M) -> Recorded {
    Recorded { status, body: success_body(data, meta), headers: Vec::new() }
}

/// The answer that is the response for the product's customer.
pub fn denial_answer(denial: &Denial) -> Option<Recorded> {
    let headers = denial.headers.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Some(Recorded { status: denial.status, body: serde_json::to_vec(&denial.body).ok()?, headers })
}

impl FromRequest for Taker {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = IdempotencyKey::from_request(request, payload).into_inner();
        let service = request.app_data::<App>().copied().ok_or(ApiError::Internal);
        ready(key.and_then(|key| Ok(Self { request: request.clone(), service: service?, idempotency_key: key.0 })))
    }
}

impl Describe for Taker {
    fn describe(description: &mut Description<'_>) {
        IdempotencyKey::describe(description);
    }
}

impl<F> Responder for Taken<F> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        recorded_response(self.kept.recorded, self.kept.is_replay)
    }
}

/// How the answer to a taking is documented.
pub trait TakenForm: 'static {
    /// Adds the statuses that it can have.
    fn describe(description: &mut Description<'_>);
}

impl<F: TakenForm> Describe for Taken<F> {
    fn describe(description: &mut Description<'_>) {
        F::describe(description);
    }
}

/// What a taking is about: what the ledger judges, and what the answer shows.
pub struct Aim {
    /// Whose.
    pub org: OrgId,
    /// What is taken.
    pub taking: Taking,
    known: KnownOrg,
    said: Said,
    revision: u64,
}

/// What is to be taken, as it was written.
pub struct WrittenTaking {
    /// `limitKey`
    pub limit_key: LimitKeyName,
    /// `amount`
    pub amount: Option<Quantity>,
    /// `resource`
    pub resource: Option<ResourceId>,
}

impl Aim {
    /// Finds the org as the caller may see it, and then as [`Self::at`].
    pub async fn find(
        service: &Service,
        fresh: &Fresh,
        caller: &Caller,
        (org, written): (&OrgId, WrittenTaking),
        kinds: &[Kind],
        now: UtcMillis,
    ) -> Result<Self, ApiError> {
        let facts = visible_org(service, fresh, caller, org, now).await?;
        Self::at(fresh, org, &facts, written, kinds, now)
    }

    /// Finds the limit key, checks that what was written fits it, and finds the value that applies to the org at `now`.
    pub fn at(
        fresh: &Fresh,
        org: &OrgId,
        facts: &KnownOrg,
        written: WrittenTaking,
        kinds: &[Kind],
        now: UtcMillis,
    ) -> Result<Self, ApiError> {
        let WrittenTaking { limit_key, amount, resource } = written;
        let limit_key = Arc::clone(asked_about(fresh, &limit_key)?);
        check_kind(&limit_key, kinds)?;
        let question = WrittenQuestion { amount, resource: resource.clone(), ..WrittenQuestion::default() };
        question.about(&limit_key).map_err(ApiError::InvalidBody)?;
        let amount = amount.unwrap_or(Quantity::ONE);
        Ok(Self::of(fresh, org, facts, (limit_key, amount, resource), now))
    }

    /// At so much of a limit key that is known to fit, by the value that applies to the org at `now`.
    pub fn of(
        fresh: &Fresh,
        org: &OrgId,
        facts: &KnownOrg,
        (limit_key, amount, resource): (Arc<LimitKey>, Quantity, Option<ResourceId>),
        now: UtcMillis,
    ) -> Self {
        let (said, effective) = fresh.catalogue.grounds(facts, &limit_key, now);
        let taking = Taking { limit_key, effective, resource, amount, org_banned: facts.banned };
        Self { org: org.clone(), taking, known: facts.clone(), said, revision: fresh.revision }
    }

    /// What the answer shows beside the decision.
    pub fn shown(&self) -> Shown<'_> {
        let Taking { limit_key, effective, resource, .. } = &self.taking;
        let source: Source = effective.source;
        Shown { org: &self.org, limit_key, resource: resource.as_ref(), tier: self.known.tier, source, revision: self.revision }
    }

    /// The decision about it, with everything that it was based on.
    pub fn considered<'a>(&'a self, decision: &'a Decision, effect: Effect) -> Considered<'a> {
        let Taking { limit_key, resource, amount, .. } = &self.taking;
        let (tier, overrides) = (self.known.tier, self.known.overrides());
        let grounds = Grounds { limit_key, tier, said: &self.said, overrides, own: None };
        let question = Question::Add { amount: *amount, current: None, resource: resource.clone() };
        Considered { shown: self.shown(), decision, grounds, question, effect }
    }
}

fn check_kind(limit_key: &LimitKey, kinds: &[Kind]) -> Result<(), ApiError> {
    if kinds.contains(&limit_key.kind()) {
        return Ok(());
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let message =
        format!("must be a limit key of kind {}: {} is of kind {}", names.join(" or "), limit_key.name, limit_key.kind());
    Err(ApiError::InvalidBody(vec![Issue::new("limitKey", message)]))
}
