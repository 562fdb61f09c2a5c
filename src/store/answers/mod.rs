//! The record of answers in an embedded database: rows in the order of time, found through their hashes.
//!
//! An index over the hashes would be changed in another place by every row, which costs more than writing the row. So memory
//! holds the places of the newest rows, and those of the others are written in segments, each with a filter in memory that
//! says what is certainly not in it: a call that was never seen is known to be new without asking the database.

mod filter;
mod recall;
mod recent;
mod rows;
mod segment;
mod segment_rows;
mod settling;
pub(super) mod shared;
mod sweep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tokio::sync::Notify;

use super::error::StoreError;
use super::once::{IdempotentCall, Recorded};
use super::seal::seal;
use crate::domain::time::UtcMillis;
pub use recall::Recall;
use recent::{Recent, hash_of};
pub(super) use rows::Row;
use segment::Segment;
pub use sweep::Swept;

/// How long an answer is kept, in milliseconds: 24 hours, as the contract says.
const KEPT_MILLIS: i64 = 86_400_000;
/// How many rows are read at once when the database holds more than memory knows.
const ROWS_AT_ONCE: i64 = 10_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSizes {
    /// How many answers a caller may have. One more is refused: to forget an old one would be to do its request twice.
    pub per_caller: u64,
    /// How many answers memory holds the places of before they become a segment: some megabytes, and what a start reads.
    pub per_segment: usize,
}

impl Default for AnswerSizes {
    fn default() -> Self {
        Self { per_caller: 10_000_000, per_segment: 131_072 }
    }
}

/// What a transaction does to the record, for memory to follow once it is committed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    kept: Vec<Place>,
    settled: Option<Segment>,
    dropped: Option<i64>,
}

/// Where an answer is.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    seq: i64,
    /// When it was made, in milliseconds since the epoch.
    made: i64,
}

/// The record.
pub(super) struct Answers {
    sizes: AnswerSizes,
    recent: Recent,
    /// Those that are to become segments, the oldest first.
    full: VecDeque<Arc<Recent>>,
    /// Says that there is one more of them.
    is_full: Arc<Notify>,
    segments: Vec<Segment>,
    /// The number of the next row.
    next: i64,
    /// The id of the next segment.
    next_segment: i64,
    /// The last row that sweeping has passed by; 0 when it begins anew.
    swept_to: i64,
}

impl Answers {
    /// Of a database that nobody writes to.
    pub(super) fn none(sizes: AnswerSizes) -> Self {
        Self {
            sizes,
            recent: Recent::default(),
            full: VecDeque::new(),
            is_full: Arc::default(),
            segments: Vec::new(),
            next: 1,
            next_segment: 1,
            swept_to: 0,
        }
    }

    /// Of a database as it stands. It reads the filters and the rows that are in no segment, however many there are in all.
    pub(super) async fn load(db: &impl ConnectionTrait, sizes: AnswerSizes) -> Result<Self, StoreError> {
        let segments = segment_rows::all(db).await?;
        let mut answers = Self::none(sizes);
        for segment in &segments {
            answers.next = answers.next.max(segment.last_seq.saturating_add(1));
            answers.next_segment = answers.next_segment.max(segment.id.saturating_add(1));
        }
        answers.segments = segments;
        answers.catch_up(db).await?;
        Ok(answers)
    }

    /// Learns of the rows that the database holds and memory does not know.
    pub(super) async fn catch_up(&mut self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        loop {
            let kept = rows::places(db, self.next, ROWS_AT_ONCE).await?;
            if kept.is_empty() {
                return Ok(());
            }
            self.follow(Changes { kept, ..Changes::default() });
        }
    }

    /// Learns what a committed transaction has done.
    pub(super) fn follow(&mut self, changes: Changes) {
        for Place { hash, seq, made } in changes.kept {
            self.recent.insert(hash, seq, made);
            self.next = self.next.max(seq.saturating_add(1));
            if self.recent.len() >= self.sizes.per_segment {
                self.full.push_back(Arc::new(std::mem::take(&mut self.recent)));
                self.is_full.notify_one();
            }
        }
        if let Some(segment) = changes.settled
            && self.full.pop_front_if(|oldest| oldest.last_seq() == segment.last_seq).is_some()
        {
            self.next_segment = self.next_segment.max(segment.id.saturating_add(1));
            self.segments.push(segment);
        }
        self.segments.retain(|segment| Some(segment.id) != changes.dropped);
    }

    /// How many answers a caller may have.
    pub(super) const fn per_caller(&self) -> u64 {
        self.sizes.per_caller
    }

    /// Says that places are to become a segment.
    pub(super) fn fullness(&self) -> Arc<Notify> {
        Arc::clone(&self.is_full)
    }

    /// Writes answers to calls that are new.
    pub(super) async fn keep(
        &self,
        db: &DatabaseTransaction,
        changes: &mut Changes,
        answers: &[(&IdempotentCall, &Recorded)],
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        let made = now.get();
        let first = changes.kept.last().map_or(self.next, |place| place.seq.saturating_add(1));
        let mut added: BTreeMap<&str, i64> = BTreeMap::new();
        let mut rows = Vec::with_capacity(answers.len());
        changes.kept.reserve(answers.len());
        for ((call, answer), seq) in answers.iter().zip(first..) {
            let count = added.entry(&call.caller).or_default();
            *count = count.saturating_add(1);
            rows.push(Row::new(seq, made, call, answer, body_of(call, answer)?));
            changes.kept.push(Place { hash: hash_of(&call.caller, &call.key_hash), seq, made });
        }
        rows::insert(db, rows).await?;
        Ok(rows::count_up(db, &added, made).await?)
    }
}

/// Answers made at this moment or before are no longer kept.
pub(super) fn end_of_keeping(now: UtcMillis) -> i64 {
    now.plus_millis(KEPT_MILLIS.saturating_neg()).get()
}

/// The body as it is kept.
fn body_of(call: &IdempotentCall, answer: &Recorded) -> Result<Vec<u8>, StoreError> {
    let Some(key) = &call.seal else { return Ok(answer.body.clone()) };
    let sealed = seal(key, &binding(call), &answer.body);
    sealed.map_err(|_| StoreError::Internal("The answer could not be encrypted".to_owned()))
}

/// What a sealed body belongs to: moved to another row, it does not open.
fn binding(call: &IdempotentCall) -> Vec<u8> {
    [call.caller.as_bytes(), &call.key_hash, &call.fingerprint].concat()
}
