//! Which hashes are certainly not in a segment.

/// Bits for each hash. One in some two thousand that are not there looks as if it were: the question is asked of every segment,
/// and each such mistake costs reading a part of one.
const BITS_PER_HASH: usize = 20;
/// Words in a block. All bits of a hash are in one block, which is half a line of the processor's cache.
const WORDS: usize = 8;
const BYTES_PER_BLOCK: usize = WORDS * 4;
/// An odd multiplier for each word, to spread the same bits differently. They are those of the Parquet format's Bloom filter.
const SALTS: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// A Bloom filter in blocks, each with one bit of a hash in every word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<[u32; WORDS]>);

impl Filter {
    /// With room for so many hashes.
    pub(super) fn for_hashes(hashes: usize) -> Self {
        let blocks = hashes.saturating_mul(BITS_PER_HASH).div_ceil(BYTES_PER_BLOCK.saturating_mul(8)).max(1);
        Self(vec![[0; WORDS]; blocks])
    }

    pub(super) fn insert(&mut self, hash: u64) {
        let at = self.block_of(hash);
        if let Some(block) = self.0.get_mut(at) {
            for (word, bit) in block.iter_mut().zip(bits_of(hash)) {
                *word |= bit;
            }
        }
    }

    /// Whether it may have been inserted; false is certain.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let block = self.0.get(self.block_of(hash));
        block.is_none_or(|block| block.iter().zip(bits_of(hash)).all(|(word, bit)| word & bit != 0))
    }

    /// The upper half of the hash, scaled down to the number of blocks.
    fn block_of(&self, hash: u64) -> usize {
        let blocks = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let scaled = (hash >> 32).saturating_mul(blocks) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// From what [`Filter::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let (blocks, more) = words.as_chunks::<WORDS>();
        let is_whole = rest.is_empty() && more.is_empty() && !blocks.is_empty();
        is_whole.then(|| Self(blocks.iter().map(|block| block.map(u32::from_le_bytes)).collect()))
    }
}

/// A bit for each word, from the lower half of the hash.
fn bits_of(hash: u64) -> [u32; WORDS] {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let low = hash as u32;
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as even as the hashes of keys are.
    fn hashes(seed: u64) -> impl Iterator<Item = u64> {
        (seed..).map(|n| {
            let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            n ^ (n >> 31)
        })
    }

    #[test]
    fn what_was_inserted_is_never_missed_and_little_else_is_found() {
        let mut filter = Filter::for_hashes(10_000);
        hashes(0).take(10_000).for_each(|hash| filter.insert(hash));
        let filter = Filter::from_bytes(&filter.to_bytes()).expect("a filter");
        assert!(hashes(0).take(10_000).all(|hash| filter.may_have(hash)));
        let mistakes = hashes(1_000_000).take(100_000).filter(|hash| filter.may_have(*hash)).count();
        assert!(mistakes < 100, "{mistakes} of 100,000");
    }

    #[test]
    fn an_empty_or_broken_text_is_no_filter() {
        for length in [0, 4, 31, 33] {
            assert_eq!(Filter::from_bytes(&vec![0; length]), None, "{length}");
        }
        assert!(!Filter::for_hashes(0).may_have(7));
    }
}
