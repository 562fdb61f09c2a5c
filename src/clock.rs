//! The one clock. Everything else takes the time as a parameter.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::UtcMillis;

/// The time by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> UtcMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UtcMillis::new(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// How long since the first time that this was asked, by the clock that nobody sets: what sliding windows are measured by.
pub fn elapsed() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
