//! What Plimsoll guards itself against: sources that fail to authenticate again and again, and sources that keep the admin API
//! busy. Each is counted in windows of its own, so that strangers use up neither the customers' memory nor the admins'.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;

use super::error::ApiError;
use super::service::{App, Service};
use super::source::{Source, TrustedProxies};
use crate::domain::bound::{Bound, Quantity};
use crate::domain::refusal::{Presented, Refusal};
use crate::limiter::{Clock, Held, Limiter, Passage, Window};
use crate::telemetry::Guarded;

/// The length of every window.
const WINDOW_SECONDS: u64 = 60;
/// The memory that the windows of each kind may take: some 250,000 sources with one request each, or 2,000 with a thousand.
const MEMORY_BYTES: u64 = 16 * 1_048_576;
/// The window that says that a source was spoken of in the log.
const SAID: Window<'static> = Window { name: "said", seconds: WINDOW_SECONDS, limit: Bound::Limited(Quantity::ONE) };

/// How much a source may do in any 60 seconds; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failed authentications.
    pub failed_authentications: u64,
    /// Requests to the admin API.
    pub admin_requests: u64,
}

/// The limits that guard Plimsoll itself.
pub struct Guard {
    proxies: TrustedProxies,
    failures: Counted,
    admin: Counted,
}

/// One kind of request, counted per source.
struct Counted {
    what: Guarded,
    limit: Bound,
    limiter: Limiter,
    clock: Clock,
    /// When the log said last that the memory is used up.
    said_full: Mutex<Option<Duration>>,
}

impl Guard {
    /// Nobody has been counted yet.
    pub fn new(proxies: TrustedProxies, limits: Limits, clock: &Clock) -> Self {
        let Limits { failed_authentications, admin_requests } = limits;
        let counted = |what, limit| Counted::new(what, limit, MEMORY_BYTES, clock.clone());
        let failures = counted(Guarded::FailedAuthentication, failed_authentications);
        Self { proxies, failures, admin: counted(Guarded::AdminApi, admin_requests) }
    }

    /// Forgets windows that have ended, and gives back their memory.
    pub fn sweep(&self) {
        self.failures.limiter.sweep();
        self.admin.limiter.sweep();
    }
}

/// What to answer to a request that is refused: if a credential was presented that does not hold, and its source has
/// presented too many of them, a 429 in place of the 401. What does hold is never refused for it.
pub fn instead_of(refusal: Refusal, service: &Service, request: &HttpRequest) -> Refusal {
    if !matches!(refusal, Refusal::InvalidApiKey(Presented::Something) | Refusal::InvalidToken) {
        return refusal;
    }
    count(&service.guard.failures, service, request).err().unwrap_or(refusal)
}

/// The same, of any error.
pub fn instead_of_error(error: ApiError, service: &Service, request: &HttpRequest) -> ApiError {
    if let ApiError::Refused(refusal) = error { instead_of(refusal, service, request).into() } else { error }
}

/// Counts a request to the admin API that has the scope for it, and refuses it if its source has sent too many.
pub fn admit_admin(request: &HttpRequest) -> Result<(), Refusal> {
    request.app_data::<App>().map_or(Ok(()), |service| count(&service.guard.admin, service, request))
}

fn count(counted: &Counted, service: &Service, request: &HttpRequest) -> Result<(), Refusal> {
    // Without a limit nothing is worth finding out where it comes from.
    if counted.limit == Bound::Unlimited {
        return Ok(());
    }
    let counting = counted.count(Source::of(request, &service.guard.proxies));
    counting.inspect_err(|_| service.metrics.limited(counted.what))
}

impl Counted {
    fn new(what: Guarded, limit: u64, bytes: u64, clock: Clock) -> Self {
        let limit = if limit == 0 { Bound::Unlimited } else { Bound::Limited(Quantity::saturating(limit)) };
        Self { what, limit, limiter: Limiter::new(bytes, clock.clone()), clock, said_full: Mutex::new(None) }
    }

    /// Counts one more of this source, unless it is one too many. What there is no memory to count is one too many.
    fn count(&self, source: Source) -> Result<(), Refusal> {
        let subject = self.limiter.subject(&[&source.to_string()]);
        let window = Window { name: self.what.as_str(), seconds: WINDOW_SECONDS, limit: self.limit };
        let wait = match self.limiter.pass(subject, &[window]) {
            Passage::Counted(_) => return Ok(()),
            Passage::Refused(held) => {
                if matches!(self.limiter.pass(subject, &[SAID]), Passage::Counted(_)) {
                    tracing::warn!(%source, bucket = self.what.as_str(), "a source has reached its limit and is answered 429");
                }
                held.first().and_then(|Held { frees_in, .. }| *frees_in)
            }
            Passage::Full(wait) => {
                self.say_that_it_is_full();
                Some(wait)
            }
        };
        let seconds = wait.map_or(WINDOW_SECONDS, whole_seconds);
        Err(Refusal::RateExceeded { bucket: self.what.as_str().to_owned(), retry_after: seconds })
    }

    fn say_that_it_is_full(&self) {
        let now = (self.clock)();
        let mut said = self.said_full.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| now.saturating_sub(said).as_secs() >= WINDOW_SECONDS) {
            *said = Some(now);
            tracing::warn!(bucket = self.what.as_str(), "there is no memory to count more sources: new ones are answered 429");
        }
    }
}

/// A wait in seconds, never shortened by rounding.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
