//! One examination: the order of looking, and how a finding becomes a line.

use std::collections::BTreeSet;

use migration::{APPLICATION_ID, SCHEMA_VERSION};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait};

use super::checks::{CHECKS, COUNTED, Check, TEXTS};
use super::schema::{Expected, Table};
use super::{Finding, Report};
use crate::domain::time::UtcMillis;
use crate::store::error::is_outage;

/// So many rows are named for each thing that is looked for; of the others it is said how many they are.
const NAMED: u64 = 20;
/// What the database's own examination says of rows, which are named with their keys by what follows.
const SAID_BETTER: [&str; 4] = ["CHECK constraint failed in ", "NULL value in ", "TEXT value in ", "NUMERIC value in "];

/// Whether a finding is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It cannot be.
    Off,
    /// It can be.
    Note,
}

/// A database in one moment, and what was found in it so far.
pub(super) struct Examination {
    pub(super) db: DatabaseTransaction,
    pub(super) now: UtcMillis,
    expected: Expected,
    report: Report,
    /// Tables that cannot be read: one line is enough for each.
    unreadable: BTreeSet<String>,
}

impl Examination {
    pub(super) async fn begin(connection: &DatabaseConnection, now: UtcMillis) -> Result<Self, DbErr> {
        let expected = Expected::build().await?;
        Ok(Self::of(connection.begin().await?, expected, now))
    }

    pub(super) fn of(db: DatabaseTransaction, expected: Expected, now: UtcMillis) -> Self {
        Self { db, now, expected, report: Report::default(), unreadable: BTreeSet::new() }
    }

    /// What was found, at the end of looking.
    pub(super) async fn end(self) -> Result<Report, DbErr> {
        self.db.rollback().await?;
        Ok(self.report)
    }

    pub(super) async fn run(mut self) -> Result<Report, DbErr> {
        self.look_at_file().await?;
        self.look_at_schema().await?;
        self.look_at_revision().await?;
        let tables = self.expected.tables.clone();
        for table in &tables {
            self.look_at_columns(table).await?;
            self.look_at_references(table).await?;
        }
        for check in CHECKS {
            self.look_for(check).await?;
        }
        for (table, column, text) in TEXTS {
            let says = format!("its {column} {}", text.expected());
            self.find(Level::Off, table, &says, &text.is_violated(column)).await?;
        }
        self.look_at_windows().await?;
        self.look_at_caps().await?;
        self.count().await?;
        self.end().await
    }

    async fn look_at_file(&mut self) -> Result<(), DbErr> {
        let stamps = [("application_id", i64::from(APPLICATION_ID)), ("user_version", i64::from(SCHEMA_VERSION))];
        for (pragma, expected) in stamps {
            let found = self.numbers(&format!("PRAGMA {pragma}")).await?;
            if found.as_ref().is_some_and(|found| *found != [expected]) {
                self.add(Level::Off, "file", "", &format!("its {pragma} is not that of this version's schema"));
            }
        }
        for sentence in self.integrity().await? {
            let is_known = sentence == "ok" || SAID_BETTER.iter().any(|start| sentence.starts_with(start));
            if !is_known {
                self.add(Level::Off, "file", "", &sentence.replace('\n', " "));
            }
        }
        Ok(())
    }

    /// The database's own examination: pages, the order of rows, and whether indexes have them all.
    async fn integrity(&mut self) -> Result<Vec<String>, DbErr> {
        let sql = format!("PRAGMA integrity_check({NAMED})");
        match self.db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await {
            Ok(rows) => rows.iter().map(|row| row.try_get_by_index(0)).collect(),
            Err(error) => self.give_up_on("file", error).map(|()| Vec::new()),
        }
    }

    async fn look_at_schema(&mut self) -> Result<(), DbErr> {
        let found = match super::schema::objects(&self.db).await {
            Ok(found) => found,
            Err(error) => return self.give_up_on("schema", error),
        };
        let known = self.expected.objects.clone();
        for (name, text) in &known {
            match found.get(name) {
                None => {
                    self.add(Level::Off, "schema", name, "is missing");
                    self.unreadable.insert(name.clone());
                }
                Some(found) if found != text => self.add(Level::Off, "schema", name, "is not as this version makes it"),
                Some(_) => {}
            }
        }
        for name in found.keys().filter(|name| !known.contains_key(*name)) {
            self.add(Level::Off, "schema", name, "is not of this version");
        }
        Ok(())
    }

    /// The catalogue's revision has one row, which its constraints cannot demand.
    pub(super) async fn look_at_revision(&mut self) -> Result<(), DbErr> {
        let rows = self.rows("catalogue_revision", "SELECT '', count(*) FROM catalogue_revision").await?;
        if rows.first().is_some_and(|(_, rows)| *rows == 0) {
            self.add(Level::Off, "catalogue_revision", "", "is empty: the catalogue has no revision");
        }
        Ok(())
    }

