//! One batch: running values, the rules applied one by one, and what is to be written in the end.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::mem;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use quick_cache::Equivalent;

use super::counters::{CounterKey, CounterRef, span_of};
use super::operation::{Operation, Outcome, Taking};
use super::slot::{Sight, Slot};
use crate::domain::ask::Question;
use crate::domain::bound::Quantity;
use crate::domain::counter::{CounterRefusal, Hold};
use crate::domain::decision::{Decision, Facts, decide, standing};
use crate::domain::event::NewEvent;
use crate::domain::issue::Issue;
use crate::domain::names::{LimitKeyName, OrgId};
use crate::domain::reservation::{Reservation, ReservationId, SettleRefusal, Settlement, Status};
use crate::domain::time::UtcMillis;
use crate::store::StoreError;

/// The running values of one transaction.
pub(super) struct Batch {
    pub(super) sight: Sight,
    /// When all of it happens.
    pub(super) now: UtcMillis,
    pub(super) slots: Vec<Slot>,
    /// Where each counter stands among the slots, by the hash of its key.
    places: HashTable<usize>,
    hasher: RandomState,
    pub(super) reservations: HashMap<ReservationId, Held, RandomState>,
    /// Where counters stand that somebody was shown together and that nothing was taken from.
    pub(super) shown: Vec<Vec<usize>>,
    pub(super) noted: HashSet<LimitKeyName>,
    /// What is to be told of what the operations did.
    pub(super) events: Vec<NewEvent>,
}

/// What one operation asks of one counter.
struct Sum<'a> {
    place: usize,
    taking: &'a Taking,
    amount: Quantity,
}

/// A reservation as it runs.
pub(super) struct Held {
    pub(super) reservation: Reservation,
    pub(super) change: HeldChange,
}

/// What is to be written of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldChange {
    None,
    Made,
    Settled,
}

impl Batch {
    pub(super) fn new(now: UtcMillis, sight: Sight) -> Self {
        Self {
            sight,
            now,
            slots: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
            reservations: HashMap::default(),
            shown: Vec::new(),
            noted: HashSet::new(),
            events: Vec::new(),
        }
    }

    /// The counters that are involved.
    pub(super) fn keys(&self) -> impl Iterator<Item = &CounterKey> {
        self.slots.iter().map(|slot| &slot.key)
    }

    pub(super) fn involve(&mut self, org: &OrgId, taking: &Taking) {
        let key = CounterRef::new(org, &taking.limit_key, taking.resource.as_ref(), self.now);
        self.involve_key(key, span_of(&taking.limit_key, self.now).map(|span| span.end.get()));
    }

    pub(super) fn involve_key(&mut self, key: CounterRef<'_>, window_end: Option<i64>) {
        let hash = self.hasher.hash_one(key);
        if self.places.find(hash, |place| self.is_at(*place, &key)).is_none() {
            let (slots, hasher) = (&self.slots, &self.hasher);
            let hash_at = |place: &usize| slots.get(*place).map_or(0, |slot| hasher.hash_one(slot.key.as_ref()));
            self.places.insert_unique(hash, slots.len(), hash_at);
            self.slots.push(Slot::new(key.to_owned(), window_end));
        }
    }

    fn is_at(&self, place: usize, key: &CounterRef<'_>) -> bool {
        self.slots.get(place).is_some_and(|slot| key.equivalent(&slot.key))
    }

    /// What has expired is settled for good before anything else is judged: its room may be taken from now on.
    pub(super) fn expire(&mut self) {
        for slot in &mut self.slots {
            let expired = slot.counter.expire(self.now);
            if !expired.is_empty() {
                slot.is_changed = true;
                slot.counter.regain();
            }
            for hold in expired {
                let id = ReservationId { org: slot.key.org.clone(), number: hold.reservation };
                let held = self.reservations.entry(id.clone()).or_insert_with(|| gone(id, &slot.key, hold));
                held.reservation.settlement = Some(Settlement { status: Status::Expired, confirmed: None, at: self.now });
                held.change = HeldChange::Settled;
            }
        }
    }

    /// Does one operation to the running values. After an error they are as they were.
    pub(super) fn apply(&mut self, operation: &Operation) -> Result<Outcome, StoreError> {
        match operation {
            Operation::Nothing => Ok(Outcome::Withheld),
            Operation::Consume { org, takings } => self.consume(org, takings, true),
            Operation::Weigh { org, takings } => self.consume(org, takings, false),
            Operation::Reserve { id, taking, ttl_seconds } => self.reserve(id, taking, *ttl_seconds),
            Operation::Release { org, taking } => self.release(org, taking),
            Operation::Reconcile { org, taking, actual, is_dry_run } => self.reconcile(org, taking, *actual, *is_dry_run),
            Operation::Confirm { id, amount } => self.settle(id, |held, now| held.confirm(*amount, now)),
            Operation::Cancel { id } => self.settle(id, Reservation::release),
        }
    }

