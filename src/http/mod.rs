//! HTTP: the route table on one screen, one file per resource, and what they share: the envelope,
//! extractors whose types are the documentation, and the edge that every request passes.

mod api_keys;
mod audit;
mod caller;
mod catalog;
mod check;
mod consume;
mod decision_view;
pub mod docs;
mod document;
pub mod edge;
mod entitlements;
mod envelope;
mod error;
mod extract;
mod health;
mod judge;
mod limit_keys;
pub mod openapi;
mod orgs;
mod overrides;
mod removed_endpoints;
mod reservations;
pub mod router;
pub mod routes;
mod scopes;
pub mod service;
mod taker;
mod texts;
mod tier_limits;
mod tiers;
pub mod unparsed;
mod usage;
mod users;
mod windows;
mod writer;
