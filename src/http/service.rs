//! What every handler has at hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use subtle::ConstantTimeEq;

use super::docs::OpenapiFile;
use crate::domain::api_key::ApiKey;
use crate::domain::names::{OrgId, TierName};
use crate::domain::time::UtcMillis;
use crate::identity::jwt::JwtVerifier;
use crate::snapshot::Directory;
use crate::store::{OrgFacts, Store, StoreError};
use crate::telemetry::Metrics;

/// The parts that a request is answered with.
pub struct Service {
    /// Management data.
    pub store: Store,
    /// The catalogue, orgs and API keys, in memory.
    pub directory: Directory,
    /// Verifies JWT bearers, when they are switched on.
    pub verifier: Option<JwtVerifier>,
    /// The tier of orgs that were never registered.
    pub default_tier: Option<TierName>,
    /// The admin key of the settings.
    pub bootstrap: Option<BootstrapKey>,
    /// Counters of what happens.
    pub metrics: Metrics,
    /// The OpenAPI document as it is served.
    pub openapi_file: OpenapiFile,
    /// Whether the process is about to stop.
    pub draining: AtomicBool,
}

/// An admin key that is in the settings, not in the database.
pub struct BootstrapKey {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// What it may do.
    pub key: Arc<ApiKey>,
}

impl Service {
    /// The admin key of the settings, if this is it. Compared in constant time.
    pub fn bootstrap_key(&self, hash: &[u8; 32]) -> Option<Arc<ApiKey>> {
        let bootstrap = self.bootstrap.as_ref()?;
        bool::from(bootstrap.hash.ct_eq(hash)).then(|| Arc::clone(&bootstrap.key))
    }

    /// What is known of an org. One that was never registered has the default tier, if there is one.
    pub async fn org(&self, org: &OrgId, now: UtcMillis) -> Result<Option<Arc<OrgFacts>>, StoreError> {
        let registered = self.directory.org(org, now).await?;
        Ok(registered.or_else(|| {
            let tier = self.default_tier.clone()?;
            Some(Arc::new(OrgFacts { tier, banned: false, overrides: Vec::new() }))
        }))
    }

    /// Whether the process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
