//! Plimsoll: the plan-limits service. One place that knows what an org may do.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "in a test an overflow is a failure that shows itself"))]

pub mod domain;
