//! Where the newest answers are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Hashes of answers, and the numbers of their rows.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The hasher is seeded: whoever chooses keys must not choose places in the map.
    latest: HashMap<u64, i64, RandomState>,
    /// Earlier rows with the hash of a later one: of an answer that is kept no longer, or of another call altogether.
    earlier: Vec<(u64, i64)>,
}

impl Recent {
    pub(super) fn insert(&mut self, hash: u64, seq: i64) {
        if let Some(earlier) = self.latest.insert(hash, seq) {
            self.earlier.push((hash, earlier));
        }
    }

    /// Every row with this hash.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = i64> {
        let latest = self.latest.get(&hash).copied();
        // Without a later row there is no earlier one, and nothing is searched.
        let earlier = latest.iter().flat_map(move |_| self.earlier.iter().filter(move |(other, _)| *other == hash));
        latest.into_iter().chain(earlier.map(|(_, seq)| *seq).collect::<Vec<_>>())
    }
}

/// 64 bits of a call. The hash of the key is spread evenly already; a caller's name only moves it, each to another place.
/// It is written to the database: it must never change.
pub(super) fn hash_of(caller: &str, key_hash: &[u8]) -> u64 {
    /// The prime of the hash FNV-1a.
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let start = key_hash.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    caller.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
