//! What is known of an org or of an API key, and what tells whether it still holds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::fences::{Fences, Group};
use crate::domain::effective::Override;
use crate::domain::names::TierName;
use crate::domain::schedule::{Schedule, Step};
use crate::domain::time::UtcMillis;
use crate::store::OrgFacts;

/// When something was read, and which groups it depends on.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) read_at: u64,
    pub(super) groups: [Option<Group>; 3],
}

impl Stamp {
    /// Whether nothing that the record depends on has changed since it was read.
    pub(super) fn holds(&self, fences: &Fences) -> bool {
        self.groups.iter().flatten().all(|group| fences.allow(*group, self.read_at))
    }
}

/// What is known of a key of a cache: its record, or that there is none.
#[derive(Clone)]
pub(super) struct Entry<T> {
    pub(super) record: Option<T>,
    pub(super) stamp: Stamp,
}

/// What a decision needs to know of an org, small enough to be kept a million times and to be copied instead of shared:
/// a count of who holds it would be what threads wait for.
#[derive(Clone)]
pub struct KnownOrg {
    /// Its tier, at the moment that it was asked for.
    pub tier: &'static TierName,
    /// Whether it is banned.
    pub banned: bool,
    /// Most orgs have neither overrides nor anything scheduled.
    more: Option<Arc<More>>,
}

/// What only some orgs have.
struct More {
    overrides: Vec<Override>,
    /// The tier that it was given.
    given: &'static TierName,
    /// The tiers that it is to have from a moment on.
    scheduled: Schedule<&'static TierName>,
}

impl KnownOrg {
    /// An org with nothing but a tier.
    pub fn of_tier(tier: &TierName) -> Self {
        Self { tier: kept(tier), banned: false, more: None }
    }

    /// The same as it is at `now`.
    #[must_use]
    pub fn at(mut self, now: UtcMillis) -> Self {
        if let Some(more) = self.more.as_ref().filter(|more| !more.scheduled.is_empty()) {
            self.tier = more.tier_at(now);
        }
        self
    }

    /// The tier that it has at a moment.
    pub fn tier_at(&self, now: UtcMillis) -> &'static TierName {
        self.more.as_ref().map_or(self.tier, |more| more.tier_at(now))
    }

    /// The tiers that it is to have from a moment on, also those that have begun.
    pub fn scheduled(&self) -> &[Step<&'static TierName>] {
        self.more.as_ref().map(|more| more.scheduled.steps()).unwrap_or_default()
    }

    /// Its overrides that had not expired when they were read, oldest first.
    pub fn overrides(&self) -> &[Override] {
        self.more.as_ref().map(|more| more.overrides.as_slice()).unwrap_or_default()
    }
}

impl From<OrgFacts> for KnownOrg {
    fn from(OrgFacts { tier, scheduled, banned, overrides }: OrgFacts) -> Self {
        let given = kept(&tier);
        let is_plain = overrides.is_empty() && scheduled.is_empty();
        let more = More { overrides, given, scheduled: scheduled.map(|tier| kept(&tier)) };
        Self { tier: given, banned, more: (!is_plain).then(|| Arc::new(more)) }
    }
}

impl More {
    fn tier_at(&self, now: UtcMillis) -> &'static TierName {
        self.scheduled.after(&self.given, now)
    }
}

/// The one copy of a tier's name, which lives as long as the process. There are as many as tiers that an org was ever seen in.
fn kept(tier: &TierName) -> &'static TierName {
    static KEPT: Mutex<Option<HashSet<&'static TierName>>> = Mutex::new(None);
    let mut names = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(name) = names.get(tier) {
        return name;
    }
    let name: &'static TierName = Box::leak(Box::new(tier.clone()));
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_s_name_is_kept_once() {
        let name = || TierName::parse("free").expect("a name");
        let (first, second) = (KnownOrg::of_tier(&name()), KnownOrg::of_tier(&name()));
        assert!(std::ptr::eq(first.tier, second.tier));
    }

    #[test]
    fn a_million_orgs_take_little_room() {
        assert!(size_of::<Entry<KnownOrg>>() <= 40, "{}", size_of::<Entry<KnownOrg>>());
    }
}
