//! The rows of the tables, one module for each table. Only data: no behaviour, no rules.

pub mod api_key;
pub mod api_key_rate;
pub mod api_key_scope;
pub mod api_key_secret;
pub mod catalogue_revision;
pub mod change_log;
pub mod decision;
pub mod event;
pub mod event_feed;
pub mod limit_key;
pub mod limit_key_activity;
pub mod limit_key_unknown;
pub mod limit_key_use;
pub mod org;
pub mod org_override;
pub mod org_schedule;
pub mod removed_endpoint;
pub mod reservation;
pub mod scope;
pub mod tier;
pub mod tier_limit;
pub mod tier_limit_schedule;
pub mod usage;
pub mod user_ban;
