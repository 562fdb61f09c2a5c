//! The clock of the server under test, as its callers know it: the machine's, or one that the test sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::calendar::{self, Unit};
use super::chance::Chance;
use crate::harness::Setup;

const MINUTE: i64 = 60_000;

/// What the server's clock showed at a moment of the test, or will have shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Milliseconds since the epoch.
    millis: i64,
    /// How many times the clock was set.
    settings: usize,
}

/// The server's clock.
pub(super) enum Clock {
    /// The machine's.
    Real,
    /// One that stands still until it is set.
    Set(SetClock),
}

/// A clock that is written to a file, where libfaketime reads it.
pub(crate) struct SetClock {
    file: PathBuf,
    times: Mutex<Times>,
}

struct Times {
    /// Every time that was set, in order; the server may show the last one only once `is_shown`.
    set: Vec<i64>,
    is_shown: bool,
}

impl SetClock {
    /// A clock, and the settings of a server that reads it.
    pub(crate) fn new(setup: Setup, start: i64) -> (Self, Setup) {
        let file = setup.file("clock", written(start));
        let clock = Self { file, times: Mutex::new(Times { set: vec![start], is_shown: true }) };
        let setup = clock.read_by(setup);
        (clock, setup)
    }

    /// The settings of another server that reads it too.
    pub(crate) fn read_by(&self, setup: Setup) -> Setup {
        setup
            .variable("LD_PRELOAD", library())
            .variable("FAKETIME_TIMESTAMP_FILE", &self.file)
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .variable("TZ", "UTC")
    }

    /// Sets the clock forward: often to a boundary, or one millisecond short of it.
    pub(super) fn advance(&self, chance: &mut Chance) {
        let now = self.now();
        let unit = *chance.pick(&Unit::ALL);
        let next = match chance.below(10) {
            0..=2 => now + 1 + i64::try_from(chance.below(900)).expect("less than a second"),
            3..=4 => now + 1_000 * i64::try_from(chance.between(1, 40)).expect("less than a minute"),
            5 => now + MINUTE,
            6 => unit.window(now).1 - 1,
            7..=8 => unit.window(now).1,
            _ => unit.window(now).1 + 1,
        };
        self.set(next);
    }

    /// What it shows, in milliseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        *times.set.last().expect("a start")
    }

    /// Sets it forward, or not at all.
    pub(crate) fn set(&self, next: i64) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next.max(*times.set.last().expect("a start"));
        times.set.push(next);
        times.is_shown = false;
        let fresh = self.file.with_extension("next");
        fs::write(&fresh, written(next)).expect("a writable folder");
        fs::rename(&fresh, &self.file).expect("a writable folder");
        times.is_shown = true;
    }
}

impl Clock {
    /// What the server's clock shows at least from now on.
    pub(super) fn at_least(&self) -> Mark {
        match self {
            Self::Real => Mark { millis: now(), settings: 0 },
            Self::Set(clock) => {
                let times = clock.times.lock().unwrap_or_else(PoisonError::into_inner);
                let settings = times.set.len() - usize::from(!times.is_shown);
                Mark { millis: times.set[settings - 1], settings }
            }
        }
    }

    /// What the server's clock has shown at most until now.
    pub(super) fn at_most(&self) -> Mark {
        match self {
            Self::Real => Mark { millis: now(), settings: 0 },
            Self::Set(clock) => {
                let times = clock.times.lock().unwrap_or_else(PoisonError::into_inner);
                Mark { millis: *times.set.last().expect("a start"), settings: times.set.len() }
            }
        }
    }

    /// Every moment between two marks that can make a difference: the first, and those at which something ends.
    pub(super) fn moments(&self, first: Mark, last: Mark, ends: impl Iterator<Item = i64>) -> Vec<i64> {
        let mut moments = match self {
            Self::Set(clock) => {
                let times = clock.times.lock().unwrap_or_else(PoisonError::into_inner);
                times.set[first.settings - 1..last.settings].to_vec()
            }
            Self::Real => {
                let of_windows = Unit::ALL.into_iter().map(|unit| unit.window(last.millis).0);
                let between = ends.chain(of_windows).filter(|end| first.millis < *end && *end <= last.millis);
                between.chain([first.millis]).collect()
            }
        };
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

impl Mark {
    pub(super) const fn millis(self) -> i64 {
        self.millis
    }
}

/// The machine's clock, in milliseconds since the epoch.
pub(super) fn now() -> i64 {
    plimsoll::clock::now().get()
}

/// As libfaketime reads it. Half a millisecond more, because it rounds down what it cannot hold exactly.
fn written(moment: i64) -> String {
    let text = calendar::text(moment - moment.rem_euclid(1_000));
    format!("{}.{:03}5\n", text.trim_end_matches('Z').replace('T', " "), moment.rem_euclid(1_000))
}

/// Removes what libfaketime shares between the processes of a family, and leaves behind when its process is killed.
pub(crate) fn remove_shared_memory(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        // The process may have removed it itself.
        fs::remove_file(Path::new("/dev/shm").join(name)).ok();
    }
}

/// The library of Debian's package `faketime`.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("libraries").flatten().map(|entry| entry.path());
    let mut found =
        folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path: &PathBuf| Path::exists(path));
    found.next().expect("libfaketime: install the package faketime")
}
