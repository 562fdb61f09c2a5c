//! How often each limit key is asked about. Each thread counts for itself, under a lock that nobody else wants but who adds up now
//! and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::tally::OUTCOMES;
use crate::domain::names::LimitKeyName;
use crate::domain::time::UtcMillis;

/// Names in the metrics at most: each is a line for every outcome. The rest are counted together.
const MAX_LABELS: usize = 200;
/// Names that no limit key has and that are remembered at most until they are written down.
const MAX_UNKNOWN: usize = 256;
const DAY_MILLIS: i64 = 86_400_000;

/// The decisions about one limit key on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTally {
    /// The day, counted from the epoch.
    pub day: i64,
    /// Decisions by their outcome, of which the first is that it was allowed.
    outcomes: [u64; OUTCOMES],
    /// When the last one was.
    pub last_checked: UtcMillis,
    /// When the last refusal was.
    pub last_refused: Option<UtcMillis>,
}

/// How often a name was asked for that no limit key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misses {
    /// How often.
    pub asked: u64,
    /// When first.
    pub first: UtcMillis,
    /// When last.
    pub last: UtcMillis,
}

impl DayTally {
    const fn new(day: i64, now: UtcMillis) -> Self {
        Self { day, outcomes: [0; OUTCOMES], last_checked: now, last_refused: None }
    }

