//! The moments at which something was counted in one window, oldest first.

use std::collections::VecDeque;
use std::mem;

/// Moments, in microseconds. Most windows hold one, and take no more room than it.
pub(super) enum Log {
    /// Just one.
    One(u64),
    /// Several.
    #[expect(clippy::box_collection, reason = "it halves what every window takes that holds one")]
    Many(Box<VecDeque<u64>>),
}

/// The fewest moments that a list has room for.
const FEWEST: usize = 4;

/// Bytes of a list with room for so many moments.
const fn list_bytes(moments: usize) -> usize {
    moments.saturating_mul(size_of::<u64>()).saturating_add(size_of::<VecDeque<u64>>())
}

impl Log {
    /// How many there are after `past`, which is the last moment that has left the window.
    pub(super) fn after(&self, past: Option<u64>) -> usize {
        let has_left = |at: &u64| past.is_some_and(|past| *at <= past);
        match self {
            Self::One(at) => usize::from(!has_left(at)),
            Self::Many(list) => list.len().saturating_sub(list.partition_point(has_left)),
        }
    }

    /// The moment with so many others after it.
    pub(super) fn nth_last(&self, others: usize) -> Option<u64> {
        match self {
            Self::One(at) => (others == 0).then_some(*at),
            Self::Many(list) => list.len().checked_sub(others.saturating_add(1)).and_then(|place| list.get(place).copied()),
        }
    }

    /// Drops those up to `past`; false when none is left.
    pub(super) fn drop_until(&mut self, past: Option<u64>) -> bool {
        let Some(past) = past else { return true };
        match self {
            Self::One(at) => *at > past,
            Self::Many(list) => {
                let left = list.partition_point(|at| *at <= past);
                list.drain(..left);
                self.slim();
                match self {
                    Self::One(_) => true,
                    Self::Many(list) => !list.is_empty(),
                }
            }
        }
    }

    /// A list that has become much too long for what it holds gives its room back.
    fn slim(&mut self) {
        let Self::Many(list) = self else { return };
        match (list.len(), list.front()) {
            (1, Some(at)) => *self = Self::One(*at),
            (len, _) if list.capacity() > FEWEST && len < list.capacity().checked_div(4).unwrap_or(0) => {
                list.shrink_to(len.saturating_mul(2));
            }
            (_, Some(_) | None) => {}
        }
    }

    /// Bytes that it would take beside itself, with one more.
    pub(super) fn bytes_with_one_more(&self) -> usize {
        match self {
            Self::One(_) => list_bytes(FEWEST),
            Self::Many(list) if list.len() < list.capacity() => self.bytes(),
            Self::Many(list) => list_bytes(list.capacity().saturating_mul(2)),
        }
    }

    /// Bytes that it takes beside itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(list) => list_bytes(list.capacity()),
        }
    }

    /// Adds the newest. Moments never go back; should they, this one is as late as the one before.
    pub(super) fn push(&mut self, at: u64) {
        let at = self.nth_last(0).map_or(at, |last| last.max(at));
        match self {
            Self::One(first) => {
                let mut list = VecDeque::with_capacity(FEWEST);
                list.push_back(mem::take(first));
                list.push_back(at);
                *self = Self::Many(Box::new(list));
            }
            Self::Many(list) => {
                if list.len() == list.capacity() {
                    list.reserve_exact(list.capacity());
                }
                list.push_back(at);
            }
        }
    }
}
