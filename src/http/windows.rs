//! Sliding windows as limit keys name them.

use crate::domain::bound::Quantity;
use crate::domain::decision::{WindowUse, max_of};
use crate::domain::effective::Effective;
use crate::domain::limit_key::{LimitKey, Rule};
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::limiter::{Held, Window};

/// Whose windows they are: those of an API key of an org. A key of another org has none here, as one that does not exist.
pub fn of<'a>(org: &'a OrgId, key_id: &'a RecordId) -> [&'a str; 2] {
    [org.as_str(), key_id.as_str()]
}

/// The window of a limit key of kind rate.
pub fn window(limit_key: &LimitKey, effective: Effective) -> Option<Window<'_>> {
    match &limit_key.rule {
        Rule::Rate { window_seconds, .. } => {
            Some(Window { name: limit_key.name.as_str(), seconds: *window_seconds, limit: max_of(effective.value) })
        }
        Rule::Count | Rule::Quota { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => None,
    }
}

/// What a window holds, as the rules take it. A wait is never shortened by rounding.
pub fn in_use(held: Held, now: UtcMillis) -> WindowUse {
    let wait = held.frees_in.map(|wait| i64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX));
    WindowUse { used: Quantity::saturating(held.used), frees_at: wait.map(|millis| now.plus_millis(millis)) }
}