    fn place(&self, org: &OrgId, taking: &Taking) -> Result<usize, StoreError> {
        let key = CounterRef::new(org, &taking.limit_key, taking.resource.as_ref(), self.now);
        let found = self.places.find(self.hasher.hash_one(key), |place| self.is_at(*place, &key));
        found.copied().ok_or_else(not_loaded)
    }

    pub(super) fn slot(&mut self, place: usize) -> Result<&mut Slot, StoreError> {
        self.slots.get_mut(place).ok_or_else(not_loaded)
    }

    fn judge(&mut self, place: usize, taking: &Taking, amount: Quantity) -> Result<Decision, StoreError> {
        let now = self.now;
        let usage = self.slot(place)?.counter.usage(now);
        let facts = Facts { org_banned: taking.org_banned, usage, ..Facts::default() };
        let question = Question::Add { amount, current: None, resource: taking.resource.clone() };
        Ok(decide(&taking.limit_key, taking.effective, &question, &facts, now))
    }

    fn consume(&mut self, org: &OrgId, takings: &[Taking], is_taken: bool) -> Result<Outcome, StoreError> {
        let sums = self.sums(org, takings)?;
        let mut decisions = Vec::with_capacity(sums.len());
        for Sum { place, taking, amount } in &sums {
            decisions.push((*place, self.judge(*place, taking, *amount)?));
        }
        if is_taken && decisions.iter().all(|(_, decision)| decision.refusal.is_none()) {
            self.take_all(&sums)?;
            takings.iter().for_each(|taking| self.note(&taking.limit_key.name));
            decisions = decisions.into_iter().map(|(place, decision)| (place, decision.taken())).collect();
            for (Sum { taking, .. }, (_, decision)) in sums.iter().zip(&decisions) {
                self.tell_crossed(org, taking, &decision.detail);
            }
        } else {
            if self.sight == Sight::Shared && sums.len() > 1 {
                self.shown.push(sums.iter().map(|sum| sum.place).collect());
            }
            if is_taken {
                for (Sum { place, taking, .. }, (_, decision)) in sums.iter().zip(&decisions) {
                    self.tell_refused(org, *place, taking, decision);
                }
            }
        }
        if let ([_], Some((_, decision))) = (takings, decisions.first()) {
            return Ok(Outcome::Consumed(vec![decision.clone()]));
        }
        let of = |taking| {
            let place = self.place(org, taking)?;
            let found = decisions.iter().find(|(other, _)| *other == place);
            found.map(|(_, decision)| decision.clone()).ok_or_else(not_loaded)
        };
        takings.iter().map(of).collect::<Result<_, StoreError>>().map(Outcome::Consumed)
    }

