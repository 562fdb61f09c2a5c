//! Plimsoll: the plan-limits service. One place that knows what an org may do.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "in a test an overflow is a failure that shows itself"))]

pub mod by_hand;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod limiter;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod webhooks;
pub mod wire;
