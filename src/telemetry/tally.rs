//! Counts of what every request does. Each thread has its own, so that none of them waits for a cache line that another one writes;
//! they are added up when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of response times; one more bucket holds what took longer.
pub(super) const BOUNDS: [Duration; 10] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];
/// Classes of statuses.
pub(super) const CLASSES: usize = 5;
/// Kinds of limit key.
pub(super) const KINDS: usize = 6;
/// Outcomes that a decision can have.
pub(super) const OUTCOMES: usize = 6;

const BUCKETS: usize = 11;

/// What was counted. The same shape holds one thread's counts and the sum of all threads'.
#[derive(Default)]
pub(super) struct Counts<N> {
    /// Responses, by the class of their status.
    pub(super) responses: [N; CLASSES],
    /// Decisions, by kind and outcome.
    pub(super) decisions: [[N; OUTCOMES]; KINDS],
    /// Responses, by the bucket of their time; not cumulated.
    pub(super) buckets: [N; BUCKETS],
    /// Nanoseconds of all responses together.
    pub(super) nanos: N,
}

/// A count that one thread writes and every thread reads.
#[derive(Default)]
struct Count(AtomicU64);

impl Count {
    /// Without a locked instruction, since nobody else writes it.
    fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }
}

/// One thread's counts, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Tally(Counts<Count>);

/// Every thread's, also of threads that have ended: what they counted stays counted.
static TALLIES: Mutex<Vec<Arc<Tally>>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: Arc<Tally> = {
        let tally = Arc::new(Tally::default());
        TALLIES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&tally));
        tally
    };
}

/// Counts a response of this class of status, which took so long.
pub(super) fn answered(class: Option<usize>, duration: Duration) {
    MINE.with(|tally| {
        let counts = &tally.0;
        if let Some(count) = class.and_then(|class| counts.responses.get(class)) {
            count.add(1);
        }
        let bucket = BOUNDS.iter().position(|bound| duration <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = counts.buckets.get(bucket) {
            count.add(1);
        }
        counts.nanos.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    });
}

/// Counts a decision of the kind and the outcome at these places.
pub(super) fn decided(kind: usize, outcome: usize) {
    MINE.with(|tally| {
        if let Some(count) = tally.0.decisions.get(kind).and_then(|outcomes| outcomes.get(outcome)) {
            count.add(1);
        }
    });
}

/// What all threads have counted so far.
pub(super) fn total() -> Counts<u64> {
    let mut total = Counts::default();
    for tally in TALLIES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        total.add(&tally.0);
    }
    total
}

impl Counts<u64> {
    fn add(&mut self, other: &Counts<Count>) {
        for (sum, count) in self.all_mut().zip(other.all()) {
            *sum = sum.wrapping_add(count.0.load(Ordering::Relaxed));
        }
    }
}

impl<N> Counts<N> {
    fn all(&self) -> impl Iterator<Item = &N> {
        let Self { responses, decisions, buckets, nanos } = self;
        responses.iter().chain(decisions.as_flattened()).chain(buckets).chain([nanos])
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut N> {
        let Self { responses, decisions, buckets, nanos } = self;
        responses.iter_mut().chain(decisions.as_flattened_mut()).chain(buckets).chain([nanos])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_counted_is_added_up_also_when_they_have_ended() {
        let before = total();
        let count = || {
            answered(Some(1), Duration::from_micros(100));
            answered(Some(3), Duration::from_secs(2));
            decided(5, 4);
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(count);
            }
        });
        let after = total();
        assert_eq!(after.responses[1] - before.responses[1], 3);
        assert_eq!(after.responses[3] - before.responses[3], 3);
        assert_eq!(after.decisions[5][4] - before.decisions[5][4], 3);
        assert_eq!(after.buckets[0] - before.buckets[0], 3, "a bound belongs to its bucket");
        assert_eq!(after.buckets[10] - before.buckets[10], 3);
        assert_eq!(after.nanos - before.nanos, 3 * 2_000_100_000);
    }
}
