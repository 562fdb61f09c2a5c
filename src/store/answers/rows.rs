//! The rows of answers, written and read many at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::super::many::{self, MAX_ROWS};
use super::super::once::{IdempotentCall, Recorded};
use super::Place;
use super::recent::hash_of;

/// So many rows go into one statement: few sizes, so that each statement is prepared once.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// The texts of one statement, for each of the sizes.
pub(super) type Texts = LazyLock<[String; SIZES.len()]>;

static SELECT: Texts =
    LazyLock::new(|| texts(|rows| format!("SELECT {COLUMNS} FROM answer WHERE seq IN ({})", list("?", rows))));
static COUNT_UP: Texts = LazyLock::new(|| {
    let add = "ON CONFLICT (caller) DO UPDATE SET records = records + excluded.records";
    texts(|rows| format!("INSERT INTO answer_count (caller, records, since) VALUES {} {add}", list("(?, ?, ?)", rows)))
});
static COUNTS: Texts = LazyLock::new(|| {
    texts(|rows| format!("SELECT caller, records, since FROM answer_count WHERE caller IN ({})", list("?", rows)))
});
const ROW_COLUMNS: usize = 9;
const COLUMNS: &str = "seq, created_at, caller, key_hash, fingerprint, status, is_sealed, headers, body";
const PLACES: &str = "SELECT caller, key_hash, seq, created_at FROM answer WHERE seq >= ? ORDER BY seq LIMIT ?";
const OLDEST: &str = "SELECT created_at FROM answer ORDER BY seq LIMIT 1";

/// The texts that this makes for so many rows.
pub(super) fn texts(text: impl Fn(usize) -> String) -> [String; SIZES.len()] {
    SIZES.map(text)
}

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
pub(in super::super) struct Row {
    pub(in super::super) seq: i64,
    pub(in super::super) created_at: i64,
    pub(in super::super) caller: String,
    pub(in super::super) key_hash: Vec<u8>,
    pub(in super::super) fingerprint: Vec<u8>,
    pub(in super::super) status: i32,
    pub(in super::super) is_sealed: bool,
    pub(in super::super) headers: Option<String>,
    pub(in super::super) body: Vec<u8>,
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

    fn values(self) -> [Value; ROW_COLUMNS] {
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

    pub(in super::super) fn of(row: &QueryResult) -> Result<Self, DbErr> {
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
    let mut rows = rows.into_iter().map(Row::values);
    while rows.len() > 0 {
        let (given, values) = many::rows(ROW_COLUMNS, rows.by_ref().take(MAX_ROWS));
        db.execute_raw(statement(&format!("INSERT INTO answer ({COLUMNS}) {given}"), values)).await?;
    }
    Ok(())
}

/// The rows with these numbers, as far as they are still there.
pub(super) async fn select(db: &impl ConnectionTrait, seqs: &BTreeSet<i64>) -> Result<Vec<Row>, DbErr> {
    let mut rows = Vec::with_capacity(seqs.len());
    let mut left = seqs.iter();
    for (text, size) in runs(&SELECT, seqs.len()) {
        for row in db.query_all_raw(statement(text, left.by_ref().take(size).map(|seq| Value::from(*seq)))).await? {
            rows.push(Row::of(&row)?);
        }
    }
    Ok(rows)
}

/// Where the next rows are, from this number on, and what their hashes are.
pub(super) async fn places(db: &impl ConnectionTrait, from: i64, max_rows: i64) -> Result<Vec<Place>, DbErr> {
    let rows = db.query_all_raw(statement(PLACES, [from.into(), max_rows.into()])).await?;
    let place = |row: QueryResult| {
        let (caller, key_hash): (String, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok(Place { hash: hash_of(&caller, &key_hash), seq: row.try_get_by_index(2)?, made: row.try_get_by_index(3)? })
    };
    rows.into_iter().map(place).collect()
}

/// When the first row was made.
pub(super) async fn oldest(db: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let row = db.query_one_raw(statement(OLDEST, [])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Adds to the numbers of answers that callers have. One who had none has had some since `made`.
pub(super) async fn count_up(db: &impl ConnectionTrait, added: &BTreeMap<&str, i64>, made: i64) -> Result<(), DbErr> {
    let mut left = added.iter();
    for (text, size) in runs(&COUNT_UP, added.len()) {
        let values = left
            .by_ref()
            .take(size)
            .flat_map(|(caller, added)| -> [Value; 3] { [(*caller).into(), (*added).into(), made.into()] });
        db.execute_raw(statement(text, values)).await?;
    }
    Ok(())
}

/// How many answers these callers have, and since when they have had any; nothing of those who have none.
pub(super) async fn counts(db: &impl ConnectionTrait, callers: &BTreeSet<&str>) -> Result<HashMap<String, (u64, i64)>, DbErr> {
    let mut counts = HashMap::with_capacity(callers.len());
    let mut left = callers.iter();
    for (text, size) in runs(&COUNTS, callers.len()) {
        for row in db.query_all_raw(statement(text, left.by_ref().take(size).map(|caller| Value::from(*caller)))).await? {
            let records: i64 = row.try_get_by_index(1)?;
            counts.insert(row.try_get_by_index(0)?, (u64::try_from(records).unwrap_or(0), row.try_get_by_index(2)?));
        }
    }
    Ok(counts)
}
