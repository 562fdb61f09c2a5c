//! The log beside an embedded database is folded into it beside whoever writes.
//!
//! Left to itself, the database folds it at the end of the change that makes it long, and then everybody who wants to write
//! waits for that: ten milliseconds and more under load.

use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::error::StoreError;
use super::file::{self, Content};
use super::{Home, Store, open};

/// A log of so many pages is begun anew: 16 megabytes, which a start after a crash reads in some milliseconds.
const LONG_LOG: i64 = 4_000;
/// So few pages are copied in a millisecond or so: nobody minds waiting for them.
const SHORT_REST: i64 = 256;
/// How often it is tried to leave no more than that. Who writes faster than the disk can copy has to wait for it.
const MAX_ROUNDS: usize = 8;

/// Who folds the log.
#[derive(Default)]
pub(super) struct Folder {
    /// Opened when it is needed first: most commands end before that.
    connection: Option<DatabaseConnection>,
    /// How many changes had been committed when it last began.
    commits: u64,
}

impl Store {
    /// Copies what the log holds into the database. To be called often; it does nothing when nothing was committed since.
    ///
    /// Only the rest of a log that has become long is copied while nobody writes, so that the next change begins it anew:
    /// under load it would never be copied to its end otherwise.
    ///
    /// Errors: [`StoreError::Unavailable`] when the storage is full, read-only or failing. Nothing is lost by it.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        // A server keeps its own log.
        let Home::File { path, folder, .. } = &self.0.home else { return Ok(()) };
        let mut folder = folder.lock().await;
        let (is_open, commits) = {
            let lane = self.0.lane.lock().await;
            (lane.connection.is_some(), lane.commits())
        };
        if !is_open || commits == folder.commits {
            return Ok(());
        }
        let connection = match folder.connection.take() {
            Some(connection) => connection,
            None => open::folder(path).await?,
        };
        let connection = folder.connection.insert(connection);
        if fold_most(connection).await? >= LONG_LOG {
            let _nobody_writes = self.0.lane.lock().await;
            fold(connection).await?;
        }
        folder.commits = commits;
        Ok(())
    }
}

/// Lets a new file say in its head whose it is: the log would keep that back as long as callers go on writing.
pub(super) async fn show_owner(writer: &DatabaseConnection, path: &Path) -> Result<(), DbErr> {
    if !matches!(file::inspect(path), Ok(Content::Ours(_))) {
        writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    }
    Ok(())
}

impl Folder {
    /// Closes its connection, if it has one.
    pub(super) async fn close(&mut self) -> Result<(), StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection.close().await?),
            None => Ok(()),
        }
    }
}

/// Copies until little has come meanwhile, if the log is long. Answers how many pages it has.
async fn fold_most(connection: &DatabaseConnection) -> Result<i64, StoreError> {
    let mut pages = fold(connection).await?;
    for _ in 0..MAX_ROUNDS {
        let before = pages;
        if before < LONG_LOG {
            break;
        }
        pages = fold(connection).await?;
        if pages.saturating_sub(before) <= SHORT_REST {
            break;
        }
    }
    Ok(pages)
}

/// Copies what no reader stands in the way of, and waits for nobody. Answers how many pages the log had when it began.
async fn fold(connection: &DatabaseConnection) -> Result<i64, StoreError> {
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(PASSIVE)");
    let row = connection.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| StoreError::Internal("A checkpoint says nothing".to_owned()))?;
    Ok(row.try_get_by_index(1)?)
}
