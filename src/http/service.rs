//! What every handler has at hand.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use subtle::ConstantTimeEq;

use super::document::{Describe, Description};
use super::error::ApiError;
use super::event_stream::Streams;
use super::guard::Guard;
use super::receipts::Receipts;
use crate::domain::api_key::ApiKey;
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;
use crate::identity::jwt::JwtVerifier;
use crate::ledger::Ledger;
use crate::limiter::Windows;
use crate::snapshot::{Directory, KnownOrg};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::webhooks::{Allowed, Vault};

/// The parts that a request is answered with.
pub struct Service {
    /// Management data.
    pub store: Store,
    /// Usage and reservations.
    pub ledger: Ledger,
    /// Sliding windows.
    pub limiter: Windows,
    /// What Plimsoll guards itself with.
    pub guard: Guard,
    /// The catalogue, orgs and API keys, in memory.
    pub directory: Directory,
    /// Verifies JWT bearers, when they are switched on.
    pub verifier: Option<JwtVerifier>,
    /// What orgs are that were never registered: of the default tier, if there is one.
    pub unregistered: Option<KnownOrg>,
    /// The admin key of the settings.
    pub bootstrap: Option<BootstrapKey>,
    /// Counters of what happens.
    pub metrics: Metrics,
    /// Receipts of refused takings.
    pub receipts: Receipts,
    /// Whether the older `X-RateLimit-*` headers are sent too.
    pub older_rate_headers: bool,
    /// Who follows the feed of events.
    pub streams: Streams,
    /// The secrets that webhooks are signed with.
    pub vault: Arc<Vault>,
    /// Whom webhooks may reach beside the public internet.
    pub webhooks_allowed: Allowed,
    /// Whether the process is about to stop.
    pub draining: AtomicBool,
}

/// The service, at every handler's hand. It lives as long as the process, so nobody counts who holds it.
#[derive(Clone, Copy)]
pub struct App(&'static Service);

impl App {
    /// Keeps the service until the process ends.
    pub fn keep(service: Service) -> Self {
        Self(Box::leak(Box::new(service)))
    }
}

impl Deref for App {
    type Target = Service;

    fn deref(&self) -> &Service {
        self.0
    }
}

impl FromRequest for App {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.app_data::<Self>().copied().ok_or(ApiError::Internal))
    }
}

impl Describe for App {
    fn describe(_: &mut Description<'_>) {}
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
    pub async fn org(&self, org: &OrgId, now: UtcMillis) -> Result<Option<KnownOrg>, StoreError> {
        let registered = self.directory.org(org, now).await?;
        Ok(registered.or_else(|| self.unregistered.clone()))
    }

    /// Whether the process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
