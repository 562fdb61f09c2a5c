//! The sliding windows of callers: the process's own, or those that all processes share.

use super::shared::{Place, Shared};
use super::{Held, Limiter, Passage, Window};

/// Whoever asks need not know whose windows answer.
pub enum Windows {
    /// Those of this process.
    Own(Limiter),
    /// Those that all processes share. This process's own stand in for them.
    Shared(Box<Shared>),
}

/// What was answered, and whether at full strength.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// The answer.
    pub what: T,
    /// Whether it is of a process's own windows that stood in for the shared ones.
    pub is_degraded: bool,
}

impl<T> Told<T> {
    /// As good as it gets.
    pub const fn fully(what: T) -> Self {
        Self { what, is_degraded: false }
    }

    /// The best that was to be had.
    pub const fn weakly(what: T) -> Self {
        Self { what, is_degraded: true }
    }
}

impl Windows {
    /// Shared ones. They need not be there yet; until they are, and whenever they are not, these of this process stand in.
    pub fn shared(own: Limiter, place: Place) -> Self {
        Self::Shared(Box::new(Shared::start(own, place)))
    }

    /// Counts one call in all of these windows of whom the words name together, or in none.
    pub async fn pass(&self, words: [&str; 2], windows: &[Window<'_>]) -> Told<Passage> {
        match self {
            Self::Own(limiter) => Told::fully(limiter.pass(limiter.subject(&words), windows)),
            // Boxed, so that the future stays small for those who need not wait.
            Self::Shared(shared) => Box::pin(shared.pass(words, windows)).await,
        }
    }

    /// The same when it can be told without waiting; otherwise nothing was done.
    pub fn pass_at_once(&self, words: [&str; 2], windows: &[Window<'_>]) -> Option<Told<Passage>> {
        match self {
            Self::Own(limiter) => Some(Told::fully(limiter.pass(limiter.subject(&words), windows))),
            Self::Shared(_) => None,
        }
    }

    /// Whether they tell without waiting.
    pub const fn are_at_hand(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// What a window holds. Counts nothing.
    pub async fn held(&self, words: [&str; 2], window: &Window<'_>) -> Told<Held> {
        match self {
            Self::Own(limiter) => Told::fully(limiter.held(limiter.subject(&words), window)),
            Self::Shared(shared) => Box::pin(shared.held(words, window)).await,
        }
    }

    /// Forgets windows of this process that have lost everything, and gives back their memory.
    pub fn sweep(&self) {
        self.own().sweep();
    }

    /// Bytes of memory that the windows of this process take.
    pub fn bytes(&self) -> u64 {
        self.own().bytes()
    }

    /// How many servers hold shared windows, and how many of them are not reached; nothing when there are none.
    pub fn servers(&self) -> Option<(usize, usize)> {
        match self {
            Self::Own(_) => None,
            Self::Shared(shared) => Some(shared.servers()),
        }
    }

    const fn own(&self) -> &Limiter {
        match self {
            Self::Own(limiter) => limiter,
            Self::Shared(shared) => shared.own(),
        }
    }
}
