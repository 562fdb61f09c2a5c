//! The memory that all windows may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that is shared. Clones share it.
#[derive(Clone)]
pub(super) struct Budget {
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Takes so many bytes, unless there are fewer left.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let with = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        bytes == 0 || self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with).is_ok()
    }

    /// What was thought to take `before` bytes takes `after`.
    pub(super) fn correct(&self, before: usize, after: usize) {
        if after > before {
            self.taken.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        } else if after < before {
            self.taken.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}
