//! Kept answers: the last that is still kept of each caller and key.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value};

use super::super::answers::{Row, end_of_keeping, shared};
use super::copy::{Both, Digest, PAGE, Source};
use crate::domain::time::UtcMillis;

const LATEST: &str =
    "CREATE TEMP TABLE latest_answer AS SELECT max(seq) AS seq FROM answer WHERE created_at > ? GROUP BY caller, key_hash";
const READ: &str = "SELECT a.seq, a.created_at, a.caller, a.key_hash, a.fingerprint, a.status, a.is_sealed, a.headers, a.body \
    FROM latest_answer JOIN answer a ON a.seq = latest_answer.seq WHERE a.seq > ? ORDER BY a.seq LIMIT ?";
const WRITTEN: &str = "SELECT 0::int8, created_at, caller, key_hash, fingerprint, status, is_sealed, headers, body FROM answer \
    WHERE (caller, key_hash) > ($1, $2) ORDER BY caller, key_hash LIMIT $3";
const COUNTS: &str =
    "INSERT INTO answer_count (caller, records, since) SELECT caller, count(*), min(created_at) FROM answer GROUP BY caller";

pub(super) async fn copy(source: &Source, target: &DatabaseTransaction, now: UtcMillis) -> Result<Both, DbErr> {
    let latest = Statement::from_sql_and_values(DbBackend::Sqlite, LATEST, [end_of_keeping(now).into()]);
    source.db().execute_raw(latest).await?;
    let (mut read, mut last) = (Digest::default(), 0_i64);
    loop {
        let page = Statement::from_sql_and_values(DbBackend::Sqlite, READ, [last.into(), PAGE.into()]);
        let rows = rows_of(&source.db().query_all_raw(page).await?)?;
        let Some(end) = rows.last() else { break };
        last = end.seq;
        rows.iter().for_each(|row| read.add(&values(row)));
        shared::insert(target, rows).await?;
    }
    target.execute_unprepared(COUNTS).await?;
    Ok(Both { table: "answer", read, written: written(target).await? })
}

async fn written(target: &DatabaseTransaction) -> Result<Digest, DbErr> {
    let mut digest = Digest::default();
    let mut last: (String, Vec<u8>) = (String::new(), Vec::new());
    loop {
        let after: [Value; 3] = [last.0.into(), last.1.into(), PAGE.into()];
        let page = Statement::from_sql_and_values(DbBackend::Postgres, WRITTEN, after);
        let rows = rows_of(&target.query_all_raw(page).await?)?;
        let Some(end) = rows.last() else { return Ok(digest) };
        rows.iter().for_each(|row| digest.add(&values(row)));
        last = (end.caller.clone(), end.key_hash.clone());
    }
}

fn rows_of(found: &[QueryResult]) -> Result<Vec<Row>, DbErr> {
    found.iter().map(Row::of).collect()
}

/// Everything but its number, which it has on one side only.
fn values(row: &Row) -> [Value; 8] {
    [
        row.created_at.into(),
        row.caller.clone().into(),
        row.key_hash.clone().into(),
        row.fingerprint.clone().into(),
        row.status.into(),
        row.is_sealed.into(),
        row.headers.clone().into(),
        row.body.clone().into(),
    ]
}
