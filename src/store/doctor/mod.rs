//! The doctor: looks at a database file, changes nothing, and names what cannot be.
//!
//! What the schema says is read from a schema that is built anew in memory, so that every column, constraint and reference is
//! looked at without being listed here; what it cannot say is in [`checks`]. All of it is seen in one moment of the database,
//! also while a process serves it. Of a database server it is taken for granted that it holds rows to its own constraints.

mod caps;
mod checks;
mod examination;
mod on_server;
mod schema;
#[cfg(test)]
mod tests;
mod windows;

use std::fmt::{self, Write as _};

use sea_orm::DbErr;

use crate::domain::time::UtcMillis;
use examination::Examination;

use super::error::is_outage;
use super::location::Place;
use super::open::{self, OpenError};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What cannot be.
    pub off: Vec<Finding>,
    /// What can be, but is worth knowing.
    pub notes: Vec<Finding>,
    /// How many rows were looked at, and of what.
    pub looked_at: Vec<(&'static str, u64)>,
}

impl Report {
    fn damaged(cause: &DbErr) -> Self {
        let finding = Finding { table: "file".to_owned(), key: String::new(), says: format!("cannot be read: {cause}") };
        Self { off: vec![finding], ..Self::default() }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table; `file` and `schema` for what is in none.
    pub table: String,
    /// The row's key, its columns separated by slashes; empty for what is in no row.
    pub key: String,
    /// What is found.
    pub says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, key, says } = self;
        let gap = if key.is_empty() { "" } else { " " };
        let line = format!("{table}{gap}{key}: {says}");
        // A key that is off may hold anything, also what would move a terminal's cursor.
        line.chars().try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// Looks at a database as it stands at `now`, also beside a process that serves it.
///
/// Errors are sentences: the file is not there or cannot be read, or it is not of this version of Plimsoll. What is wrong with
/// a file that can be looked at is in the report.
pub async fn examine(url: &str, now: UtcMillis) -> Result<Report, OpenError> {
    if let Place::Server(server) = Place::parse(url)? {
        return on_server::examine(&server, now).await.map_err(|trouble| trouble.at_server(&server.name));
    }
    let (path, connection) = match open::onlooker(url).await {
        // Not even the list of tables can be read: there is nothing else to look at.
        Err(OpenError::Database { cause, .. }) if !is_outage(&cause) => return Ok(Report::damaged(&cause)),
        opened => opened?,
    };
    let unreadable = |error| OpenError::File { file: path.clone(), problem: format!("cannot be read: {error}") };
    let examination = Examination::begin(&connection, now).await.map_err(unreadable)?;
    let report = examination.run().await.map_err(unreadable)?;
    connection.close().await.map_err(unreadable)?;
    Ok(report)
}
