//! Windows under one lock.

use std::time::Duration;

use hashbrown::HashTable;

use super::budget::Budget;
use super::log::Log;
use super::{Held, Passage};
use crate::domain::bound::{Bound, Quantity};

const MICROS_PER_SECOND: u64 = 1_000_000;
/// How long a shard is not searched again for windows that have ended, when the memory was used up by others.
const PAUSE: Duration = Duration::from_secs(1);
/// More bytes than the smallest table takes.
const FIRST_TABLE: usize = 8 * size_of::<Slot>() + 64;

/// One window.
struct Slot {
    id: [u64; 2],
    log: Log,
    seconds: u32,
}

/// A window that is asked for.
pub(super) struct Found {
    pub(super) id: [u64; 2],
    pub(super) seconds: u32,
    pub(super) limit: Bound,
}

/// Windows under one lock.
pub(super) struct Shard {
    slots: HashTable<Slot>,
    /// Bytes of the logs beside the table.
    logs: usize,
    budget: Budget,
    /// Until when it is not searched for windows that have ended, since it was full of others.
    full_until: Duration,
}

const fn hash_of(slot: &Slot) -> u64 {
    let [first, _] = slot.id;
    first
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The last moment that has left a window of this length at `now`; nothing when none can have.
fn past(seconds: u32, now: u64) -> Option<u64> {
    now.checked_sub(u64::from(seconds).saturating_mul(MICROS_PER_SECOND))
}

/// How long until what was counted at `at` leaves.
fn wait(at: u64, seconds: u32, now: u64) -> Duration {
    let leaves = at.saturating_add(u64::from(seconds).saturating_mul(MICROS_PER_SECOND));
    Duration::from_micros(leaves.saturating_sub(now))
}

impl Slot {
    fn held(&self, asked: &Found, now: u64) -> Held {
        let used = self.log.after(past(asked.seconds, now));
        let limit = asked.limit.limit().and_then(|limit| usize::try_from(limit.get()).ok());
        // Above the limit, as after it was lowered, more than the oldest has to leave.
        let others = match limit {
            Some(0) => None,
            Some(limit) if used >= limit => limit.checked_sub(1),
            Some(_) | None => used.checked_sub(1),
        };
        let frees_in = others.filter(|_| used > 0).and_then(|others| self.log.nth_last(others));
        Held { used: u64::try_from(used).unwrap_or(u64::MAX), frees_in: frees_in.map(|at| wait(at, asked.seconds, now)) }
    }
}

impl Shard {
    pub(super) fn new(budget: Budget) -> Self {
        Self { slots: HashTable::new(), logs: 0, budget, full_until: Duration::ZERO }
    }

    fn bytes(&self) -> usize {
        self.slots.allocation_size().saturating_add(self.logs)
    }

    pub(super) fn held(&self, asked: &Found, now: Duration) -> Held {
        self.slot(asked).map_or(Held::default(), |slot| slot.held(asked, micros(now)))
    }

    fn slot(&self, asked: &Found) -> Option<&Slot> {
        let [hash, _] = asked.id;
        self.slots.find(hash, |slot| slot.id == asked.id)
    }

    pub(super) fn pass(&mut self, asked: &[Found], now: Duration) -> Passage {
        let held: Vec<Held> = asked.iter().map(|asked| self.held(asked, now)).collect();
        let has_room = |(asked, held): (&Found, &Held)| asked.limit.has_room(Quantity::saturating(held.used), Quantity::ONE);
        if !asked.iter().zip(&held).all(has_room) {
            return Passage::Refused(held);
        }
        if !self.take(asked, now) {
            return Passage::Full(self.full_until.saturating_sub(now).max(Duration::from_micros(1)));
        }
        Passage::Counted(asked.iter().map(|asked| self.held(asked, now)).collect())
    }

    /// Counts one more in each of these, or in none when there is no memory for it.
    pub(super) fn take(&mut self, asked: &[Found], now: Duration) -> bool {
        // What has no limit is not counted: there would be no end of it.
        let counted = || asked.iter().filter(|asked| asked.limit.limit().is_some());
        let Some(taken) = self.make_room(counted(), now) else { return false };
        counted().for_each(|asked| self.count(asked, now));
        self.budget.correct(taken, self.bytes());
        true
    }

    /// Takes the memory for one more in each of these, if need be after those windows are gone that hold nothing.
    /// Answers what is taken with it; nothing when there is too little.
    fn make_room<'a>(&mut self, asked: impl Iterator<Item = &'a Found> + Clone, now: Duration) -> Option<usize> {
        if let Some(taken) = self.take_memory(asked.clone()) {
            return Some(taken);
        }
        if now < self.full_until {
            return None;
        }
        self.sweep(now);
        self.full_until = now.saturating_add(PAUSE);
        self.take_memory(asked)
    }

    fn take_memory<'a>(&self, asked: impl Iterator<Item = &'a Found>) -> Option<usize> {
        let (mut fresh, mut logs) = (0_usize, self.logs);
        for asked in asked {
            match self.slot(asked) {
                Some(Slot { log, .. }) => {
                    logs = logs.saturating_add(log.bytes_with_one_more().saturating_sub(log.bytes()));
                }
                None => fresh = fresh.saturating_add(1),
            }
        }
        let needed = self.slots.len().saturating_add(fresh);
        let table = self.slots.allocation_size();
        // A table that is full doubles, unless much of it are places of windows that are gone.
        let table = if needed > self.slots.capacity() { table.saturating_mul(2).max(FIRST_TABLE) } else { table };
        let bytes = table.saturating_add(logs);
        self.budget.take(bytes.saturating_sub(self.bytes())).then_some(bytes)
    }

    fn count(&mut self, asked: &Found, now: Duration) {
        let at = micros(now);
        let Found { id, seconds, .. } = *asked;
        let [hash, _] = id;
        if let Some(slot) = self.slots.find_mut(hash, |slot| slot.id == id) {
            let before = slot.log.bytes();
            slot.seconds = seconds;
            if slot.log.drop_until(past(seconds, at)) {
                slot.log.push(at);
            } else {
                slot.log = Log::One(at);
            }
            self.logs = self.logs.saturating_sub(before).saturating_add(slot.log.bytes());
        } else {
            self.slots.insert_unique(hash, Slot { id, log: Log::One(at), seconds }, hash_of);
        }
    }

    /// Drops what has left its window, and gives back memory that is no longer needed.
    pub(super) fn sweep(&mut self, now: Duration) {
        let (before, at, mut logs) = (self.bytes(), micros(now), 0_usize);
        self.slots.retain(|slot| {
            let is_kept = slot.log.drop_until(past(slot.seconds, at));
            if is_kept {
                logs = logs.saturating_add(slot.log.bytes());
            }
            is_kept
        });
        self.logs = logs;
        if self.slots.len() < self.slots.capacity().checked_div(4).unwrap_or(0) {
            self.slots.shrink_to(self.slots.len().saturating_mul(2), hash_of);
        }
        self.budget.correct(before, self.bytes());
    }
}
