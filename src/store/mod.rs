//! Management data: limit keys, tiers, orgs, overrides, users, scopes, API keys, removed endpoints, and the log of changes.
//!
//! Reads are methods of [`Store`]. Changes are [`Command`]s that [`Store::run`] and [`Store::run_once`] do: each in one
//! transaction, in a task of its own, with one revision and one line of the log for each object that it changes.

mod activity;
mod answers;
mod backup;
mod change;
mod checkpoint;
pub mod commands;
mod decisions;
mod doctor;
mod error;
mod events;
mod expected;
mod file;
mod health;
mod lane;
mod lists;
mod location;
mod lock;
pub mod many;
mod on_server;
mod once;
mod open;
mod plan_changes;
mod postgres;
mod queries;
mod reader;
mod reads;
mod records;
mod rows;
mod rows_catalogue;
mod rows_keys;
mod rows_orgs;
mod schedules;
mod seal;
mod sweep;
#[cfg(test)]
mod tests;
mod transfer;
mod uses;
mod versions;
mod watch;
mod webhooks;
mod write;

use std::fs::File;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

pub use activity::{KeyDay, UnknownKey};
pub use answers::{AnswerSizes, Recall, Swept};
pub use backup::BackupError;
pub use decisions::{DecisionFilter, Receipt};
pub use doctor::{Finding, Report, examine};
pub use error::StoreError;
pub use events::{Event, EventFilter, Feed, write_events};
pub use expected::{Expected, IfMatch};
use health::Health;
pub use lane::Lane;
pub use lists::{ApiKeyFilter, AuditFilter, Listing, OrgFilter, PageRequest};
pub use once::{Executed, IdempotentCall, Recorded, RunningCall};
pub use open::{Access, OpenError, StoreSettings};
pub use plan_changes::PlanChanges;
pub use postgres::ServerSettings;
use postgres::{CHANGE_DEADLINE, Server};
pub use reader::Reader;
pub use reads::{Past, TakingFilter, TakingPart, TakingPlace};
pub use records::{
    Actor, ApiKeyInfo, AuditEntry, Ban, ChangeRef, Object, Org, OrgFacts, OverrideInfo, RemovedEndpoint, ScopeInfo, Stored,
    TierInfo, TierLimit, User,
};
pub use seal::{seal, unseal};
pub use transfer::{Moved, TransferError, transfer};
pub use watch::Seen;
pub use webhooks::{Attempt, Delivery, DeliveryFilter, Due, Endpoint, KeptSecret, Webhook};
pub use write::{Command, Created, WriteContext, WriteTx, Written};

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reader: Reader,
    /// What housekeeping looks through again and again: it does not count as statements of anybody's.
    lookout: Reader,
    committed: tokio::sync::watch::Sender<u64>,
    running: once::Running,
    /// What is changed through; usage too, unless it has a lane of its own.
    lane: Arc<Mutex<lane::LaneState>>,
    takings: Option<Arc<Mutex<lane::LaneState>>>,
    answers_full: Arc<Notify>,
    home: Home,
    /// The program's own: what runs on it does not end with the thread that asked for it.
    runtime: Handle,
}

/// Where the database is.
enum Home {
    /// In a file.
    File {
        path: PathBuf,
        folder: Mutex<checkpoint::Folder>,
        /// Keeps other processes from serving the same file.
        lock: Option<File>,
    },
    /// At a server.
    Server { server: Arc<Server>, health: Arc<Health>, seen: watch::LastSeen },
}

impl Inner {
    fn new(
        reader: Reader,
        lookout: Reader,
        lane: Arc<Mutex<lane::LaneState>>,
        takings: Option<Arc<Mutex<lane::LaneState>>>,
        answers_full: Arc<Notify>,
        home: Home,
    ) -> Self {
        let (committed, running) = (tokio::sync::watch::Sender::new(0), once::Running::default());
        Self { reader, lookout, committed, running, lane, takings, answers_full, home, runtime: Handle::current() }
    }
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.revision().await.map(|_| ())
    }

    /// Asks for the latest revision, so that whoever follows gets there.
    pub async fn refresh(&self) -> Result<u64, StoreError> {
        let revision = self.revision().await?;
        self.announce(revision);
        Ok(revision)
    }

    /// Notes that a server did not answer in time: nobody else waits for it until it does.
    pub fn fails(&self) {
        if let Home::Server { health, .. } = &self.0.home {
            health.fail();
        }
    }

    /// Refuses while a server is known not to answer.
    pub fn check(&self) -> Result<(), StoreError> {
        match &self.0.home {
            Home::File { .. } => Ok(()),
            Home::Server { health, .. } => health.check(),
        }
    }

    /// The latest revision that this process knows of, as it moves.
    pub fn committed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.committed.subscribe()
    }

    /// Closes every connection, the writer's last, so that the log file beside the database is folded into it;
    /// then another process may open it. What is running is finished first.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.lookout.close().await?;
        self.0.reader.close().await?;
        let Home::File { folder, lock, .. } = &self.0.home else { return self.close_lanes().await };
        // Held until the end: what is closed is not folded any more.
        let mut folder = folder.lock().await;
        folder.close().await?;
        if let Some(writer) = self.0.lane.lock().await.connection.take() {
            // The last connection would do this as it closes, but one that a request still held may close after us.
            writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            writer.close_by_ref().await?;
        }
        if let Some(lock) = lock {
            let unlocked = lock.unlock();
            unlocked.map_err(|error| StoreError::Internal(format!("The lock file cannot be unlocked: {error}")))?;
        }
        Ok(())
    }

    async fn close_lanes(&self) -> Result<(), StoreError> {
        for lane in [Some(&self.0.lane), self.0.takings.as_ref()].into_iter().flatten() {
            if let Some(connection) = lane.lock().await.connection.take() {
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// The longest that a taking waits for a server; nothing for an embedded database, which has no better place to be.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.0.home {
            Home::File { .. } => None,
            Home::Server { health, .. } => Some(health.deadline),
        }
    }

    /// Whether other processes may serve the same database.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.home, Home::Server { .. })
    }

    /// The connections that questions are answered by: what they read was committed.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The connections that housekeeping looks through.
    fn lookout(&self) -> &Reader {
        &self.0.lookout
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

impl Store {
    /// Runs a transaction in a task of its own: a caller that hangs up must not drop it half way. A server that does not answer is
    /// not waited for for ever.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = if self.is_shared() {
            let silence = || Err(StoreError::Unavailable("The database server did not answer in time".to_owned()));
            let limited = async move { tokio::time::timeout(CHANGE_DEADLINE, work).await.unwrap_or_else(|_| silence()) };
            self.0.runtime.spawn(limited).await
        } else {
            self.0.runtime.spawn(work).await
        };
        done.unwrap_or_else(|error| Err(StoreError::Internal(format!("The transaction was abandoned: {error}"))))
    }
}
