//! Random numbers whose seed a failure prints.

use std::hash::{BuildHasher, RandomState};

/// A small generator (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A new seed, printed for whoever looks into a failure.
    pub(crate) fn new() -> Self {
        let seed = RandomState::new().hash_one("a seed");
        eprintln!("the seed is {seed}");
        Self(seed)
    }

    /// Another generator, that depends on this one.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0, and below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
