//! Segments: runs of answers that memory no longer holds the places of.
//!
//! The places are written in order of their hashes and in parts, so that finding one reads some kilobytes.

use super::filter::Filter;
use super::recent::Recent;

/// The parts of a segment: a step of the hash's first six bits each.
pub(super) const PARTS: i64 = 64;
/// A hash without all but its first six bits.
const PART_SHIFT: u32 = 58;
/// A hash and the number of a row, eight bytes each.
const PLACE: usize = 16;

/// What memory holds of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Counted from 1.
    pub(super) id: i64,
    /// The number of its last row.
    pub(super) last_seq: i64,
    /// When its newest answer was made, in milliseconds since the epoch.
    pub(super) newest: i64,
    pub(super) filter: Filter,
}

impl Segment {
    /// The id of the part that the hash is in, if it is in this segment.
    pub(super) fn part_with(&self, hash: u64) -> Option<i64> {
        self.filter.may_have(hash).then(|| part_id(self.id, hash))
    }
}

/// The id of a segment's part that has the places of this hash.
fn part_id(segment: i64, hash: u64) -> i64 {
    let part = i64::try_from(hash >> PART_SHIFT).unwrap_or(0);
    segment.saturating_mul(PARTS).saturating_add(part)
}

/// A segment as it is to be written.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) segment: Segment,
    /// Each part with its id.
    pub(super) parts: Vec<(i64, Vec<u8>)>,
}

impl Drawing {
    /// Puts places in order. It takes some milliseconds.
    pub(super) fn of(id: i64, recent: &Recent) -> Self {
        let mut places: Vec<(u64, i64)> = recent.places().collect();
        places.sort_unstable();
        let mut filter = Filter::for_hashes(places.len());
        let first = part_id(id, 0);
        let mut parts: Vec<(i64, Vec<u8>)> = (first..first.saturating_add(PARTS)).map(|part| (part, Vec::new())).collect();
        for (hash, seq) in places {
            filter.insert(hash);
            let part = usize::try_from(hash >> PART_SHIFT).ok().and_then(|part| parts.get_mut(part));
            part.into_iter().for_each(|(_, bytes)| bytes.extend([hash.to_be_bytes(), seq.to_be_bytes()].concat()));
        }
        let segment = Segment { id, last_seq: recent.last_seq(), newest: recent.newest(), filter };
        Self { segment, parts }
    }
}

/// The rows that a part knows under a hash.
pub(super) fn find(part: &[u8], hash: u64) -> impl Iterator<Item = i64> {
    let (places, _) = part.as_chunks::<PLACE>();
    let hash = hash.to_be_bytes();
    let before = places.partition_point(|place| place.first_chunk().is_some_and(|of: &[u8; 8]| *of < hash));
    let from = places.get(before..).unwrap_or_default();
    let same = from.iter().take_while(move |place| place.starts_with(&hash));
    same.filter_map(|place| place.last_chunk().map(|seq| i64::from_be_bytes(*seq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_again_and_no_other() {
        let mut recent = Recent::default();
        let hashes: Vec<u64> = (0..1_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for (hash, seq) in hashes.iter().zip(1..) {
            recent.insert(*hash, seq, seq);
        }
        recent.insert(hashes[7], 1_001, 5);
        let Drawing { segment, parts } = Drawing::of(3, &recent);
        assert_eq!((segment.id, segment.last_seq, segment.newest), (3, 1_001, 1_000));
        let look = |hash| {
            let part = segment.part_with(hash)?;
            let (_, bytes) = parts.iter().find(|(id, _)| *id == part).expect("a part");
            Some(find(bytes, hash).collect::<Vec<_>>())
        };
        for (at, hash) in hashes.iter().enumerate().filter(|(at, _)| *at != 7) {
            assert_eq!(look(*hash), Some(vec![i64::try_from(at).expect("small") + 1]));
        }
        assert_eq!(look(hashes[7]), Some(vec![8, 1_001]), "of two with one hash, both are found");
        assert!(hashes.iter().filter_map(|hash| look(hash ^ 1)).all(|found| found.is_empty()));
        assert_eq!(parts.len(), 64);
        assert_eq!(parts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), 1_001 * PLACE);
    }
}
