//! The ledger against an independent oracle: a plain model that shares no code with the product says what every answer may be.

pub(crate) mod calendar;
pub(crate) mod chance;
mod checker;
mod checker_tests;
pub(crate) mod clock;
mod downgrade;
mod history;
mod model;
mod plan;
pub(crate) mod races;
pub(crate) mod random;
mod tally;
mod trace;
mod wire;
pub(crate) mod world;
