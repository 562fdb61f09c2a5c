//! The integration tests, in one binary.

#![allow(clippy::arithmetic_side_effects, reason = "in a test an overflow is a failure that shows itself")]

#[cfg(test)]
mod house;
#[cfg(test)]
mod scenarios;
