//! The rows of segments and their parts.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::super::error::StoreError;
use super::filter::Filter;
use super::rows::{Texts, list, runs, statement, texts};
use super::segment::{PARTS, Segment};

static SELECT: Texts =
    LazyLock::new(|| texts(|rows| format!("SELECT id, places FROM answer_segment_part WHERE id IN ({})", list("?", rows))));
/// What was left behind by a segment that was never finished is replaced by that of the next.
static WRITE: Texts = LazyLock::new(|| {
    texts(|rows| format!("INSERT OR REPLACE INTO answer_segment_part (id, places) VALUES {}", list("(?, ?)", rows)))
});
const FINISH: &str = "INSERT OR REPLACE INTO answer_segment (id, last_seq, newest, filter) VALUES (?, ?, ?, ?)";
const DROP_PARTS: &str = "DELETE FROM answer_segment_part WHERE id >= ? AND id < ?";
const DROP: &str = "DELETE FROM answer_segment WHERE id = ?";

/// Every segment, in the order that they were made in.
pub(super) async fn all(db: &impl ConnectionTrait) -> Result<Vec<Segment>, StoreError> {
    let text = "SELECT id, last_seq, newest, filter FROM answer_segment ORDER BY id";
    let rows = db.query_all_raw(statement(text, [])).await?;
    rows.iter().map(segment).collect()
}

fn segment(row: &QueryResult) -> Result<Segment, StoreError> {
    let filter: Vec<u8> = row.try_get_by_index(3)?;
    let filter = Filter::from_bytes(&filter).ok_or_else(|| StoreError::Internal("A kept filter is broken".to_owned()))?;
    Ok(Segment { id: row.try_get_by_index(0)?, last_seq: row.try_get_by_index(1)?, newest: row.try_get_by_index(2)?, filter })
}

/// The places in these parts.
pub(super) async fn parts(db: &impl ConnectionTrait, ids: &BTreeSet<i64>) -> Result<HashMap<i64, Vec<u8>>, DbErr> {
    let mut parts = HashMap::new();
    let mut left = ids.iter();
    for (text, size) in runs(&SELECT, ids.len()) {
        for row in db.query_all_raw(statement(text, left.by_ref().take(size).map(|id| Value::from(*id)))).await? {
            parts.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        }
    }
    Ok(parts)
}

/// Writes parts of a segment. Nobody looks for them before it is finished.
pub(super) async fn write(db: &impl ConnectionTrait, parts: &[(i64, Vec<u8>)]) -> Result<(), DbErr> {
    let mut left = parts.iter();
    for (text, size) in runs(&WRITE, parts.len()) {
        let values = left.by_ref().take(size).flat_map(|(id, places)| -> [Value; 2] { [(*id).into(), places.clone().into()] });
        db.execute_raw(statement(text, values)).await?;
    }
    Ok(())
}

/// Finishes a segment whose parts are written.
pub(super) async fn finish(db: &impl ConnectionTrait, segment: &Segment) -> Result<(), DbErr> {
    let Segment { id, last_seq, newest, filter } = segment;
    let values: [Value; 4] = [(*id).into(), (*last_seq).into(), (*newest).into(), filter.to_bytes().into()];
    db.execute_raw(statement(FINISH, values)).await.map(drop)
}

/// Deletes a segment and its parts.
pub(super) async fn delete(db: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    let first = id.saturating_mul(PARTS);
    db.execute_raw(statement(DROP_PARTS, [first.into(), first.saturating_add(PARTS).into()])).await?;
    db.execute_raw(statement(DROP, [id.into()])).await.map(drop)
}
