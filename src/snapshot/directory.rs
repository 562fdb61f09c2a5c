//! The catalogue, orgs and API keys in memory.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache as QuickCache, DefaultLifecycle};
use tokio::sync::{Mutex, watch};

use super::catalogue::Catalogue;
use super::fences::{Fences, Group, Subject};
use super::known::{Entry, KnownOrg, Stamp};
use super::near;
use super::uses::Uses;
use crate::domain::api_key::{self, ApiKey, OwnRates};
use crate::domain::effective::Effective;
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::store::{Store, StoreError};

/// How many records a cache makes room for at its start.
const EXPECTED_RECORDS: u64 = 1_024;
/// How many uses of keys are written at once: some milliseconds of the right to write.
const USES_PER_STEP: usize = 1_000;
/// How often a record is read again when it changes while it is being read, before it is answered uncached.
const LOAD_ATTEMPTS: usize = 3;

/// How many records are kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct CacheSizes {
    /// Orgs, also those known not to exist.
    pub orgs: u64,
    /// API keys, also those known not to exist.
    pub api_keys: u64,
}

/// The catalogue as it is at the moment that it is taken.
pub type Current = Guard<Arc<Catalogue>>;

/// A bounded cache that only marks what is read: nothing that all threads write stands in the way of a question.
type Cache<K, V> = QuickCache<K, V, UnitWeighter, RandomState>;

fn cache_of<K: Eq + Hash, V: Clone>(capacity: u64) -> Cache<K, V> {
    // Room grows with what is kept, up to the capacity.
    let expected = usize::try_from(capacity.min(EXPECTED_RECORDS)).unwrap_or(usize::MAX);
    QuickCache::with(expected, capacity, UnitWeighter, RandomState::default(), DefaultLifecycle::default())
}

/// What questions are answered from. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) catalogue: ArcSwap<Catalogue>,
    pub(super) fences: Fences,
    revision: AtomicU64,
    /// When a shared database last had nothing that is not known here.
    current: std::sync::Mutex<Instant>,
    revisions: watch::Sender<u64>,
    orgs: Cache<OrgId, Entry<KnownOrg>>,
    api_keys: Cache<[u8; 32], Entry<Arc<ApiKey>>>,
    rates: Cache<RecordId, Entry<Arc<KeyRates>>>,
    uses: Uses,
    /// Held while uses are written down, so that whoever stops waits for who was at it.
    writing: Mutex<()>,
    /// Tells it from the other directories of the process.
    number: u64,
}

/// What a question about an API key's window needs to know of the key.
struct KeyRates {
    org: Option<OrgId>,
    rates: OwnRates,
}

