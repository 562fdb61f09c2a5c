//! Whole numbers within the contract's range, and upper bounds that may be absent.

use serde::Serialize;

use super::issue::Invalid;

/// The largest number that every JSON client can hold exactly: 2^53 - 1.
pub const MAX_QUANTITY: u64 = 9_007_199_254_740_991;

/// A whole number from 0 to 2^53 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(u64);

impl Quantity {
    /// None.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1);
    /// The largest.
    pub const MAX: Self = Self(MAX_QUANTITY);

    /// Accepts a number in range.
    pub fn new(number: u64) -> Result<Self, Invalid> {
        if number <= MAX_QUANTITY {
            Ok(Self(number))
        } else {
            Err(Invalid::new("must be a whole number from 0 to 9007199254740991"))
        }
    }

    /// The nearest number in range.
    pub const fn saturating(number: u64) -> Self {
        if number <= MAX_QUANTITY { Self(number) } else { Self::MAX }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, or the largest number if it would be above.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::saturating(self.0.saturating_add(other.0))
    }

    /// The difference, never below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// An upper bound: a number, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Up to and including this.
    Limited(Quantity),
    /// No bound.
    Unlimited,
}

impl Bound {
    /// The number, or nothing when unlimited.
    pub const fn limit(self) -> Option<Quantity> {
        match self {
            Self::Limited(quantity) => Some(quantity),
            Self::Unlimited => None,
        }
    }

    /// Both together: numbers add up, and anything plus unlimited is unlimited.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Limited(a), Self::Limited(b)) => Self::Limited(a.plus(b)),
            (Self::Unlimited, _) | (_, Self::Unlimited) => Self::Unlimited,
        }
    }

    /// Whether `amount` more fits when `taken` is there already. The sum is exact: it does not saturate.
    pub const fn has_room(self, taken: Quantity, amount: Quantity) -> bool {
        match self {
            Self::Limited(max) => taken.0.saturating_add(amount.0) <= max.0,
            Self::Unlimited => true,
        }
    }

    /// What is left above `taken`, never below zero; nothing when unlimited.
    pub const fn remaining(self, taken: Quantity) -> Option<Quantity> {
        match self {
            Self::Limited(max) => Some(max.minus(taken)),
            Self::Unlimited => None,
        }
    }
}
