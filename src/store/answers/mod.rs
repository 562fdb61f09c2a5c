//! The record of answers in an embedded database: rows in the order of time, found through hashes in memory.
//!
//! An index over the hashes would be changed in another place by every row, which costs more than writing the row.

mod recent;
mod rows;
mod sweep;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::error::StoreError;
use super::once::{IdempotentCall, Recorded};
use super::seal::{seal, unseal};
use crate::domain::time::UtcMillis;
use recent::{Recent, hash_of};
use rows::Row;
pub use sweep::Swept;

/// How long an answer is kept, in milliseconds: 24 hours, as the contract says.
const KEPT_MILLIS: i64 = 86_400_000;

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

/// Answers that a transaction has written and that memory is to know once it is committed.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<(u64, i64)>);

/// The record.
pub(super) struct Answers {
    recent: Recent,
    /// The number of the next row.
    next: i64,
    /// The last row that sweeping has passed by; 0 when it begins anew.
    swept_to: i64,
}

impl Answers {
    /// Of a database that nobody writes to.
    pub(super) fn none() -> Self {
        Self { recent: Recent::default(), next: 1, swept_to: 0 }
    }

    /// Of a database as it stands.
    pub(super) async fn load(db: &impl ConnectionTrait) -> Result<Self, StoreError> {
        let mut answers = Self::none();
        answers.catch_up(db).await?;
        Ok(answers)
    }

    /// Learns of the rows that the database holds and memory does not know.
    pub(super) async fn catch_up(&mut self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        let rows = rows::tail(db, self.next).await?;
        self.follow(Kept(rows));
        Ok(())
    }

    /// Learns what a committed transaction has kept.
    pub(super) fn follow(&mut self, kept: Kept) {
        for (hash, seq) in kept.0 {
            self.recent.insert(hash, seq);
            self.next = self.next.max(seq.saturating_add(1));
        }
    }

    /// What is known of each of these calls, in their order.
    pub(super) async fn recall(
        &self,
        db: &DatabaseTransaction,
        calls: &[&IdempotentCall],
        now: UtcMillis,
    ) -> Result<Vec<Recall>, StoreError> {
        let suspects: Vec<Vec<i64>> =
            calls.iter().map(|call| self.recent.find(hash_of(&call.caller, &call.key_hash)).collect()).collect();
        let rows = rows::select(db, &suspects.concat()).await?;
        let recall = |(call, suspects): (&&IdempotentCall, &Vec<i64>)| {
            let own = rows.iter().filter(|row| suspects.contains(&row.seq) && is_of(row, call) && is_kept(row, now));
            own.max_by_key(|row| row.seq).map_or(Recall::New, |row| answer_to(row, call))
        };
        Ok(calls.iter().zip(&suspects).map(recall).collect())
    }

    /// Writes answers to calls that are new.
    pub(super) async fn keep(
        &self,
        db: &DatabaseTransaction,
        kept: &mut Kept,
        answers: &[(&IdempotentCall, &Recorded)],
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        let first = kept.0.last().map_or(self.next, |(_, seq)| seq.saturating_add(1));
        let mut added: BTreeMap<&str, i64> = BTreeMap::new();
        let mut rows = Vec::with_capacity(answers.len());
        for ((call, answer), seq) in answers.iter().zip(first..) {
            let count = added.entry(&call.caller).or_default();
            *count = count.saturating_add(1);
            rows.push(Row::new(seq, now.get(), call, answer, body_of(call, answer)?));
        }
        let hashes = answers.iter().map(|(call, _)| hash_of(&call.caller, &call.key_hash));
        let places = hashes.zip(first..).collect::<Vec<_>>();
        rows::insert(db, rows).await?;
        rows::count_up(db, &added, now.get()).await?;
        kept.0.extend(places);
        Ok(())
    }
}

/// Answers made at this moment or before are no longer kept.
fn end_of_keeping(now: UtcMillis) -> i64 {
    now.plus_millis(KEPT_MILLIS.saturating_neg()).get()
}

fn is_kept(row: &Row, now: UtcMillis) -> bool {
    row.created_at > end_of_keeping(now)
}

fn is_of(row: &Row, call: &IdempotentCall) -> bool {
    row.caller == call.caller && row.key_hash == call.key_hash
}

/// The answer to a call whose key is that of a kept answer.
fn answer_to(row: &Row, call: &IdempotentCall) -> Recall {
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