    /// All decisions.
    pub fn checked(&self) -> u64 {
        self.outcomes.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Those that were refusals.
    pub fn refused(&self) -> u64 {
        self.outcomes.iter().skip(1).fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn count(&mut self, outcome: usize, now: UtcMillis) {
        if let Some(count) = self.outcomes.get_mut(outcome) {
            *count = count.saturating_add(1);
        }
        self.last_checked = self.last_checked.max(now);
        if outcome > 0 {
            self.last_refused = self.last_refused.max(Some(now));
        }
    }

    fn add(&mut self, other: &Self) {
        add_all(&mut self.outcomes, &other.outcomes);
        self.last_checked = self.last_checked.max(other.last_checked);
        self.last_refused = self.last_refused.max(other.last_refused);
    }
}

fn add_all(sums: &mut [u64; OUTCOMES], counts: &[u64; OUTCOMES]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(*count);
    }
}

/// What one thread has counted since it was last added up: the day that it counts at, and those that are over.
#[derive(Default)]
struct Noted {
    present: HashMap<LimitKeyName, DayTally, RandomState>,
    over: Vec<(LimitKeyName, DayTally)>,
}

/// By limit key and day.
type Days = HashMap<(LimitKeyName, i64), DayTally, RandomState>;
/// By limit key; what has no line of its own is under nothing.
type Totals = HashMap<Option<LimitKeyName>, [u64; OUTCOMES], RandomState>;

/// What was added up: what is not written down yet, and everything since the start.
#[derive(Default)]
struct Gathered {
    days: Days,
    totals: Totals,
}

/// Every thread's, also of threads that have ended.
static NOTED: Mutex<Vec<Arc<Mutex<Noted>>>> = Mutex::new(Vec::new());
static GATHERED: Mutex<Option<Gathered>> = Mutex::new(None);
static UNKNOWN: Mutex<Option<HashMap<LimitKeyName, Misses, RandomState>>> = Mutex::new(None);

thread_local! {
    static MINE: Arc<Mutex<Noted>> = {
        let noted = Arc::new(Mutex::new(Noted::default()));
        held(&NOTED).push(Arc::clone(&noted));
        noted
    };
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a decision with the outcome at this place.
pub(super) fn decided(limit_key: &LimitKeyName, outcome: usize, now: UtcMillis) {
    let day = now.get().div_euclid(DAY_MILLIS);
    MINE.with(|mine| {
        let mut noted = held(mine);
        if let Some(tally) = noted.present.get_mut(limit_key) {
            if tally.day == day {
                return tally.count(outcome, now);
            }
            let over = std::mem::replace(tally, DayTally::new(day, now));
            tally.count(outcome, now);
            return noted.over.push((limit_key.clone(), over));
        }
        noted.present.entry(limit_key.clone()).or_insert_with(|| DayTally::new(day, now)).count(outcome, now);
    });
}

/// Counts that somebody asked for a limit key that there is not.
pub fn missed(limit_key: &LimitKeyName, now: UtcMillis) {
    add_misses(limit_key, Misses { asked: 1, first: now, last: now });
}

fn add_misses(limit_key: &LimitKeyName, misses: Misses) {
    let mut unknown = held(&UNKNOWN);
    let unknown = unknown.get_or_insert_default();
    if let Some(known) = unknown.get_mut(limit_key) {
        let (first, last) = (known.first.min(misses.first), known.last.max(misses.last));
        *known = Misses { asked: known.asked.saturating_add(misses.asked), first, last };
    } else if unknown.len() < MAX_UNKNOWN {
        unknown.insert(limit_key.clone(), misses);
    }
}

/// Adds up what all threads have counted since the last time.
fn gather<T>(then: impl FnOnce(&mut Gathered) -> T) -> T {
    // Held throughout, so that nobody sees a part.
    let mut gathered = held(&GATHERED);
    let gathered = gathered.get_or_insert_default();
    let all: Vec<Arc<Mutex<Noted>>> = held(&NOTED).clone();
    for noted in all {
        let Noted { present, over } = std::mem::take(&mut *held(&noted));
        for (limit_key, tally) in present.into_iter().chain(over) {
            gathered.add(limit_key, &tally);
        }
    }
    then(gathered)
}

impl Gathered {
    fn add(&mut self, limit_key: LimitKeyName, tally: &DayTally) {
        let label = Some(limit_key.clone());
        let has_line = self.totals.contains_key(&label) || self.totals.len() < MAX_LABELS;
        add_all(self.totals.entry(label.filter(|_| has_line)).or_default(), &tally.outcomes);
        self.keep(limit_key, tally);
    }

    fn keep(&mut self, limit_key: LimitKeyName, tally: &DayTally) {
        let empty = || DayTally::new(tally.day, tally.last_checked);
        self.days.entry((limit_key, tally.day)).or_insert_with(empty).add(tally);
    }
}

/// Everything since the start, by limit key and outcome.
pub(super) fn totals() -> Vec<(Option<LimitKeyName>, [u64; OUTCOMES])> {
    gather(|gathered| gathered.totals.iter().map(|(limit_key, counts)| (limit_key.clone(), *counts)).collect())
}

/// What was counted and is to be written down.
#[derive(Default)]
pub struct Activity {
    /// Decisions, by limit key.
    pub days: Vec<(LimitKeyName, DayTally)>,
    /// Names that no limit key has.
    pub unknown: Vec<(LimitKeyName, Misses)>,
}

impl Activity {
    /// What was counted since the last time. It is somebody else's to write down now.
    pub fn take() -> Self {
        let days = gather(|gathered| std::mem::take(&mut gathered.days));
        let unknown = std::mem::take(&mut *held(&UNKNOWN)).unwrap_or_default();
        let days = days.into_iter().map(|((limit_key, _), tally)| (limit_key, tally)).collect();
        Self { days, unknown: unknown.into_iter().collect() }
    }

    /// Keeps what could not be written down.
    pub fn put_back(self) {
        gather(|gathered| {
            for (limit_key, tally) in self.days {
                gathered.keep(limit_key, &tally);
            }
        });
        for (limit_key, misses) in self.unknown {
            add_misses(&limit_key, misses);
        }
    }

    /// Whether there is nothing to be written down.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.unknown.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> LimitKeyName {
        LimitKeyName::parse(text).expect("a name")
    }

    #[test]
    fn what_threads_counted_is_added_up_day_by_day_and_only_once() {
        let (monday, tuesday) = (UtcMillis::new(DAY_MILLIS * 20_000 + 5), UtcMillis::new(DAY_MILLIS * 20_001 + 5));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    decided(&name("activity_test"), 0, monday);
                    decided(&name("activity_test"), 1, monday);
                    decided(&name("activity_test"), 0, tuesday);
                });
            }
        });
        let own = |activity: &Activity| {
            let own = activity.days.iter().filter(|(limit_key, _)| *limit_key == name("activity_test"));
            let mut days: Vec<_> = own.map(|(_, tally)| (tally.day, tally.checked(), tally.refused())).collect();
            days.sort_unstable();
            days
        };
        let taken = Activity::take();
        assert_eq!(own(&taken), [(20_000, 6, 3), (20_001, 3, 0)]);
        assert_eq!(own(&Activity::take()), []);
        taken.put_back();
        assert_eq!(own(&Activity::take()), [(20_000, 6, 3), (20_001, 3, 0)]);
        let total = totals().into_iter().find(|(limit_key, _)| *limit_key == Some(name("activity_test")));
        assert_eq!(total.map(|(_, counts)| [counts[0], counts[1]]), Some([6, 3]), "what is put back is not counted again");
    }

    #[test]
    fn names_that_nobody_has_take_no_more_room_than_they_may() {
        (0..MAX_UNKNOWN + 100).for_each(|number| missed(&name(&format!("nobody_{number}")), UtcMillis::new(5)));
        assert!(held(&UNKNOWN).as_ref().is_none_or(|unknown| unknown.len() <= MAX_UNKNOWN));
    }
}
