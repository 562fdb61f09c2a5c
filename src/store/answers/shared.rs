//! The record of answers that several processes share: rows that the database finds by their caller and key, and of which it
//! allows one each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::super::error::StoreError;
use super::super::once::{IdempotentCall, Recorded};
use super::recall::{Counts, Recall, answer_to, new_callers, refuse_too_many, tell_when};
use super::rows::Row;
use super::{Swept, body_of, end_of_keeping};
use crate::domain::time::UtcMillis;

const SELECT: &str = "SELECT 0::int8, a.created_at, a.caller, a.key_hash, a.fingerprint, a.status, a.is_sealed, a.headers, a.body \
    FROM unnest($1::text[], $2::bytea[]) AS wanted (caller, key_hash) JOIN answer a ON a.caller = wanted.caller \
    AND a.key_hash = wanted.key_hash WHERE a.created_at > $3";
const COUNTS: &str = "SELECT caller, records, since FROM answer_count WHERE caller = ANY($1::text[])";
const OLDEST: &str = "SELECT min(created_at) FROM answer";
/// One that is kept no longer makes room. One that is still kept was given by another process in this moment.
const INSERT: &str = "INSERT INTO answer (caller, key_hash, fingerprint, status, is_sealed, headers, body, created_at) \
    SELECT caller, key_hash, fingerprint, status, is_sealed, nullif(headers, ''), body, created_at FROM unnest($1::text[], \
    $2::bytea[], $3::bytea[], $4::int4[], $5::bool[], $6::text[], $7::bytea[], $8::bigint[]) \
    AS kept (caller, key_hash, fingerprint, status, is_sealed, headers, body, created_at) \
    ON CONFLICT (caller, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status, \
    is_sealed = excluded.is_sealed, headers = excluded.headers, body = excluded.body, created_at = excluded.created_at \
    WHERE answer.created_at <= $9";
/// In the order of their names, so that two processes never wait for each other.
const COUNT_UP: &str = "INSERT INTO answer_count (caller, records, since) SELECT caller, records, $3 \
    FROM unnest($1::text[], $2::bigint[]) AS added (caller, records) \
    ON CONFLICT (caller) DO UPDATE SET records = answer_count.records + excluded.records";

/// What another process sweeps at the same time is left to it.
const DELETE: &str = "DELETE FROM answer WHERE (caller, key_hash) IN (SELECT caller, key_hash FROM answer WHERE created_at <= $1 \
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING caller";
const LOCK_COUNTS: &str = "SELECT caller FROM answer_count WHERE caller = ANY($1::text[]) ORDER BY caller FOR UPDATE";
const COUNT_DOWN: &str = "UPDATE answer_count SET records = greatest(answer_count.records - gone.records, 0) \
    FROM unnest($1::text[], $2::bigint[]) AS gone (caller, records) WHERE answer_count.caller = gone.caller";
const FORGET_CALLERS: &str = "DELETE FROM answer_count WHERE caller = ANY($1::text[]) AND records = 0";

