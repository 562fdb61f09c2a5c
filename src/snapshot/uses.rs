//! Which API keys were used, and when: noted in memory on the way, and handed on now and then.
//!
//! A key that is used all the time is noted once in some minutes. In between, its use only reads a mark that nobody writes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;

/// For so long a key that was noted is not noted again.
const QUIET_MINUTES: u64 = 5;
/// How many lines of marks there are, each for the keys whose hashes choose it.
const LINES: usize = 8_192;
/// How many marks a line has: what a processor reads at once. All lines together take 512 KiB, for as many keys as are used at a time.
const MARKS_PER_LINE: usize = 8;
/// How many keys are noted before somebody writes them down, some 100 bytes each. Beyond that, uses are forgotten.
const MAX_NOTED: usize = 100_000;
/// The half of a mark that says when: minutes since the epoch. The other half says which key of the line.
const MINUTE_BITS: u32 = 32;
const MILLIS_PER_MINUTE: u64 = 60_000;

/// Marks that fill what a processor reads at once.
#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; MARKS_PER_LINE]);

/// What was used and is not yet written down.
pub(super) struct Uses {
    hasher: RandomState,
    lines: Box<[Line]>,
    noted: Mutex<HashMap<RecordId, UtcMillis, RandomState>>,
}

/// What a mark says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// A part of the key's hash. Two keys of a line that share it count as one for some minutes.
    tag: u64,
    minute: u64,
}

impl Mark {
    const fn unpacked(packed: u64) -> Self {
        Self { tag: packed >> MINUTE_BITS, minute: packed & 0xffff_ffff }
    }

    const fn packed(self) -> u64 {
        (self.tag << MINUTE_BITS) | (self.minute & 0xffff_ffff)
    }

    /// Whether it speaks of this key, and so lately that it need not be noted. A clock that was put back does not silence a key.
    const fn silences(self, now: Self) -> bool {
        self.tag == now.tag && self.minute.abs_diff(now.minute) < QUIET_MINUTES
    }
}

impl Uses {
    pub(super) fn new() -> Self {
        let lines = (0..LINES).map(|_| Line::default()).collect();
        Self { hasher: RandomState::default(), lines, noted: Mutex::default() }
    }

    /// Notes that a key is used, unless that was noted some minutes ago.
    pub(super) fn note(&self, id: &RecordId, now: UtcMillis) {
        let hash = self.hasher.hash_one(id.as_str());
        let place = usize::try_from(hash).unwrap_or(0).checked_rem(LINES).unwrap_or(0);
        let minute = u64::try_from(now.get()).unwrap_or(0).checked_div(MILLIS_PER_MINUTE).unwrap_or(0);
        let mark = Mark { tag: hash >> MINUTE_BITS, minute };
        let Some(Line(marks)) = self.lines.get(place) else { return };
        if marks.iter().any(|known| Mark::unpacked(known.load(Ordering::Relaxed)).silences(mark)) {
            return;
        }
        if self.add(id, now) {
            set(marks, mark);
        }
    }

    fn add(&self, id: &RecordId, now: UtcMillis) -> bool {
        let mut noted = self.noted();
        if let Some(known) = noted.get_mut(id) {
            *known = now.max(*known);
            return true;
        }
        let has_room = noted.len() < MAX_NOTED;
        if has_room {
            noted.insert(id.clone(), now);
        }
        has_room
    }

    /// What was noted, in the order of the keys. It is somebody else's to write down now.
    pub(super) fn take(&self) -> Vec<(RecordId, UtcMillis)> {
        let noted = std::mem::take(&mut *self.noted());
        let mut uses: Vec<_> = noted.into_iter().collect();
        uses.sort_unstable();
        uses
    }

    /// Keeps what could not be written down.
    pub(super) fn put_back(&self, uses: impl Iterator<Item = (RecordId, UtcMillis)>) {
        for (id, at) in uses {
            self.add(&id, at);
        }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<RecordId, UtcMillis, RandomState>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a mark in the place of the key's last one, or of the oldest. Two threads may lose one of two: then a key is noted once more.
fn set(marks: &[AtomicU64; MARKS_PER_LINE], mark: Mark) {
    let age_of = |known: &&AtomicU64| {
        let known = Mark::unpacked(known.load(Ordering::Relaxed));
        (known.tag != mark.tag, known.minute)
    };
    if let Some(place) = marks.iter().min_by_key(age_of) {
        place.store(mark.packed(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RecordId {
        RecordId::parse(format!("key_{number:032x}")).expect("an id")
    }

    fn minute(minute: i64) -> UtcMillis {
        UtcMillis::new(1_800_000_000_000).plus_millis(minute * 60_000)
    }

    #[test]
    fn a_key_that_is_used_all_the_time_is_noted_once_in_some_minutes() {
        let uses = Uses::new();
        for second in 0..299 {
            uses.note(&key(1), minute(0).plus_millis(second * 1_000));
        }
        assert_eq!(uses.take(), [(key(1), minute(0))]);
        uses.note(&key(1), minute(4));
        assert_eq!(uses.take(), []);
        uses.note(&key(1), minute(5));
        assert_eq!(uses.take(), [(key(1), minute(5))]);
    }

    #[test]
    fn a_clock_that_was_put_back_does_not_silence_a_key() {
        let uses = Uses::new();
        uses.note(&key(1), minute(600));
        uses.note(&key(1), minute(0));
        assert_eq!(uses.take(), [(key(1), minute(600))], "the latest use is kept");
        uses.note(&key(1), minute(5));
        assert_eq!(uses.take(), [(key(1), minute(5))]);
    }

    #[test]
    fn what_was_put_back_is_there_with_the_later_of_two_uses() {
        let uses = Uses::new();
        uses.note(&key(1), minute(0));
        uses.note(&key(2), minute(0));
        let taken = uses.take();
        uses.note(&key(1), minute(9));
        uses.put_back(taken.into_iter());
        assert_eq!(uses.take(), [(key(1), minute(9)), (key(2), minute(0))]);
    }

    #[test]
    fn ten_thousand_keys_in_use_hardly_ever_take_each_others_marks() {
        let uses = Uses::new();
        (0..10_000).for_each(|number| uses.note(&key(number), minute(0)));
        assert_eq!(uses.take().len(), 10_000);
        (0..10_000).for_each(|number| uses.note(&key(number), minute(1)));
        let again = uses.take().len();
        assert!(again < 100, "{again} of 10,000 were noted again");
    }

    #[test]
    fn what_nobody_writes_down_takes_no_more_room_than_it_may() {
        let uses = Uses::new();
        (0..MAX_NOTED + 1_000).for_each(|number| uses.note(&key(number), minute(0)));
        assert_eq!(uses.take().len(), MAX_NOTED);
        uses.note(&key(MAX_NOTED + 7), minute(1));
        assert_eq!(uses.take(), [(key(MAX_NOTED + 7), minute(1))], "what was not noted is not marked");
    }
}