/// How many directories the process has opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl Directory {
    /// Reads the catalogue, and follows what changes from here on.
    pub async fn open(store: Store, sizes: CacheSizes) -> Result<Self, StoreError> {
        let (catalogue, revision) = Catalogue::read(&store).await?;
        let inner = Inner {
            store,
            catalogue: ArcSwap::from_pointee(catalogue),
            fences: Fences::new(),
            revision: AtomicU64::new(revision),
            current: std::sync::Mutex::new(Instant::now()),
            revisions: watch::Sender::new(revision),
            orgs: cache_of(sizes.orgs),
            api_keys: cache_of(sizes.api_keys),
            rates: cache_of(sizes.api_keys),
            uses: Uses::new(),
            writing: Mutex::new(()),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
        };
        let directory = Self { inner: Arc::new(inner) };
        super::follow::start(&directory);
        Ok(directory)
    }

    /// The catalogue as it is now.
    ///
    /// A guard, not a shared pointer: a count that all threads change is what they would wait for.
    pub fn catalogue(&self) -> Current {
        self.inner.catalogue.load()
    }

    /// The revision up to which every change is known here.
    pub fn revision(&self) -> u64 {
        self.inner.revision.load(Ordering::Acquire)
    }

    /// For how long it has not been known whether there is a newer revision; nothing for a database that nobody else changes.
    pub fn age(&self) -> Option<Duration> {
        let seen = self.inner.store.seen()?;
        let mut current = self.inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.revision() >= seen.revision {
            *current = seen.at.max(*current);
        }
        Some(current.elapsed())
    }

    /// Waits until every change up to `revision` is known here.
    pub async fn reaches(&self, revision: u64) {
        let mut revisions = self.inner.revisions.subscribe();
        // The sender lives as long as this directory, so waiting ends only when the revision is there.
        drop(revisions.wait_for(|known| *known >= revision).await);
    }

    /// What is known of an org, with the tier that it has at `now`.
    pub async fn org(&self, org: &OrgId, now: UtcMillis) -> Result<Option<KnownOrg>, StoreError> {
        let load = || async {
            let facts = self.inner.store.org_facts(org, now).await?;
            Ok((facts.map(KnownOrg::from), groups_of_org(org)))
        };
        Ok(self.cached(&self.inner.orgs, org, load).await?.record.map(|org| org.at(now)))
    }

    /// Reads those of the orgs that are not in memory yet, all together, for questions that come right after it.
    pub async fn read_orgs(&self, orgs: &HashSet<&OrgId>, now: UtcMillis) -> Result<(), StoreError> {
        let cache = &self.inner.orgs;
        let is_known = |org: &OrgId| cache.peek(org).is_some_and(|entry| entry.stamp.holds(&self.inner.fences));
        let missing: Vec<&OrgId> = orgs.iter().copied().filter(|org| !is_known(org)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let read_at = self.revision();
        let mut facts = self.inner.store.facts_of_orgs(&missing, now).await?;
        for org in missing {
            let stamp = Stamp { read_at, groups: groups_of_org(org) };
            cache.insert(org.clone(), Entry { record: facts.remove(org).map(KnownOrg::from), stamp });
        }
        Ok(())
    }

    /// The API key of a caller, whose secret has this hash: callers are few, so that each thread has theirs at hand.
    pub async fn caller_key(&self, hash: [u8; 32], now: UtcMillis) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let directory = self.inner.number;
        if let Some((key, stamp)) = near::get(directory, &hash)
            && stamp.holds(&self.inner.fences)
        {
            return Ok(Some(key));
        }
        let entry = self.key_entry(&hash, now).await?;
        if let Entry { record: Some(key), stamp } = &entry {
            near::keep(directory, &hash, key, *stamp);
        }
        Ok(entry.record)
    }

    /// The API key whose secret has this hash.
    pub async fn api_key(&self, hash: [u8; 32], now: UtcMillis) -> Result<Option<Arc<ApiKey>>, StoreError> {
        Ok(self.key_entry(&hash, now).await?.record)
    }

    async fn key_entry(&self, hash: &[u8; 32], now: UtcMillis) -> Result<Entry<Arc<ApiKey>>, StoreError> {
        let load = || async {
            let key = self.inner.store.api_key_by_hash(hash, now).await?;
            let groups = key.as_ref().map_or([Some(Group::of(Subject::AnyApiKey)), None, None], groups_of);
            Ok((key.map(Arc::new), groups))
        };
        self.cached(&self.inner.api_keys, hash, load).await
    }

    /// The value of a limit key of kind rate that an API key has in the place of its org's, if it is a key of this org or of none.
    pub async fn own_rate(
        &self,
        org: &OrgId,
        id: &RecordId,
        limit_key: &LimitKeyName,
    ) -> Result<Option<Effective>, StoreError> {
        let load = || async {
            let found = self.inner.store.rates_of_key(id).await?;
            let groups = [Some(Group::of(Subject::ApiKey(id.as_str()))), None, None];
            Ok((found.map(|(org, rates)| Arc::new(KeyRates { org, rates })), groups))
        };
        let found = self.cached(&self.inner.rates, id, load).await?.record;
        let of_org = found.filter(|known| known.org.as_ref().is_none_or(|own| own == org));
        Ok(of_org.and_then(|known| api_key::own_rate(&known.rates, limit_key)))
    }

    /// Notes that a key that was looked up here is used, also by whom it is asked about. It costs next to nothing.
    pub fn note_use(&self, key: &ApiKey, now: UtcMillis) {
        self.inner.uses.note(&key.id, now);
    }

    /// Writes down when keys were last used, in steps. Others have their turn between two steps.
    ///
    /// What cannot be written is kept, and written by the next call.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let _turn = self.inner.writing.lock().await;
        let mut rest = self.inner.uses.take();
        while !rest.is_empty() {
            let step = rest.split_off(rest.len().saturating_sub(USES_PER_STEP));
            if let Err(error) = self.inner.store.write_uses(step.clone()).await {
                self.inner.uses.put_back(rest.into_iter().chain(step));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn cached<K, T, F>(&self, cache: &Cache<K, Entry<T>>, key: &K, load: F) -> Result<Entry<T>, StoreError>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        T: Clone + Send + Sync + 'static,
        F: AsyncFn() -> Result<(Option<T>, [Option<Group>; 3]), StoreError>,
    {
        if let Some(entry) = cache.get(key) {
            if entry.stamp.holds(&self.inner.fences) {
                return Ok(entry);
            }
            cache.remove(key);
        }
        // Boxed, so that the future of a question that is answered from memory stays small.
        Box::pin(self.load(cache, key, load)).await
    }

    async fn load<K, T, F>(&self, cache: &Cache<K, Entry<T>>, key: &K, load: F) -> Result<Entry<T>, StoreError>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        T: Clone + Send + Sync + 'static,
        F: AsyncFn() -> Result<(Option<T>, [Option<Group>; 3]), StoreError>,
    {
        for _ in 0..LOAD_ATTEMPTS {
            let entry = cache.get_or_insert_async(key, self.read(&load)).await?;
            if entry.stamp.holds(&self.inner.fences) {
                return Ok(entry);
            }
            cache.remove(key);
        }
        self.read(&load).await
    }

    /// The revision is taken before the record is read, so the record is at least as new as it says.
    async fn read<T, F>(&self, load: &F) -> Result<Entry<T>, StoreError>
    where
        F: AsyncFn() -> Result<(Option<T>, [Option<Group>; 3]), StoreError>,
    {
        let read_at = self.revision();
        let (record, groups) = load().await?;
        Ok(Entry { record, stamp: Stamp { read_at, groups } })
    }

    /// Says that every change up to `revision` is known here.
    pub(super) fn advance(&self, revision: u64) {
        self.inner.revision.store(revision, Ordering::Release);
        self.inner.revisions.send_replace(revision);
    }
}

fn groups_of_org(org: &OrgId) -> [Option<Group>; 3] {
    [Some(Group::of(Subject::Org(org.as_str()))), None, None]
}

fn groups_of(key: &ApiKey) -> [Option<Group>; 3] {
    [
        Some(Group::of(Subject::ApiKey(key.id.as_str()))),
        key.org.as_ref().map(|org| Group::of(Subject::Org(org.as_str()))),
        key.user.as_ref().map(|user| Group::of(Subject::User(user.as_str()))),
    ]
}
