//! Webhooks as they are sent: who may be reached, how a message is signed, and the one task that delivers.
//!
//! What is to be sent, to whom and in which order is in the store; when it is sent again is a rule of the domain.

mod deliverer;
mod desk;
mod guard;
mod message;
mod sender;
#[cfg(test)]
mod tests;
mod vault;

pub use deliverer::{Deliverer, Delivering, Settings};
pub use guard::{Allowed, checked_url};
pub use vault::{NoRandomness, Vault};
