//! The issuer's public keys as last read, and when they are read again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::DecodingKey;
use tokio::sync::watch;

use super::jwks::{Found, KeySet};
use super::jwt::TokenRefused;
use super::key_source::{OpenSource, ReadError};
use super::token::Family;
use crate::domain::time::UtcMillis;

/// The pause between two readings, in milliseconds: made-up key names must not turn us into a load generator.
pub(super) const PAUSE_MS: i64 = 30_000;
/// The age in milliseconds at which keys are read again although none is missing, so that a key that the issuer
/// withdrew, or replaced under the same name, is not believed for ever.
pub(super) const AGE_MAX_MS: i64 = 300_000;
/// How long a caller waits for a reading that may bring its key; afterwards it takes what is there.
const WAIT: Duration = Duration::from_secs(2);

/// A reading under way. The sender is dropped when it ends, however it ends, so waiting for that cannot hang.
type Flight = watch::Receiver<()>;

/// The keys, behind one atomic pointer.
#[derive(Debug)]
pub(super) struct KeyCache {
    source: OpenSource,
    /// None until the first reading that succeeds.
    keys: ArcSwapOption<KeySet>,
    schedule: Mutex<Schedule>,
}

#[derive(Debug)]
struct Schedule {
    attempted: UtcMillis,
    flight: Option<Flight>,
}

impl Schedule {
    fn flight(&self) -> Option<Flight> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }

    /// Whether so much time has passed since the last attempt. A clock that was set back does not stop the readings.
    fn is_due(&self, pause_ms: i64, now: UtcMillis) -> bool {
        now < self.attempted || now >= self.attempted.plus_millis(pause_ms)
    }
}

impl KeyCache {
    /// Reads the keys for the first time. A file must be there and be a key set, or a sentence says why not;
    /// an address that cannot be reached is tried again when a token asks for it.
    pub(super) async fn start(source: OpenSource, now: UtcMillis) -> Result<Arc<Self>, String> {
        let keys = match (source.read().await, &source) {
            (Ok(keys), OpenSource::File(_) | OpenSource::Https(..)) => Some(Arc::new(keys)),
            (Err(error), OpenSource::File(_)) => return Err(format!("PLIMSOLL_JWT_JWKS cannot be used: {error}")),
            (Err(error), OpenSource::Https(..)) => {
                report(&error);
                None
            }
        };
        let schedule = Mutex::new(Schedule { attempted: now, flight: None });
        Ok(Arc::new(Self { source, keys: ArcSwapOption::new(keys), schedule }))
    }

    /// The key of this family and name. When it is missing the keys are read again, if they may be by now.
    pub(super) async fn find(
        self: &Arc<Self>,
        family: Family,
        kid: Option<&str>,
        now: UtcMillis,
    ) -> Result<Arc<DecodingKey>, TokenRefused> {
        let found = self.look_up(family, kid);
        if matches!(found, Some(Found::Key(_) | Found::Several)) {
            // Nobody waits for a reading that only renews what is there.
            self.read_again(AGE_MAX_MS, now);
            return key(found);
        }
        if let Some(flight) = self.read_again(PAUSE_MS, now) {
            landed(flight).await;
        }
        key(self.look_up(family, kid))
    }

    /// None when no keys were ever read.
    fn look_up(&self, family: Family, kid: Option<&str>) -> Option<Found> {
        self.keys.load().as_ref().map(|keys| keys.find(family, kid))
    }

    /// The reading under way, or a new one if the last attempt is so long ago, or none. It is a task of its own,
    /// so that a caller who hangs up does not end it for the others.
    fn read_again(self: &Arc<Self>, pause_ms: i64, now: UtcMillis) -> Option<Flight> {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = schedule.flight() {
            return Some(flight);
        }
        if !schedule.is_due(pause_ms, now) {
            return None;
        }
        let (under_way, flight) = watch::channel(());
        schedule.attempted = now;
        schedule.flight = Some(flight.clone());
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            cache.read().await;
            drop(under_way);
        });
        Some(flight)
    }

    /// Reads the keys. When that fails the old ones stay.
    async fn read(&self) {
        match self.source.read().await {
            Ok(keys) => self.keys.store(Some(Arc::new(keys))),
            Err(error) => report(&error),
        }
    }

    /// Waits for a reading under way, so that tests need not guess when it is over.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        let flight = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).flight();
        if let Some(flight) = flight {
            landed(flight).await;
        }
    }
}

async fn landed(mut flight: Flight) {
    // Both ends are fine: the reading is over, or it takes too long and what is there is used.
    let _ = tokio::time::timeout(WAIT, flight.changed()).await;
}

fn key(found: Option<Found>) -> Result<Arc<DecodingKey>, TokenRefused> {
    match found {
        Some(Found::Key(key)) => Ok(key),
        Some(Found::Nothing) => Err(TokenRefused::Invalid("no key of its algorithm has that name")),
        Some(Found::Several) => Err(TokenRefused::Invalid("several keys could be meant")),
        None => Err(TokenRefused::Unavailable),
    }
}

fn report(error: &ReadError) {
    tracing::warn!(%error, "The keys that JWT bearers are verified by could not be read (PLIMSOLL_JWT_JWKS)");
}
