//! Which cached records are too old: a fixed array of revisions, one for each group of records.
//!
//! A change to a record raises the fence of its group. A cached record that was read before its fence
//! was raised is read again. Two records may share a group: then one is read once too often, never once too seldom.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many groups: at 8 bytes each, 128 KiB, and a change of one of a million orgs makes some 60 be read again.
const GROUPS: usize = 16_384;

/// What a cached record can depend on.
#[derive(Clone, Copy, Hash)]
pub(super) enum Subject<'a> {
    /// An org, its ban, its overrides.
    Org(&'a str),
    /// A user's ban.
    User(&'a str),
    /// An API key.
    ApiKey(&'a str),
    /// That there is no such API key: any new one may be it.
    AnyApiKey,
}

/// The group of a subject: its place among the fences, in as few bytes as it takes, also when there is none. The first is never used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group(NonZero<u16>);

impl Group {
    pub(super) fn of(subject: Subject<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        let groups = u64::try_from(GROUPS).unwrap_or(1).max(1);
        let place = u16::try_from(hasher.finish().checked_rem(groups).unwrap_or(0)).unwrap_or(0);
        Self(NonZero::new(place).unwrap_or(NonZero::<u16>::MIN))
    }

    fn place(self) -> usize {
        usize::from(self.0.get())
    }
}

/// The revision of the last change in each group.
pub(super) struct Fences(Box<[AtomicU64]>);

impl Fences {
    pub(super) fn new() -> Self {
        Self((0..GROUPS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Makes everything of this subject that was read before `revision` too old.
    pub(super) fn raise(&self, subject: Subject<'_>, revision: u64) {
        if let Some(fence) = self.0.get(Group::of(subject).place()) {
            fence.fetch_max(revision, Ordering::AcqRel);
        }
    }

    /// Makes everything that was read before `revision` too old.
    pub(super) fn raise_all(&self, revision: u64) {
        self.0.iter().for_each(|fence| {
            fence.fetch_max(revision, Ordering::AcqRel);
        });
    }

    /// Whether a record that was read at `revision` still holds.
    pub(super) fn allow(&self, group: Group, revision: u64) -> bool {
        self.0.get(group.place()).is_none_or(|fence| fence.load(Ordering::Acquire) <= revision)
    }
}
