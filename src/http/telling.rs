//! How a taking is told: plainly, explained, or as the response for the product's customer; and the receipt that a refusal leaves.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use uuid::Uuid;

use super::check::{Enforce, Form};
use super::decision_view::{DecisionView, Shown};
use super::error::ApiError;
use super::extract::Fresh;
use super::judge::outcome_of;
use super::receipts::{Noted, Refused};
use super::service::App;
use crate::domain::ask::Question;
use crate::domain::decision::Decision;
use crate::domain::explain::{Case, Effect, Explanation, Grounds, explain};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::refusal::Refusal;
use crate::domain::time::UtcMillis;
use crate::snapshot::Catalogue;

/// The header that names the receipt where the body is the customer's.
pub const RECEIPT: &str = "X-Plimsoll-Decision-Id";
/// The bits of an id that tell the decisions of one answer from each other.
const PLACES: u128 = 0xfff;

/// A decision with everything that it was based on.
pub struct Considered<'a> {
    /// What it was about.
    pub shown: Shown<'a>,
    /// The decision.
    pub decision: &'a Decision,
    /// Where its value came from.
    pub grounds: Grounds<'a>,
    /// The question.
    pub question: Question,
    /// What the decision did to usage.
    pub effect: Effect,
}

impl<'a> Considered<'a> {
    /// Its view, without an explanation.
    pub fn plain(&self) -> DecisionView<'a> {
        DecisionView::of(self.shown, self.decision)
    }

    /// Why it is what it is, by the clock of the question.
    pub fn explained(&self, catalogue: &Catalogue, now: UtcMillis) -> Explanation {
        let case = Case::behind(self.decision, self.question.clone(), self.effect, now);
        explain(&self.grounds, &case, catalogue.tiers_upwards(&self.shown.limit_key.name, now))
    }
}

/// How a taking is told.
pub struct Telling {
    service: App,
    /// What was asked for, as receipts name it.
    operation: &'static str,
    form: Form,
    /// When it was asked.
    now: UtcMillis,
    /// What explanations look at; nothing when none is asked for.
    catalogue: Option<Arc<Catalogue>>,
    /// The id of the first receipt, made when there is a refusal. An answer that is written again has the same ones.
    first: OnceLock<Uuid>,
    beside: Mutex<Beside>,
}

/// What an answer tells beside itself. It is told once the answer is given: one that is written again, because another process was
/// faster, tells nothing of what it was before.
struct Beside {
    counted: Vec<(Arc<LimitKey>, &'static str)>,
    receipts: Vec<Noted>,
    /// Receipts for which there was no room.
    dropped: usize,
}

impl Beside {
    const fn new() -> Self {
        Self { counted: Vec::new(), receipts: Vec::new(), dropped: 0 }
    }
}

impl Telling {
    /// As the query wants it. Errors: an explanation of what is the response for the customer.
    pub fn of(query: &Enforce, fresh: &Fresh, now: UtcMillis, of: (App, &'static str)) -> Result<Self, ApiError> {
        let form = query.form()?;
        let catalogue = (form == Form::Explained).then(|| Arc::clone(&fresh.catalogue));
        Ok(Self { form, catalogue, ..Self::plain(now, of) })
    }

    /// Without an explanation.
    pub const fn plain(now: UtcMillis, (service, operation): (App, &'static str)) -> Self {
        Self {
            service,
            operation,
            form: Form::Plain,
            now,
            catalogue: None,
            first: OnceLock::new(),
            beside: Mutex::new(Beside::new()),
        }
    }

    /// Whether a refusal is the response itself.
    pub fn enforces(&self) -> bool {
        self.form == Form::Enforced
    }

    /// The view of the decision at this place of the answer: explained if that was asked for, with the receipt of a refusal.
    pub fn view<'a>(&self, place: usize, considered: &Considered<'a>) -> DecisionView<'a> {
        let view = considered.plain();
        let view = match &self.catalogue {
            Some(catalogue) => view.explained(considered.explained(catalogue, self.now)),
            None => view,
        };
        match self.receipt(place, considered) {
            Some(id) => view.with_receipt(id),
            None => view,
        }
    }

    /// Leaves a receipt of the decision at this place, if it is a refusal.
    pub fn receipt(&self, place: usize, considered: &Considered<'_>) -> Option<RecordId> {
        let refusal = considered.decision.refusal.as_ref()?;
        let Shown { org, revision, .. } = considered.shown;
        self.note(place, (org, revision), refusal, Some(considered))
    }

    /// Leaves a receipt of a refusal that is about no limit key.
    pub fn receipt_of(&self, org: &OrgId, revision: u64, refusal: &Refusal) -> Option<RecordId> {
        self.note(0, (org, revision), refusal, None)
    }

    /// The id of the receipt of the refusal that won.
    pub fn id_of(&self, place: usize) -> Option<RecordId> {
        let first = self.first.get_or_init(Uuid::now_v7).as_u128();
        let place = u128::try_from(place).unwrap_or(PLACES).min(PLACES);
        RecordId::parse(format!("dec_{:032x}", (first & !PLACES) | place)).ok()
    }

    fn note(
        &self,
        place: usize,
        (org, revision): (&OrgId, u64),
        refusal: &Refusal,
        considered: Option<&Considered<'_>>,
    ) -> Option<RecordId> {
        let id = self.id_of(place)?;
        // What there is no room for costs nothing more.
        if self.service.receipts.is_full() {
            let mut beside = self.beside();
            beside.dropped = beside.dropped.saturating_add(1);
            return Some(id);
        }
        let (operation, now) = (self.operation, self.now);
        let refused = Refused { id: &id, operation, now, org, revision, refusal, considered };
        self.beside().receipts.push(Noted::of(&refused));
        Some(id)
    }

    /// Counts a decision in the metrics.
    pub fn count(&self, limit_key: &Arc<LimitKey>, decision: &Decision) {
        self.beside().counted.push((Arc::clone(limit_key), outcome_of(decision)));
    }

    /// An answer is written, perhaps in place of another that is not given.
    pub fn begin(&self) {
        *self.beside() = Beside::new();
    }

    /// The answer is given: what was noted beside it is so.
    pub fn tell(&self) {
        let Beside { counted, receipts, dropped } = std::mem::replace(&mut *self.beside(), Beside::new());
        for (limit_key, outcome) in counted {
            self.service.metrics.decided(&limit_key, outcome, self.now);
        }
        if dropped > 0 {
            self.service.metrics.receipts_dropped(dropped);
        }
        for receipt in receipts {
            if !self.service.receipts.note(receipt) {
                self.service.metrics.receipts_dropped(1);
            }
        }
    }

    fn beside(&self) -> MutexGuard<'_, Beside> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
