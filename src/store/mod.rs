//! Management data: limit keys, tiers, orgs, overrides, users, scopes, API keys, removed endpoints, and the log of changes.
//!
//! Reads are methods of [`Store`]. Changes are [`Command`]s that [`Store::run`] and [`Store::run_once`] do: each in one
//! transaction, in a task of its own, with one revision and one line of the log for each object that it changes.

mod answers;
mod backup;
mod change;
mod checkpoint;
pub mod commands;
mod doctor;
mod error;
mod expected;
mod file;
mod lane;
mod lists;
mod location;
mod once;
mod open;
mod queries;
mod reads;
mod records;
mod rows;
mod rows_catalogue;
mod rows_keys;
mod rows_orgs;
mod seal;
mod sweep;
#[cfg(test)]
mod tests;
mod uses;
mod write;

use std::fs::File;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::{Mutex, Notify, watch};

pub use answers::{AnswerSizes, Recall, Swept};
pub use backup::BackupError;
pub use doctor::{Finding, Report, examine};
pub use error::StoreError;
pub use expected::{Expected, IfMatch};
pub use lane::Lane;
pub use lists::{ApiKeyFilter, AuditFilter, Listing, OrgFilter, PageRequest};
pub use once::{Executed, IdempotentCall, Recorded, RunningCall};
pub use open::{Access, OpenError};
pub use records::{
    Actor, ApiKeyInfo, AuditEntry, Ban, ChangeRef, Object, Org, OrgFacts, OverrideInfo, RemovedEndpoint, ScopeInfo, Stored,
    TierInfo, TierLimit, User,
};
pub use write::{Command, Created, WriteContext, WriteTx, Written};

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reader: DatabaseConnection,
    path: PathBuf,
    committed: watch::Sender<u64>,
    running: once::Running,
    lane: Arc<Mutex<lane::LaneState>>,
    answers_full: Arc<Notify>,
    folder: Mutex<checkpoint::Folder>,
    /// Keeps other processes from serving the same file.
    lock: Option<File>,
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.revision().await.map(|_| ())
    }

    /// The latest revision that this process has committed, as it moves.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.0.committed.subscribe()
    }

    /// Closes every connection, the writer's last, so that the log file beside the database is folded into it;
    /// then another process may open it. What is running is finished first.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.reader.close_by_ref().await?;
        // Held until the end: what is closed is not folded any more.
        let mut folder = self.0.folder.lock().await;
        folder.close().await?;
        if let Some(writer) = self.0.lane.lock().await.connection.take() {
            // The last connection would do this as it closes, but one that a request still held may close after us.
            writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            writer.close_by_ref().await?;
        }
        if let Some(lock) = &self.0.lock {
            let unlocked = lock.unlock();
            unlocked.map_err(|error| StoreError::Internal(format!("The lock file cannot be unlocked: {error}")))?;
        }
        Ok(())
    }

    /// The connections that questions are answered by: what they read was committed.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.0.reader
    }

    /// Tells who follows that this revision is there. Tasks may arrive out of order: it never moves back.
    fn announce(&self, revision: u64) {
        self.0.committed.send_if_modified(|latest| {
            let is_newer = revision > *latest;
            *latest = revision.max(*latest);
            is_newer
        });
    }
}

/// Runs a transaction in a task of its own: a caller that hangs up must not drop it half way.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Internal(format!("The transaction was abandoned: {error}"))))
}
