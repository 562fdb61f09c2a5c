//! The integration tests, in one binary.

#![allow(clippy::arithmetic_side_effects, reason = "in a test an overflow is a failure that shows itself")]

#[cfg(test)]
mod browser;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod faults;
#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "it grows ahead of the tests that use it")]
mod harness;
#[cfg(test)]
mod hot_path;
#[cfg(test)]
mod house;
#[cfg(test)]
mod jwt;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod on_postgres;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod openfeature;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod recipes;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod standard_webhooks;
#[cfg(test)]
mod what_if;
