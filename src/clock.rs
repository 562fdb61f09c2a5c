//! The one clock. Everything else takes the time as a parameter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::UtcMillis;

/// The time by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> UtcMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UtcMillis::new(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
