//! Counters in memory: what was committed last, for questions and for the writer's next batch.

use std::hash::Hash;
use std::time::Instant;

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::domain::counter::Counter;
use crate::domain::limit_key::{LimitKey, Rule};
use crate::domain::names::{LimitKeyName, OrgId, ResourceId};
use crate::domain::time::UtcMillis;
use crate::domain::window::Span;

/// How many counters room is made for at the start; it grows with what is kept.
const EXPECTED_COUNTERS: u64 = 1_024;
/// Holds that take about the room of one counter.
const HOLDS_PER_COUNTER: usize = 8;

/// Which counter: of an org, for a limit key, for a resource or the org as a whole, in a calendar window or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// Whose.
    pub org: OrgId,
    /// Of what.
    pub limit_key: LimitKeyName,
    /// For which resource.
    pub resource: Option<ResourceId>,
    /// The first moment of its window, in milliseconds since the epoch; 0 without one.
    pub window_start: i64,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, Hash)]
pub struct CounterRef<'a> {
    org: &'a OrgId,
    limit_key: &'a LimitKeyName,
    resource: Option<&'a ResourceId>,
    window_start: i64,
}

/// The calendar window that a limit key counts in at `now`.
pub fn span_of(limit_key: &LimitKey, now: UtcMillis) -> Option<Span> {
    match &limit_key.rule {
        Rule::Quota { window, .. } => Some(window.span(now)),
        Rule::Count | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => None,
    }
}

impl<'a> CounterRef<'a> {
    /// The counter of a limit key that counts at `now`.
    pub fn new(org: &'a OrgId, limit_key: &'a LimitKey, resource: Option<&'a ResourceId>, now: UtcMillis) -> Self {
        let window_start = span_of(limit_key, now).map_or(0, |span| span.start.get());
        Self { org, limit_key: &limit_key.name, resource, window_start }
    }

    /// An owned copy.
    pub fn to_owned(self) -> CounterKey {
        let Self { org, limit_key, resource, window_start } = self;
        CounterKey { org: org.clone(), limit_key: limit_key.clone(), resource: resource.cloned(), window_start }
    }
}

impl CounterKey {
    /// Borrowed.
    pub const fn as_ref(&self) -> CounterRef<'_> {
        CounterRef {
            org: &self.org,
            limit_key: &self.limit_key,
            resource: self.resource.as_ref(),
            window_start: self.window_start,
        }
    }
}

impl Equivalent<CounterKey> for CounterRef<'_> {
    fn equivalent(&self, key: &CounterKey) -> bool {
        self.window_start == key.window_start
            && *self.org == key.org
            && *self.limit_key == key.limit_key
            && self.resource == key.resource.as_ref()
    }
}

#[derive(Clone)]
struct Weights;

impl Weighter<CounterKey, Known> for Weights {
    fn weight(&self, _: &CounterKey, known: &Known) -> u64 {
        let holds = known.counter.holds().len().div_ceil(HOLDS_PER_COUNTER);
        u64::try_from(holds).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// A counter as it was known to be.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) counter: Counter,
    /// The version of its row in a shared database; none without a row.
    pub(super) version: Option<i64>,
    /// The end that this process has written into its row in an embedded database; none when that is not known, and without a window.
    pub(super) window_end: Option<i64>,
    /// When it was so, in the process's own time.
    pub(super) at: Instant,
}

/// A bounded number of counters. In an embedded database only the writer puts them in, so none is ever older than what was committed.
pub(super) struct Counters(Cache<CounterKey, Known, Weights, RandomState>);

impl Counters {
    pub(super) fn new(capacity: u64) -> Self {
        let expected = usize::try_from(capacity.min(EXPECTED_COUNTERS)).unwrap_or(usize::MAX);
        Self(Cache::with(expected, capacity, Weights, RandomState::default(), DefaultLifecycle::default()))
    }

    pub(super) fn get(&self, key: &CounterRef<'_>) -> Option<Known> {
        self.0.get(key)
    }

    pub(super) fn put(&self, key: CounterKey, known: Known) {
        self.0.insert(key, known);
    }

    /// Puts in what was read, unless something younger is there.
    pub(super) fn put_read(&self, key: CounterKey, known: Known) {
        if self.0.peek(&key.as_ref()).is_none_or(|there| there.at < known.at) {
            self.0.insert(key, known);
        }
    }

    pub(super) fn remove(&self, key: &CounterKey) {
        self.0.remove(&key.as_ref());
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    /// Drops every counter of these orgs.
    pub(super) fn forget(&self, orgs: &[OrgId]) {
        if !orgs.is_empty() {
            self.0.retain(|key, _| !orgs.contains(&key.org));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_borrowed_key_finds_what_an_owned_one_put_in() {
        let org = OrgId::parse("acme").expect("an org");
        let name = LimitKeyName::parse("max_creators").expect("a name");
        let resource = ResourceId::parse("project-1").expect("an id");
        for resource in [None, Some(resource)] {
            let key = CounterKey { org: org.clone(), limit_key: name.clone(), resource, window_start: 7 };
            let hasher = RandomState::default();
            assert_eq!(hasher.hash_one(&key), hasher.hash_one(key.as_ref()));
            assert!(key.as_ref().equivalent(&key));
            let other = CounterKey { window_start: 8, ..key.clone() };
            assert!(!key.as_ref().equivalent(&other));
        }
    }
}
