//! The real program, started for one test, and callers of it.
//!
//! Every answer that comes through here is held to the document that the very same server gives out.
//!
//! ```ignore
//! let server = Plimsoll::start().await;
//! server.admin().put_org("acme", "free").await.is(201);
//! server.key(&["read"], Some("acme")).await.check(json!({"org": "acme", "limitKey": "seats"})).await.is(404);
//! ```

mod actor;
mod answer;
mod database;
mod document;
mod output;
pub(crate) mod postgres;
mod process;
mod proxy;
mod raw;
mod receiver;
mod setup;

pub(crate) use actor::Actor;
pub(crate) use answer::Answer;
pub(crate) use document::{Document, Operation};
pub(crate) use postgres::Postgres;
pub(crate) use process::{Plimsoll, Stopped};
pub(crate) use proxy::Proxy;
pub(crate) use raw::Held;
pub(crate) use receiver::{Reaction, Received, Receiver};
pub(crate) use setup::{ADMIN_KEY, Setup};
