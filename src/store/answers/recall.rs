//! What is known of a call that may have come before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::DatabaseTransaction;

use super::super::error::StoreError;
use super::super::once::{IdempotentCall, Recorded};
use super::super::seal::unseal;
use super::recent::hash_of;
use super::rows::{self, Row};
use super::{Answers, KEPT_MILLIS, binding, end_of_keeping, segment, segment_rows};
use crate::domain::time::UtcMillis;

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It was never seen, or longer ago than 24 hours.
    New,
    /// It was answered: this is the answer.
    Answered(Recorded),
    /// It is not to be done: [`StoreError::IdempotencyKeyReused`], or [`StoreError::TooManyAnswers`].
    Refused(StoreError),
}

/// A call, by its place in the list, and the number of a row that has its hash.
type Suspect = (usize, i64);

impl Answers {
    /// What is known of each of these calls, in their order.
    pub(in super::super) async fn recall(
        &self,
        db: &DatabaseTransaction,
        calls: &[&IdempotentCall],
        now: UtcMillis,
    ) -> Result<Vec<Recall>, StoreError> {
        let mut recalls = vec![Recall::New; calls.len()];
        let mut suspects = self.suspects(db, calls, &mut recalls).await?;
        if !suspects.is_empty() {
            // Of several rows of one call the last is looked at last, and stays.
            suspects.sort_unstable_by_key(|(_, seq)| *seq);
            let seqs: BTreeSet<i64> = suspects.iter().map(|(_, seq)| *seq).collect();
            let rows = rows::select(db, &seqs).await?;
            let rows: HashMap<i64, &Row> = rows.iter().map(|row| (row.seq, row)).collect();
            for (at, seq) in suspects {
                if let (Some(call), Some(row), Some(recall)) = (calls.get(at), rows.get(&seq), recalls.get_mut(at))
                    && is_of(row, call)
                    && row.created_at > end_of_keeping(now)
                {
                    *recall = answer_to(row, call);
                }
            }
        }
        let counts = rows::counts(db, &new_callers(calls, &recalls)).await?;
        if refuse_too_many(self.sizes.per_caller, &counts, calls, &mut recalls) {
            tell_when(&counts, rows::oldest(db).await?, calls, &mut recalls, now);
        }
        Ok(recalls)
    }

    /// The rows that have the hash of a call. Most calls have none, and then the database is not asked.
    async fn suspects(
        &self,
        db: &DatabaseTransaction,
        calls: &[&IdempotentCall],
        recalls: &mut [Recall],
    ) -> Result<Vec<Suspect>, StoreError> {
        let mut suspects = Vec::new();
        let mut in_parts = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let hash = hash_of(&call.caller, &call.key_hash);
            let in_memory = self.full.iter().map(AsRef::as_ref).chain([&self.recent]);
            suspects.extend(in_memory.flat_map(|recent| recent.find(hash)).map(|seq| (at, seq)));
            in_parts.extend(self.segments.iter().filter_map(|segment| segment.part_with(hash)).map(|part| (at, hash, part)));
        }
        let needed: BTreeSet<i64> = in_parts.iter().map(|(_, _, part)| *part).collect();
        let parts = segment_rows::parts(db, &needed).await?;
        for (at, hash, part) in in_parts {
            match (parts.get(&part), recalls.get_mut(at)) {
                (Some(places), _) => suspects.extend(segment::find(places, hash).map(|seq| (at, seq))),
                // It may well have been answered, so it must not be done.
                (None, Some(recall)) => *recall = Recall::Refused(StoreError::Internal(format!("Part {part} is missing"))),
                (None, None) => {}
            }
        }
        Ok(suspects)
    }
}

/// How many answers callers have, and since when they have had any.
pub(super) type Counts = HashMap<String, (u64, i64)>;

/// Whose calls are new.
pub(super) fn new_callers<'a>(calls: &[&'a IdempotentCall], recalls: &[Recall]) -> BTreeSet<&'a str> {
    let new = calls.iter().zip(recalls).filter(|(_, recall)| **recall == Recall::New);
    new.map(|(call, _)| call.caller.as_str()).collect()
}

/// Of the calls that are new, refuses those that their callers have no room for, and says whether there are any.
pub(super) fn refuse_too_many(per_caller: u64, counts: &Counts, calls: &[&IdempotentCall], recalls: &mut [Recall]) -> bool {
    let mut added: BTreeMap<&str, u64> = BTreeMap::new();
    let mut is_any = false;
    for (call, recall) in calls.iter().zip(recalls).filter(|(_, recall)| **recall == Recall::New) {
        let added = added.entry(&call.caller).or_default();
        let records = counts.get(&call.caller).map_or(0, |(records, _)| *records);
        if records.saturating_add(*added) < per_caller {
            *added = added.saturating_add(1);
        } else {
            *recall = Recall::Refused(StoreError::TooManyAnswers { retry_after: 1 });
            is_any = true;
        }
    }
    is_any
}

/// Tells those that were refused when there is room: no answer to a caller is older than its first or than the oldest of all.
pub(super) fn tell_when(
    counts: &Counts,
    oldest: Option<i64>,
    calls: &[&IdempotentCall],
    recalls: &mut [Recall],
    now: UtcMillis,
) {
    for (call, recall) in calls.iter().zip(recalls) {
        if let Recall::Refused(StoreError::TooManyAnswers { retry_after }) = recall {
            let since = counts.get(&call.caller).map_or(now.get(), |(_, since)| *since);
            let gone = UtcMillis::new(oldest.unwrap_or(since).max(since)).plus_millis(KEPT_MILLIS);
            *retry_after = now.seconds_until(gone);
        }
    }
}

fn is_of(row: &Row, call: &IdempotentCall) -> bool {
    row.caller == call.caller && row.key_hash == call.key_hash
}

/// The answer to a call whose key is that of a kept answer.
pub(super) fn answer_to(row: &Row, call: &IdempotentCall) -> Recall {
    if row.fingerprint != call.fingerprint {
        return Recall::Refused(StoreError::IdempotencyKeyReused);
    }
    let body = match (row.is_sealed, &call.seal) {
        (false, _) => Some(row.body.clone()),
        // Whoever cannot derive the key asks with another credential: to them, it is another request.
        (true, Some(key)) => unseal(key, &binding(call), &row.body).ok(),
        (true, None) => None,
    };
    let Some(body) = body else { return Recall::Refused(StoreError::IdempotencyKeyReused) };
    match u16::try_from(row.status) {
        Ok(status) => Recall::Answered(Recorded { status, body, headers: row.headers() }),
        Err(_) => Recall::Refused(StoreError::Internal("A kept answer has no status".to_owned())),
    }
}