fn statement(text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

/// What is known of each of these calls, in their order, when callers may have so many answers.
pub(in super::super) async fn recall(
    db: &impl ConnectionTrait,
    calls: &[&IdempotentCall],
    now: UtcMillis,
    per_caller: u64,
) -> Result<Vec<Recall>, StoreError> {
    let callers: Vec<String> = calls.iter().map(|call| call.caller.clone()).collect();
    let hashes: Vec<Vec<u8>> = calls.iter().map(|call| call.key_hash.to_vec()).collect();
    let values: [Value; 3] = [callers.into(), hashes.into(), end_of_keeping(now).into()];
    let found = db.query_all_raw(statement(SELECT, values)).await?;
    let found = found.iter().map(Row::of).collect::<Result<Vec<Row>, DbErr>>()?;
    let found: HashMap<(&str, &[u8]), &Row> =
        found.iter().map(|row| ((row.caller.as_str(), row.key_hash.as_slice()), row)).collect();
    let recall = |call: &&IdempotentCall| {
        let row = found.get(&(call.caller.as_str(), call.key_hash.as_slice()));
        row.map_or(Recall::New, |row| answer_to(row, call))
    };
    let mut recalls: Vec<Recall> = calls.iter().map(recall).collect();
    let counts = counts(db, new_callers(calls, &recalls)).await?;
    if refuse_too_many(per_caller, &counts, calls, &mut recalls) {
        let oldest = db.query_one_raw(statement(OLDEST, [])).await?;
        let oldest = oldest.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?.flatten();
        tell_when(&counts, oldest, calls, &mut recalls, now);
    }
    Ok(recalls)
}

async fn counts(db: &impl ConnectionTrait, callers: BTreeSet<&str>) -> Result<Counts, DbErr> {
    if callers.is_empty() {
        return Ok(Counts::new());
    }
    let count = |row: &QueryResult| {
        let (records, since): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok((row.try_get_by_index(0)?, (u64::try_from(records).unwrap_or(0), since)))
    };
    let rows = db.query_all_raw(statement(COUNTS, [owned(callers).into()])).await?;
    rows.iter().map(count).collect()
}

fn owned<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// Writes answers to calls that are new.
///
/// Errors: [`StoreError::Overtaken`] when another process has answered one of them meanwhile.
pub(in super::super) async fn keep(
    db: &impl ConnectionTrait,
    answers: &[(&IdempotentCall, &Recorded)],
    now: UtcMillis,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(answers.len());
    let mut added: BTreeMap<&str, i64> = BTreeMap::new();
    // The same calls may be on their way to another process in another order: so that neither waits for the other.
    let mut answers = answers.to_vec();
    answers.sort_unstable_by(|(a, _), (b, _)| (&a.caller, &a.key_hash).cmp(&(&b.caller, &b.key_hash)));
    for (call, answer) in &answers {
        let count = added.entry(&call.caller).or_default();
        *count = count.saturating_add(1);
        rows.push(Row::new(0, now.get(), call, answer, body_of(call, answer)?));
    }
    let columns = Columns::of(rows);
    let written = db.execute_raw(statement(INSERT, columns.values(end_of_keeping(now)))).await?.rows_affected();
    if usize::try_from(written) != Ok(answers.len()) {
        return Err(StoreError::Overtaken);
    }
    let (callers, records): (Vec<String>, Vec<i64>) =
        added.into_iter().map(|(caller, added)| (caller.to_owned(), added)).unzip();
    db.execute_raw(statement(COUNT_UP, [callers.into(), records.into(), now.get().into()])).await?;
    Ok(())
}

/// Writes rows to a table that has none of them.
pub(in super::super) async fn insert(db: &impl ConnectionTrait, rows: Vec<Row>) -> Result<(), DbErr> {
    db.execute_raw(statement(INSERT, Columns::of(rows).values(i64::MIN))).await.map(drop)
}

/// The columns of rows that are written together.
#[derive(Default)]
struct Columns {
    callers: Vec<String>,
    key_hashes: Vec<Vec<u8>>,
    fingerprints: Vec<Vec<u8>>,
    statuses: Vec<i32>,
    are_sealed: Vec<bool>,
    headers: Vec<String>,
    bodies: Vec<Vec<u8>>,
    made: Vec<i64>,
}

impl Columns {
    fn of(rows: Vec<Row>) -> Self {
        let mut columns = Self::default();
        rows.into_iter().for_each(|row| columns.push(row));
        columns
    }

    fn push(&mut self, row: Row) {
        self.callers.push(row.caller);
        self.key_hashes.push(row.key_hash);
        self.fingerprints.push(row.fingerprint);
        self.statuses.push(row.status);
        self.are_sealed.push(row.is_sealed);
        self.headers.push(row.headers.unwrap_or_default());
        self.bodies.push(row.body);
        self.made.push(row.created_at);
    }

    /// Rows that were made at this moment or before may be replaced.
    fn values(self, replaceable: i64) -> [Value; 9] {
        [
            self.callers.into(),
            self.key_hashes.into(),
            self.fingerprints.into(),
            self.statuses.into(),
            self.are_sealed.into(),
            self.headers.into(),
            self.bodies.into(),
            self.made.into(),
            replaceable.into(),
        ]
    }
}

/// Deletes some answers that are no longer kept.
pub(in super::super) async fn sweep(db: &impl ConnectionTrait, now: UtcMillis, max_rows: u32) -> Result<Swept, StoreError> {
    let gone = db.query_all_raw(statement(DELETE, [end_of_keeping(now).into(), i64::from(max_rows).into()])).await?;
    let deleted = u64::try_from(gone.len()).unwrap_or(u64::MAX);
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in &gone {
        let count = counts.entry(row.try_get_by_index(0)?).or_default();
        *count = count.saturating_add(1);
    }
    if !counts.is_empty() {
        let (callers, records): (Vec<String>, Vec<i64>) = counts.into_iter().unzip();
        db.execute_raw(statement(LOCK_COUNTS, [callers.clone().into()])).await?;
        db.execute_raw(statement(COUNT_DOWN, [callers.clone().into(), records.into()])).await?;
        db.execute_raw(statement(FORGET_CALLERS, [callers.into()])).await?;
    }
    Ok(Swept { deleted, is_done: deleted < u64::from(max_rows) })
}
