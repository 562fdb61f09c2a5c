//! What is taken of one limit by one org: what is used, and what reservations hold until they expire.

use std::sync::Arc;

use super::bound::Quantity;
use super::decision::Usage;
use super::time::UtcMillis;

/// The most reservations that one counter holds at a time: each is looked at whenever the counter is judged.
pub const MAX_HOLDS: usize = 10_000;

/// What one reservation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The number of its reservation.
    pub reservation: u128,
    /// How much.
    pub amount: Quantity,
    /// The first moment that it no longer holds at.
    pub expires_at: UtcMillis,
}

impl Hold {
    /// Whether it holds at `now`.
    pub fn is_alive(&self, now: UtcMillis) -> bool {
        now < self.expires_at
    }
}

/// Why a counter was not changed. It is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterRefusal {
    /// The sum would be above 2^53 - 1.
    TooMuch,
    /// More would be given back than is used.
    MoreThanUsed(Quantity),
    /// There are [`MAX_HOLDS`] already.
    TooManyHolds,
}

impl CounterRefusal {
    /// As a sentence for the caller.
    pub fn sentence(self) -> String {
        match self {
            Self::TooMuch => format!("The usage would be above {}", Quantity::MAX.get()),
            Self::MoreThanUsed(used) => format!("More would be released than the {} that are used", used.get()),
            Self::TooManyHolds => format!("There are {MAX_HOLDS} reservations of this limit already"),
        }
    }
}

/// A running count. Clones share their holds until one of them changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    used: Quantity,
    holds: Option<Arc<Vec<Hold>>>,
    /// It was told that the limit is reached, and there was no room since.
    is_reached: bool,
}

impl Counter {
    /// What was stored.
    pub const fn new(used: Quantity) -> Self {
        Self { used, holds: None, is_reached: false }
    }

    /// The same, with whether it was told that its limit is reached.
    #[must_use]
    pub fn with_reached(self, is_reached: bool) -> Self {
        Self { is_reached, ..self }
    }

    /// Whether it was told that its limit is reached, and there was no room since.
    pub const fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Notes that a taking was refused, and says whether that is to be told: not when it was, and there was no room since.
    pub fn reach(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reached, true)
    }

    /// Notes that there was room.
    pub const fn regain(&mut self) {
        self.is_reached = false;
    }

    /// What is used for good.
    pub const fn used(&self) -> Quantity {
        self.used
    }

    /// What is held, whether it is still alive or not.
    pub fn holds(&self) -> &[Hold] {
        self.holds.as_ref().map_or(&[], |holds| holds.as_slice())
    }

    /// What counts at `now`.
    pub fn usage(&self, now: UtcMillis) -> Usage {
        let alive = self.holds().iter().filter(|hold| hold.is_alive(now));
        Usage { used: self.used, held: alive.fold(Quantity::ZERO, |sum, hold| sum.plus(hold.amount)) }
    }

    /// Takes what was allowed.
    pub fn take(&mut self, amount: Quantity) -> Result<(), CounterRefusal> {
        self.used = self.sum(amount)?;
        Ok(())
    }

    /// Gives back.
    pub fn release(&mut self, amount: Quantity) -> Result<(), CounterRefusal> {
        if amount > self.used {
            return Err(CounterRefusal::MoreThanUsed(self.used));
        }
        self.used = self.used.minus(amount);
        Ok(())
    }

    /// Sets what is used to the true count.
    pub fn reconcile(&mut self, actual: Quantity) -> Result<(), CounterRefusal> {
        let before = std::mem::replace(&mut self.used, Quantity::ZERO);
        let sum = self.sum(actual);
        self.used = if sum.is_ok() { actual } else { before };
        sum.map(|_| ())
    }

    /// Holds what was allowed.
    pub fn hold(&mut self, hold: Hold) -> Result<(), CounterRefusal> {
        self.sum(hold.amount)?;
        if self.holds().len() >= MAX_HOLDS {
            return Err(CounterRefusal::TooManyHolds);
        }
        self.push(hold);
        Ok(())
    }

    /// Adds a hold as it was stored.
    pub fn push(&mut self, hold: Hold) {
        Arc::make_mut(self.holds.get_or_insert_default()).push(hold);
    }

    /// Takes out one hold, and says whether it was there.
    pub fn unhold(&mut self, reservation: u128) -> bool {
        let before = self.holds().len();
        self.keep(|hold| hold.reservation != reservation);
        self.holds().len() < before
    }

    /// Takes out the holds that are no longer alive, for good: should the clock go back, their room may be taken already.
    pub fn expire(&mut self, now: UtcMillis) -> Vec<Hold> {
        let expired: Vec<Hold> = self.holds().iter().filter(|hold| !hold.is_alive(now)).copied().collect();
        if !expired.is_empty() {
            self.keep(|hold| hold.is_alive(now));
        }
        expired
    }

    fn keep(&mut self, is_kept: impl Fn(&Hold) -> bool) {
        let Some(holds) = &mut self.holds else { return };
        Arc::make_mut(holds).retain(is_kept);
        if holds.is_empty() {
            self.holds = None;
        }
    }

    /// What would be taken with so much more, dead holds included: a number that must stay exact.
    fn sum(&self, amount: Quantity) -> Result<Quantity, CounterRefusal> {
        let held = self.holds().iter().fold(0_u64, |sum, hold| sum.saturating_add(hold.amount.get()));
        let used = self.used.get().saturating_add(amount.get());
        Quantity::new(used.saturating_add(held)).map_err(|_| CounterRefusal::TooMuch)?;
        Quantity::new(used).map_err(|_| CounterRefusal::TooMuch)
    }
}

#[cfg(test)]
#[path = "counter_tests.rs"]
mod tests;
