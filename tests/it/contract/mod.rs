//! What callers can rely on, over HTTP.

mod activity;
mod admin;
mod audit;
mod bans;
mod bodies;
mod catalog;
mod check;
mod envelope;
mod errors;
mod events;
mod fresh;
mod gate;
mod idempotency;
mod key_rates;
mod keys;
mod late_body;
mod lists;
mod openfeature;
mod past;
mod schedule;
mod usage;
mod versions;
mod webhooks;
mod what_if;
mod whoami;
mod why;
