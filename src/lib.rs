//! Plimsoll: the plan-limits service. One place that knows what an org may do.

pub mod domain;
pub mod store;
