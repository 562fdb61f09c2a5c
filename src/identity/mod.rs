//! Who is calling: the secrets of API keys, and JWT bearers.
//!
//! Nothing here knows a database or an HTTP status. The only thing that reaches out is the client
//! that reads a JSON Web Key Set from the configured https URL.

pub mod jwt;
pub mod secret;

mod jwks;
mod key_cache;
mod key_source;
mod token;

#[cfg(test)]
mod claims_tests;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod jwks_server;
#[cfg(test)]
mod jwks_tests;
#[cfg(test)]
mod jwt_tests;
#[cfg(test)]
mod key_cache_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod verifier_bench;