    /// Types and constraints, which a program that was told to ignore them may have broken.
    async fn look_at_columns(&mut self, table: &Table) -> Result<(), DbErr> {
        for column in &table.columns {
            let says = format!("its {} is not {}", column.name, column.described());
            self.find(Level::Off, &table.name, &says, &column.is_violated()).await?;
        }
        if table.columns.iter().any(|column| column.name == "revision") {
            let beyond = "r.revision > coalesce((SELECT value FROM catalogue_revision), 0)";
            self.find(Level::Off, &table.name, "its revision is beyond that of the catalogue", beyond).await?;
        }
        for condition in &table.conditions {
            let says = format!("it is not true that {condition}");
            self.find(Level::Off, &table.name, &says, &format!("NOT ({condition})")).await?;
        }
        Ok(())
    }

    async fn look_at_references(&mut self, table: &Table) -> Result<(), DbErr> {
        if !table.has_references || self.unreadable.contains(&table.name) {
            return Ok(());
        }
        let (key, name) = (&table.key, &table.name);
        let lost = "FROM pragma_foreign_key_check";
        let sql =
            format!("SELECT {key} || ' -> ' || lost.parent {lost}('{name}') lost JOIN \"{name}\" r ON r.rowid = lost.rowid");
        self.report_rows(Level::Off, name, "refers to a row that is not there", &sql).await
    }

    pub(super) async fn look_for(&mut self, check: &Check) -> Result<(), DbErr> {
        let when = check.when.replace("{now}", &self.now.get().to_string());
        let when = if self.is_on_server() { when.replace(" IS NOT (", " IS DISTINCT FROM (") } else { when };
        self.find(check.level, check.table, check.says, &when).await
    }

    /// Names the rows of a table, which the condition calls `r`, for which it holds.
    pub(super) async fn find(&mut self, level: Level, table: &str, says: &str, when: &str) -> Result<(), DbErr> {
        if self.unreadable.contains(table) {
            return Ok(());
        }
        let key = self.expected.tables.iter().find(|known| known.name == table).map_or("''", |known| known.key.as_str());
        let sql = format!("SELECT {key} FROM \"{table}\" r WHERE {when}");
        self.report_rows(level, table, says, &sql).await
    }

    async fn report_rows(&mut self, level: Level, table: &str, says: &str, sql: &str) -> Result<(), DbErr> {
        let limited = format!("WITH found (key) AS ({sql}) SELECT key, count(*) OVER () FROM found LIMIT {NAMED}");
        let rows = self.rows(table, &limited).await?;
        let all = rows.first().map_or(0, |(_, all)| *all);
        for (key, _) in rows {
            self.add(level, table, &key, says);
        }
        let more = all.saturating_sub(NAMED);
        if more > 0 {
            self.add(level, table, "", &format!("the same of {more} more rows: {says}"));
        }
        Ok(())
    }

    /// A text and a number of each row. What cannot be read for what it is becomes a finding.
    pub(super) async fn rows(&mut self, table: &str, sql: &str) -> Result<Vec<(String, u64)>, DbErr> {
        // As bytes: a text that is off need not be a text.
        let bytes = if self.is_on_server() { "convert_to(name, 'UTF8')" } else { "CAST(name AS BLOB)" };
        let sql = format!("WITH line (name, number) AS ({sql}) SELECT {bytes}, number FROM line");
        let found = match self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), sql)).await {
            Ok(found) => found,
            Err(error) => return self.give_up_on(table, error).map(|()| Vec::new()),
        };
        let line = |row: &sea_orm::QueryResult| {
            let name: Option<Vec<u8>> = row.try_get_by_index(0)?;
            let number: i64 = row.try_get_by_index(1)?;
            Ok((String::from_utf8_lossy(&name.unwrap_or_default()).into_owned(), u64::try_from(number).unwrap_or(0)))
        };
        found.iter().map(line).collect()
    }

    async fn numbers(&mut self, sql: &str) -> Result<Option<Vec<i64>>, DbErr> {
        match self.db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await {
            Ok(rows) => rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>().map(Some),
            Err(error) => self.give_up_on("file", error).map(|()| None),
        }
    }

    /// Storage that fails ends the examination; anything else is the fault of what was read.
    pub(super) fn give_up_on(&mut self, table: &str, error: DbErr) -> Result<(), DbErr> {
        // A server's transaction can do nothing after an error.
        if self.is_on_server() || is_outage(&error) && !is_damage(&error) {
            return Err(error);
        }
        if self.unreadable.insert(table.to_owned()) {
            self.add(Level::Off, table, "", &format!("cannot be read: {error}"));
        }
        Ok(())
    }

    pub(super) fn is_on_server(&self) -> bool {
        self.db.get_database_backend() != DbBackend::Sqlite
    }

    pub(super) fn add(&mut self, level: Level, table: &str, key: &str, says: &str) {
        let finding = Finding { table: table.to_owned(), key: key.to_owned(), says: says.to_owned() };
        match level {
            Level::Off => self.report.off.push(finding),
            Level::Note => self.report.notes.push(finding),
        }
    }

    pub(super) async fn count(&mut self) -> Result<(), DbErr> {
        for (table, noun) in COUNTED {
            if !self.unreadable.contains(*table) {
                let counted = self.rows(table, &format!("SELECT '', count(*) FROM \"{table}\"")).await?;
                self.report.looked_at.extend(counted.first().map(|(_, rows)| (*noun, *rows)));
            }
        }
        Ok(())
    }
}

/// A file that ends too early: reading it fails as the storage does, but it is the file that is at fault.
fn is_damage(error: &DbErr) -> bool {
    error.to_string().contains("(code: 522)")
}