    /// What is asked of each counter: takings of the same one add up.
    fn sums<'a>(&self, org: &OrgId, takings: &'a [Taking]) -> Result<Vec<Sum<'a>>, StoreError> {
        let mut sums: Vec<Sum<'_>> = Vec::with_capacity(takings.len());
        for taking in takings {
            let place = self.place(org, taking)?;
            match sums.iter_mut().find(|sum| sum.place == place) {
                None => sums.push(Sum { place, taking, amount: taking.amount }),
                Some(sum) => {
                    let total = Quantity::new(sum.amount.get().saturating_add(taking.amount.get()));
                    sum.amount = total.map_err(|_| conflict(CounterRefusal::TooMuch))?;
                }
            }
        }
        Ok(sums)
    }

    /// Takes all of them. If one counter cannot take it, those before it give it back.
    fn take_all(&mut self, sums: &[Sum<'_>]) -> Result<(), StoreError> {
        for (done, Sum { place, amount, .. }) in sums.iter().enumerate() {
            let slot = self.slot(*place)?;
            if let Err(refusal) = slot.counter.take(*amount) {
                for Sum { place, amount, .. } in sums.iter().take(done) {
                    self.slot(*place)?.counter.release(*amount).map_err(conflict)?;
                }
                return Err(conflict(refusal));
            }
            slot.counter.regain();
            slot.is_changed = true;
        }
        Ok(())
    }

    fn reserve(&mut self, id: &ReservationId, taking: &Taking, ttl_seconds: u64) -> Result<Outcome, StoreError> {
        let place = self.place(&id.org, taking)?;
        let decision = self.judge(place, taking, taking.amount)?;
        if decision.refusal.is_some() {
            self.tell_refused(&id.org, place, taking, &decision);
            return Ok(Outcome::Reserved(decision, None));
        }
        let now = self.now;
        let reservation = Reservation {
            id: id.clone(),
            limit_key: taking.limit_key.name.clone(),
            resource: taking.resource.clone(),
            window: span_of(&taking.limit_key, now),
            amount: taking.amount,
            created_at: now,
            expires_at: now.plus_seconds(ttl_seconds),
            settlement: None,
        };
        let slot = self.slot(place)?;
        slot.counter.hold(reservation.as_hold()).map_err(conflict)?;
        slot.counter.regain();
        slot.is_changed = true;
        self.note(&taking.limit_key.name);
        let held = Held { reservation: reservation.clone(), change: HeldChange::Made };
        self.reservations.insert(id.clone(), held);
        let decision = decision.held();
        self.tell_crossed(&id.org, taking, &decision.detail);
        Ok(Outcome::Reserved(decision, Some(reservation)))
    }

    fn release(&mut self, org: &OrgId, taking: &Taking) -> Result<Outcome, StoreError> {
        let (place, now) = (self.place(org, taking)?, self.now);
        let slot = self.slot(place)?;
        slot.counter.release(taking.amount).map_err(conflict)?;
        slot.counter.regain();
        slot.is_changed = true;
        let usage = slot.counter.usage(now);
        Ok(Outcome::Released(standing(&taking.limit_key, taking.effective, taking.amount, usage, now)))
    }

    fn reconcile(&mut self, org: &OrgId, taking: &Taking, actual: Quantity, is_dry_run: bool) -> Result<Outcome, StoreError> {
        let place = self.place(org, taking)?;
        let slot = self.slot(place)?;
        let recorded = slot.counter.used();
        if !is_dry_run {
            slot.counter.reconcile(actual).map_err(conflict)?;
            if actual < recorded {
                slot.counter.regain();
            }
            slot.is_changed = true;
            self.note(&taking.limit_key.name);
            self.tell_repaired(org, place, taking, recorded)?;
        }
        Ok(Outcome::Reconciled(recorded))
    }

    fn settle(
        &mut self,
        id: &ReservationId,
        how: impl FnOnce(&Reservation, UtcMillis) -> Result<Option<Settlement>, SettleRefusal>,
    ) -> Result<Outcome, StoreError> {
        let now = self.now;
        let held = self.reservations.get_mut(id).ok_or(StoreError::NoReservation)?;
        let settlement = how(&held.reservation, now).map_err(|refusal| settle_refused(&refusal))?;
        if let Some(settlement) = settlement {
            let key = key_of(&held.reservation);
            let is_it = |place: &usize| self.slots.get(*place).is_some_and(|slot| slot.key == key);
            let place = self.places.find(self.hasher.hash_one(key.as_ref()), is_it).copied().ok_or_else(not_loaded)?;
            let slot = self.slots.get_mut(place).ok_or_else(not_loaded)?;
            slot.counter.unhold(id.number);
            if let Some(confirmed) = settlement.confirmed {
                // It was held, so there is room for it: the sum does not grow.
                slot.counter.take(confirmed).map_err(conflict)?;
            }
            if settlement.confirmed != Some(held.reservation.amount) {
                slot.counter.regain();
            }
            slot.is_changed = true;
            held.reservation.settlement = Some(settlement);
            // One that was made in this very batch is written as it has become.
            if held.change == HeldChange::None {
                held.change = HeldChange::Settled;
            }
        }
        Ok(Outcome::Settled(held.reservation.clone()))
    }

    fn note(&mut self, limit_key: &LimitKeyName) {
        if !self.noted.contains(limit_key) {
            self.noted.insert(limit_key.clone());
        }
    }

    /// The limit keys that were taken from.
    pub(super) fn take_noted(&mut self) -> HashSet<LimitKeyName> {
        mem::take(&mut self.noted)
    }
}

/// The counter that a reservation belongs to.
pub(super) fn key_of(reservation: &Reservation) -> CounterKey {
    CounterKey {
        org: reservation.id.org.clone(),
        limit_key: reservation.limit_key.clone(),
        resource: reservation.resource.clone(),
        window_start: reservation.window.map_or(0, |span| span.start.get()),
    }
}

/// An expired reservation of which no more is needed than that it is to be settled.
fn gone(id: ReservationId, key: &CounterKey, hold: Hold) -> Held {
    let reservation = Reservation {
        id,
        limit_key: key.limit_key.clone(),
        resource: key.resource.clone(),
        window: None,
        amount: hold.amount,
        created_at: hold.expires_at,
        expires_at: hold.expires_at,
        settlement: None,
    };
    Held { reservation, change: HeldChange::None }
}

fn conflict(refusal: CounterRefusal) -> StoreError {
    StoreError::Conflict(refusal.sentence())
}

fn settle_refused(refusal: &SettleRefusal) -> StoreError {
    match refusal {
        SettleRefusal::MoreThanHeld(_) => StoreError::Invalid(vec![Issue::new("amount", refusal.sentence())]),
        SettleRefusal::Ended(..) => StoreError::Conflict(refusal.sentence()),
    }
}

fn not_loaded() -> StoreError {
    StoreError::Internal("A counter was judged that was not read".to_owned())
}
