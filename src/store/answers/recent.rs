//! Where the newest answers are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Hashes of answers, and the numbers of their rows.
#[derive(Debug)]
pub(super) struct Recent {
    /// The hasher is seeded: whoever chooses keys must not choose places in the map.
    latest: HashMap<u64, i64, RandomState>,
    /// Earlier rows with the hash of a later one: of an answer that is kept no longer, or of another call altogether.
    earlier: Vec<(u64, i64)>,
    last_seq: i64,
    newest: i64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { latest: HashMap::default(), earlier: Vec::new(), last_seq: 0, newest: i64::MIN }
    }
}

impl Recent {
    /// Adds a row. `made` is when the answer was made, in milliseconds since the epoch.
    pub(super) fn insert(&mut self, hash: u64, seq: i64, made: i64) {
        if let Some(earlier) = self.latest.insert(hash, seq) {
            self.earlier.push((hash, earlier));
        }
        self.last_seq = self.last_seq.max(seq);
        self.newest = self.newest.max(made);
    }

    /// Every row with this hash.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = i64> {
        let latest = self.latest.get(&hash).copied();
        // Without a later row there is no earlier one, and nothing is searched.
        let searched = if latest.is_some() { self.earlier.as_slice() } else { &[] };
        latest.into_iter().chain(searched.iter().filter(move |(other, _)| *other == hash).map(|(_, seq)| *seq))
    }

    /// All of them, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, i64)> {
        self.latest.iter().map(|(hash, seq)| (*hash, *seq)).chain(self.earlier.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        self.latest.len().saturating_add(self.earlier.len())
    }

    /// The number of the last row; 0 when there is none.
    pub(super) const fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// When the newest answer was made.
    pub(super) const fn newest(&self) -> i64 {
        self.newest
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_that_is_written_never_changes() {
        let hashes = [("key:a", [1; 32]), ("key:b", [1; 32]), ("key:a", [2; 32])].map(|(caller, key)| hash_of(caller, &key));
        assert_eq!(hashes, [13_519_697_485_681_694_709, 13_519_694_187_146_810_076, 18_119_464_103_416_187_128]);
    }

    #[test]
    fn two_rows_with_one_hash_are_both_found() {
        let mut recent = Recent::default();
        recent.insert(7, 1, 100);
        recent.insert(7, 2, 50);
        recent.insert(8, 3, 60);
        assert_eq!(recent.find(7).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((recent.find(8).count(), recent.find(9).count(), recent.len()), (1, 0, 3));
        assert_eq!((recent.last_seq(), recent.newest()), (3, 100));
    }
}
