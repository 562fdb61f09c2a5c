//! The gate's ladder: one request of a customer, judged as a whole. The first refusal wins.

use super::api_key::ApiKey;
use super::endpoints::RemovedEndpoints;
use super::names::ScopeName;
use super::refusal::{Presented, Refusal};
use super::time::UtcMillis;

/// What the gate knows of a customer's request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The API key that it came with; otherwise whether it came with any.
    pub key: Result<&'a ApiKey, Presented>,
    /// Its method. Without one, it is taken for one that writes.
    pub method: Option<&'a str>,
    /// Its path, and a query or not.
    pub path: Option<&'a str>,
    /// The scope that it needs; without one, its method says.
    pub required_scope: Option<&'a ScopeName>,
}

impl Request<'_> {
    /// Refuses it before anything is counted: a key that is not good, a ban, an endpoint that was removed, a scope that is missing.
    pub fn admit(&self, removed: &RemovedEndpoints, now: UtcMillis) -> Result<(), Refusal> {
        let key = self.key.map_err(Refusal::InvalidApiKey)?;
        key.admit(now)?;
        removed.refuse(self.method.unwrap_or_default(), self.path.unwrap_or_default())?;
        match self.required_scope {
            Some(scope) => key.scopes.require_own(scope),
            None => key.scopes.require(scope_of(self.method)),
        }
    }
}

/// The scope that a request needs which names none.
fn scope_of(method: Option<&str>) -> &'static str {
    match method {
        Some("GET" | "HEAD") => "read",
        Some(_) | None => "write",
    }
}

/// Of several refusals the one that wins: the lowest on the ladder, of waits for windows the longest, otherwise the first.
pub fn first<'a>(refusals: impl IntoIterator<Item = &'a Refusal>) -> Option<&'a Refusal> {
    // The wait is the true one: before the longest is over, nothing gets through.
    refusals.into_iter().min_by_key(|refusal| (refusal.rung(), std::cmp::Reverse(refusal.retry_after())))
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
