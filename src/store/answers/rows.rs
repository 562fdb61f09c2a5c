//! The rows of answers, written and read many at a time.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::super::once::{IdempotentCall, Recorded};
use super::recent::hash_of;

/// So many rows go into one statement: few sizes, so that each statement is prepared once.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// The texts of one statement, for each of the sizes.
pub(super) type Texts = LazyLock<[String; SIZES.len()]>;

static INSERT: Texts = LazyLock::new(|| {
    let columns = "seq, created_at, caller, key_hash, fingerprint, status, is_sealed, headers, body";
    SIZES.map(|rows| format!("INSERT INTO answer ({columns}) VALUES {}", list("(?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)))
});
static SELECT: Texts = LazyLock::new(|| {
    let columns = "seq, created_at, caller, key_hash, fingerprint, status, is_sealed, headers, body";
    SIZES.map(|rows| format!("SELECT {columns} FROM answer WHERE seq IN ({})", list("?", rows)))
});
static COUNT_UP: Texts = LazyLock::new(|| {
    let conflict = "ON CONFLICT (caller) DO UPDATE SET records = records + excluded.records";
    SIZES.map(|rows| format!("INSERT INTO answer_count (caller, records, since) VALUES {} {conflict}", list("(?, ?, ?)", rows)))
});

/// An element so many times, with commas between.
pub(super) fn list(element: &str, times: usize) -> String {
    vec![element; times].join(", ")
}

/// Splits so many items into runs of those sizes, each with the text of its size.
pub(super) fn runs(texts: &'static Texts, items: usize) -> impl Iterator<Item = (&'static str, usize)> {
    let mut left = items;
    std::iter::from_fn(move || {
        let (size, text) = SIZES.iter().zip(texts.iter()).find(|(size, _)| **size <= left)?;
        left = left.saturating_sub(*size);
        Some((text.as_str(), *size))
    })
}

/// A statement of the embedded database.
pub(super) fn statement(text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, text, values)
}

/// An answer as it is kept.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) created_at: i64,
    pub(super) caller: String,
    pub(super) key_hash: Vec<u8>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) status: i32,
    pub(super) is_sealed: bool,
    pub(super) headers: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Row {
    /// The row of an answer, with its body as it is to be kept.
    pub(super) fn new(seq: i64, created_at: i64, call: &IdempotentCall, answer: &Recorded, body: Vec<u8>) -> Self {
        Self {
            seq,
            created_at,
            caller: call.caller.clone(),
            key_hash: call.key_hash.to_vec(),
            fingerprint: call.fingerprint.to_vec(),
            status: i32::from(answer.status),
            is_sealed: call.seal.is_some(),
            headers: written(&answer.headers),
            body,
        }
    }

    fn values(self) -> [Value; 9] {
        [
            self.seq.into(),
            self.created_at.into(),
            self.caller.into(),
            self.key_hash.into(),
            self.fingerprint.into(),
            self.status.into(),
            self.is_sealed.into(),
            self.headers.into(),
            self.body.into(),
        ]
    }

    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            seq: row.try_get_by_index(0)?,
            created_at: row.try_get_by_index(1)?,
            caller: row.try_get_by_index(2)?,
            key_hash: row.try_get_by_index(3)?,
            fingerprint: row.try_get_by_index(4)?,
            status: row.try_get_by_index(5)?,
            is_sealed: row.try_get_by_index(6)?,
            headers: row.try_get_by_index(7)?,
            body: row.try_get_by_index(8)?,
        })
    }

    /// Its headers, as they are sent.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let lines = self.headers.as_deref().unwrap_or_default().lines();
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// A line for each header, since no header has more than one; nothing for none.
fn written(headers: &[(String, String)]) -> Option<String> {
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Appends rows.
pub(super) async fn insert(db: &impl ConnectionTrait, rows: Vec<Row>) -> Result<(), DbErr> {
    let runs = runs(&INSERT, rows.len());
    let mut rows = rows.into_iter();
    for (text, size) in runs {
        db.execute_raw(statement(text, rows.by_ref().take(size).flat_map(Row::values))).await?;
    }
    Ok(())
}

/// The rows with these numbers, as far as they are still there.
pub(super) async fn select(db: &impl ConnectionTrait, seqs: &[i64]) -> Result<Vec<Row>, DbErr> {
    let mut rows = Vec::with_capacity(seqs.len());
    let mut seqs_left = seqs.iter();
    for (text, size) in runs(&SELECT, seqs.len()) {
        let values = seqs_left.by_ref().take(size).map(|seq| Value::from(*seq));
        for row in db.query_all_raw(statement(text, values)).await? {
            rows.push(Row::of(&row)?);
        }
    }
    Ok(rows)
}

/// Adds to the numbers of answers that callers have. One who had none has some since `now`.
pub(super) async fn count_up(db: &impl ConnectionTrait, added: &BTreeMap<&str, i64>, now: i64) -> Result<(), DbErr> {
    let mut callers = added.iter();
    for (text, size) in runs(&COUNT_UP, added.len()) {
        let values = callers
            .by_ref()
            .take(size)
            .flat_map(|(caller, added)| -> [Value; 3] { [(*caller).into(), (*added).into(), now.into()] });
        db.execute_raw(statement(text, values)).await?;
    }
    Ok(())
}

/// The hashes and numbers of the rows from this number on.
pub(super) async fn tail(db: &impl ConnectionTrait, from: i64) -> Result<Vec<(u64, i64)>, DbErr> {
    let text = "SELECT caller, key_hash, seq FROM answer WHERE seq >= ? ORDER BY seq";
    let rows = db.query_all_raw(statement(text, [from.into()])).await?;
    let place = |row: QueryResult| {
        let (caller, key_hash): (String, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((hash_of(&caller, &key_hash), row.try_get_by_index(2)?))
    };
    rows.into_iter().map(place).collect()
}
