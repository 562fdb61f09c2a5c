//! Sliding windows, exact: never more than the limit in any window of that length, and never a refusal while there is room.
//!
//! A window is the list of the moments at which something was counted in it. Those that have left it are dropped; a window that
//! has lost all of them costs nothing. Memory is bounded: when it is used up by windows that still hold something, a call that
//! needs more of it waits until there is some again, so that nobody goes free. Time is read under the lock, so moments are in order whoever comes when.
//!
//! Several processes can share their windows: see [`Windows`].

mod budget;
mod log;
mod shard;
mod shared;
#[cfg(test)]
mod tests;
mod windows;

use std::array;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::domain::bound::Bound;
use budget::Budget;
use shard::{Found, Shard};
pub use shared::{Authorities, Place, Shared};
pub use windows::{Told, Windows};

/// Locks that subjects are spread over.
const SHARDS: usize = 64;

/// Where the limiter reads the time: how long since some moment of the past. It never goes back.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The sliding windows of a process.
pub struct Limiter {
    shards: Box<[Mutex<Shard>; SHARDS]>,
    budget: Budget,
    clock: Clock,
    // Two hashes make a name of 128 bits, of which nobody outside can find two that are the same.
    hashers: [RandomState; 2],
}

/// Whose windows they are. All windows of a subject are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject([u64; 2]);

/// One window that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Which of the subject's windows it is.
    pub name: &'a str,
    /// Its length in seconds.
    pub seconds: u64,
    /// The most that it may hold. What has no limit is not counted.
    pub limit: Bound,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many were counted and have not left it.
    pub used: u64,
    /// Until there is room for one more; when there is already, until the oldest leaves it. Nothing when that is not known: it
    /// is empty, or its limit is zero.
    pub frees_in: Option<Duration>,
}

/// What came of a call that would be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It had room in every window and was counted in every one: what they hold with it.
    Counted(Vec<Held>),
    /// One of them had no room, and it was counted in none: what they hold.
    Refused(Vec<Held>),
    /// There is no memory to count it, and it was counted in none: how long until it is worth another try.
    Full(Duration),
}

impl Limiter {
    /// Windows that take at most so many bytes of memory.
    pub fn new(bytes: u64, clock: Clock) -> Self {
        let budget = Budget::new(usize::try_from(bytes).unwrap_or(usize::MAX));
        let shards = Box::new(array::from_fn(|_| Mutex::new(Shard::new(budget.clone()))));
        Self { shards, budget, clock, hashers: [RandomState::default(), RandomState::default()] }
    }

    /// The subject that these words name together.
    pub fn subject(&self, words: &[&str]) -> Subject {
        let [first, second] = &self.hashers;
        Subject([first.hash_one(words), second.hash_one(words)])
    }

    /// Counts one call in all of these windows, or in none.
    pub fn pass(&self, subject: Subject, windows: &[Window<'_>]) -> Passage {
        let mut shard = self.shard(subject);
        let now = (self.clock)();
        let found: Vec<Found> = windows.iter().map(|window| self.found(subject, window)).collect();
        shard.pass(&found, now)
    }

    /// Counts one call that was let pass elsewhere in all of these windows, also if they are full. What there is no memory for is
    /// not counted.
    pub fn note(&self, subject: Subject, windows: &[Window<'_>]) {
        let mut shard = self.shard(subject);
        let now = (self.clock)();
        let found: Vec<Found> = windows.iter().map(|window| self.found(subject, window)).collect();
        shard.take(&found, now);
    }

    /// What a window holds. Counts nothing.
    pub fn held(&self, subject: Subject, window: &Window<'_>) -> Held {
        let shard = self.shard(subject);
        shard.held(&self.found(subject, window), (self.clock)())
    }

    /// Forgets windows that have lost everything, and gives back their memory. One shard at a time is held up.
    pub fn sweep(&self) {
        for shard in self.shards.iter() {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let now = (self.clock)();
            shard.sweep(now);
        }
    }

    /// Bytes of memory that the windows take.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.budget.taken()).unwrap_or(u64::MAX)
    }

    fn found(&self, Subject([first, second]): Subject, window: &Window<'_>) -> Found {
        let [of_first, of_second] = &self.hashers;
        Found {
            id: [of_first.hash_one((first, window.name)), of_second.hash_one((second, window.name))],
            seconds: u32::try_from(window.seconds).unwrap_or(u32::MAX),
            limit: window.limit,
        }
    }

    fn shard(&self, Subject([first, _]): Subject) -> MutexGuard<'_, Shard> {
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        let place = usize::try_from(first.checked_rem(shards).unwrap_or(0)).unwrap_or(0);
        // There are as many as SHARDS says, so the first is never a stand-in.
        let [stand_in, ..] = self.shards.as_ref();
        self.shards.get(place).unwrap_or(stand_in).lock().unwrap_or_else(PoisonError::into_inner)
    }
}
