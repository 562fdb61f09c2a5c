//! The rules, pure: what a limit is, what applies to an org, and what the answer to a question is.
//!
//! Nothing here reads a clock, a database or a socket. Time and facts are parameters, so every
//! edge of the service (HTTP, batch, command line) judges by the same functions.

pub mod address;
pub mod api_key;
pub mod ask;
pub mod bound;
pub mod counter;
pub mod decision;
pub mod effective;
pub mod endpoints;
pub mod event;
pub mod explain;
pub mod gate;
pub mod issue;
pub mod limit_key;
pub mod masked;
pub mod names;
pub mod oddity;
pub mod plan;
pub mod refusal;
pub mod remedy;
pub mod removed_endpoint;
pub mod reservation;
pub mod retention;
pub mod schedule;
pub mod scope;
#[cfg(test)]
pub(crate) mod testing;
pub mod threshold;
pub mod time;
pub mod value;
pub mod webhook;
pub mod what_if;
pub mod window;
