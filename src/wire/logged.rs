//! What the log has kept of orgs and of their overrides. Lines that are older than a field are read as well.

use deserr::Deserr;
use serde_json::Value as Json;

use super::schedule::{ScheduledTier, steps};
use super::{Issues, parse};
use crate::domain::effective::{Mode, Override};
use crate::domain::issue::Issue;
use crate::domain::names::{LimitKeyName, RecordId, TierName};
use crate::domain::plan::Plan;
use crate::domain::schedule::Schedule;
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;

/// An org, as far as a decision needs to know it.
#[derive(Debug, Deserr)]
#[deserr(error = Issues, rename_all = camelCase)]
struct OrgLine {
    tier: TierName,
    #[deserr(default)]
    scheduled: Option<Vec<ScheduledTier>>,
    #[deserr(default)]
    ban: Option<Json>,
}

/// The tier that a logged org was given, what was scheduled of it, and whether it was banned.
pub fn org(line: Json) -> Result<(TierName, Schedule<TierName>, bool), Vec<Issue>> {
    let OrgLine { tier, scheduled, ban } = parse(line)?;
    Ok((tier, Schedule::of(steps(scheduled))?, ban.is_some_and(|ban| !ban.is_null())))
}

#[derive(Debug, Deserr)]
#[deserr(error = Issues, rename_all = camelCase)]
struct OverrideLine {
    id: RecordId,
    limit_key: LimitKeyName,
    mode: Mode,
    value: WrittenValue,
    starts_at: UtcMillis,
    #[deserr(default)]
    expires_at: Option<UtcMillis>,
}

/// A logged override, of one of the plan's limit keys.
pub fn override_(line: Json, plan: &Plan) -> Result<Override, Vec<Issue>> {
    let OverrideLine { id, limit_key, mode, value, starts_at, expires_at } = parse(line)?;
    let known = plan.limit_keys.get(&limit_key);
    let known = known.ok_or_else(|| vec![Issue::new("limitKey", "there is no such limit key")])?;
    let value = value.for_kind_at(known.kind(), "value").map_err(|issue| vec![issue])?;
    Ok(Override { id, limit_key, mode, value, starts_at, expires_at })
}
