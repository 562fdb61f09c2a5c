//! Thresholds: percents of a cap whose crossing is told.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::bound::Quantity;
use super::issue::Invalid;

/// What is told of a limit key that has no thresholds of its own.
pub const USUAL: [u64; 2] = [80, 100];
/// The most that one limit key has: each may be an event of the same taking.
pub const MAX_THRESHOLDS: usize = 16;
/// The whole cap. Usage never crosses more of it on its way up.
pub const MAX_PERCENT: u64 = 100;

/// Whole percents, each higher than the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<u64>);

impl Thresholds {
    /// Of percents in any order, none of them twice.
    pub fn parse(mut percents: Vec<u64>) -> Result<Self, Invalid> {
        percents.sort_unstable();
        let is_each_once = percents.is_sorted_by(|one, next| one < next);
        let are_percents = percents.iter().all(|percent| (1..=MAX_PERCENT).contains(percent));
        if percents.len() <= MAX_THRESHOLDS && is_each_once && are_percents {
            Ok(Self(percents))
        } else {
            Err(Invalid::new("must be at most 16 different whole percents from 1 to 100"))
        }
    }

    /// The percents, in order.
    pub fn percents(&self) -> &[u64] {
        &self.0
    }
}

/// As it is stored: with commas between the percents.
impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percents: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&percents.join(","))
    }
}

impl FromStr for Thresholds {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let percents: Result<Vec<u64>, _> = text.split(',').filter(|part| !part.is_empty()).map(str::parse).collect();
        percents.map_err(|_| Invalid::new("must be whole percents with commas between them")).and_then(Self::parse)
    }
}

impl Serialize for Thresholds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The thresholds that usage crosses on its way up, in order. A cap of nothing has none.
pub fn crossed(thresholds: &[u64], before: Quantity, after: Quantity, max: Quantity) -> impl Iterator<Item = u64> + use<'_> {
    let is_reached = move |taken: Quantity, threshold: u64| {
        u128::from(taken.get()).saturating_mul(100) >= u128::from(max.get()).saturating_mul(u128::from(threshold))
    };
    thresholds.iter().copied().filter(move |threshold| !is_reached(before, *threshold) && is_reached(after, *threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: u64, after: u64, max: u64) -> Vec<u64> {
        of(&USUAL, before, after, max)
    }

    fn of(thresholds: &[u64], before: u64, after: u64, max: u64) -> Vec<u64> {
        let [before, after, max] = [before, after, max].map(|number| Quantity::new(number).expect("a quantity"));
        crossed(thresholds, before, after, max).collect()
    }

    #[test]
    fn a_threshold_is_crossed_once_on_the_way_up() {
        assert_eq!(told(0, 7, 10), [0_u64; 0]);
        assert_eq!(told(7, 8, 10), [80]);
        assert_eq!(told(8, 9, 10), [0_u64; 0]);
        assert_eq!(told(9, 10, 10), [100]);
        assert_eq!(told(0, 10, 10), [80, 100]);
        assert_eq!(told(10, 7, 10), [0_u64; 0], "not on the way down");
        assert_eq!(told(0, 1, 1), [80, 100]);
        assert_eq!(told(2, 3, 3), [80, 100]);
        assert_eq!(told(0, 0, 0), [0_u64; 0]);
        let most = Quantity::MAX.get();
        assert_eq!(told(0, most, most), [80, 100], "also of the largest");
    }

    #[test]
    fn a_limit_key_may_have_others_or_none() {
        assert_eq!(of(&[1, 50, 99], 0, 99, 100), [1, 50, 99]);
        assert_eq!(of(&[1, 50, 99], 49, 50, 100), [50]);
        assert_eq!(of(&[], 0, 100, 100), [0_u64; 0]);
    }

    #[test]
    fn they_are_different_percents_whatever_their_order() {
        let stored = |percents: &[u64]| Thresholds::parse(percents.to_vec()).map(|thresholds| thresholds.to_string());
        assert_eq!(stored(&[100, 1, 50]).as_deref(), Ok("1,50,100"));
        assert_eq!(stored(&[]).as_deref(), Ok(""));
        for bad in [vec![0], vec![101], vec![50, 50], (1..=17).collect()] {
            assert!(stored(&bad).is_err(), "{bad:?}");
        }
        for text in ["", "80", "1,50,100"] {
            assert_eq!(text.parse::<Thresholds>().map(|thresholds| thresholds.to_string()).as_deref(), Ok(text));
        }
        assert!("50;60".parse::<Thresholds>().is_err());
    }
}
