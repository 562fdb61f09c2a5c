//! What a batch tells of what its operations did. When there is nothing to tell, it costs a few comparisons of numbers.

use super::batch::Batch;
use super::operation::Taking;
use crate::domain::bound::Quantity;
use crate::domain::decision::{Decision, Detail};
use crate::domain::event::{Happening, NewEvent, Standing};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::OrgId;
use crate::domain::refusal::Refusal;
use crate::domain::threshold::crossed;
use crate::domain::value::Value;
use crate::store::StoreError;

impl Batch {
    fn tell(&mut self, org: &OrgId, what: Happening) {
        self.events.push(NewEvent { at: self.now, org: Some(org.clone()), what });
    }

    /// After an amount was taken or held: which thresholds that crossed, by the figures after it.
    pub(super) fn tell_crossed(&mut self, org: &OrgId, taking: &Taking, detail: &Detail) {
        let Some(amounts) = detail.amounts() else { return };
        let Some(max) = amounts.max.limit() else { return };
        let thresholds = taking.limit_key.thresholds();
        for threshold in crossed(thresholds, amounts.current.minus(amounts.requested), amounts.current, max) {
            let standing = standing(taking, detail, amounts.current, max);
            self.tell(org, Happening::ThresholdCrossed { threshold, standing });
        }
    }

    /// After a taking was refused: once, until there was room again.
    ///
    /// Where nothing is taken the plan grants none, or less than was asked for at once: no limit was reached by using it.
    pub(super) fn tell_refused(&mut self, org: &OrgId, place: usize, taking: &Taking, decision: &Decision) {
        let is_full = matches!(decision.refusal, Some(Refusal::LimitReached { .. } | Refusal::QuotaExceeded { .. }));
        let Some(amounts) = decision.detail.amounts() else { return };
        let (Some(max), true) = (amounts.max.limit(), is_full && amounts.current > Quantity::ZERO) else { return };
        let Ok(slot) = self.slot(place) else { return };
        if slot.counter.reach() {
            slot.is_changed = true;
            let standing = standing(taking, &decision.detail, amounts.current, max);
            self.tell(org, Happening::LimitReached { requested: amounts.requested, standing });
        }
    }

    /// After usage was set to the true count.
    pub(super) fn tell_repaired(
        &mut self,
        org: &OrgId,
        place: usize,
        taking: &Taking,
        recorded: Quantity,
    ) -> Result<(), StoreError> {
        let now = self.now;
        let counter = &self.slot(place)?.counter;
        let (actual, usage) = (counter.used(), counter.usage(now));
        if actual == recorded {
            return Ok(());
        }
        let LimitKey { name, .. } = taking.limit_key.as_ref();
        let (limit_key, resource) = (name.clone(), taking.resource.clone());
        self.tell(org, Happening::DriftRepaired { limit_key, resource, recorded, actual });
        let Value::Max(bound) = taking.effective.value else { return Ok(()) };
        let Some(max) = bound.limit() else { return Ok(()) };
        for threshold in crossed(taking.limit_key.thresholds(), recorded.plus(usage.held), usage.taken(), max) {
            let (limit_key, resource) = (name.clone(), taking.resource.clone());
            let standing = Standing { limit_key, resource, current: usage.taken(), max, window_start: None, resets_at: None };
            self.tell(org, Happening::ThresholdCrossed { threshold, standing });
        }
        Ok(())
    }
}

fn standing(taking: &Taking, detail: &Detail, current: Quantity, max: Quantity) -> Standing {
    let (window_start, resets_at) = match detail {
        Detail::Quota { window_start, resets_at, .. } => (Some(*window_start), Some(*resets_at)),
        Detail::Count(_)
        | Detail::Rate { .. }
        | Detail::Retention { .. }
        | Detail::Interval { .. }
        | Detail::Feature { .. } => (None, None),
    };
    let (limit_key, resource) = (taking.limit_key.name.clone(), taking.resource.clone());
    Standing { limit_key, resource, current, max, window_start, resets_at }
}
