//! What questions are answered from: the catalogue compiled for reading behind an atomic pointer,
//! bounded caches of orgs and API keys, and what keeps all of them fresh.

mod catalogue;
mod directory;
mod fences;
mod follow;
mod known;
mod near;
mod uses;

pub use catalogue::{Catalogue, PerRequest};
pub use directory::{CacheSizes, Current, Directory};
pub use known::KnownOrg;
