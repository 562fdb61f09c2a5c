//! The lane: who holds it may write, and nobody else in this process does.
//!
//! An embedded database has one writer. Whoever wants to write waits here, in the order of arrival, and finds beside the
//! transaction what belongs to writing and is kept in memory. On a server there are two lanes, so that takings never wait for
//! changes of the catalogue; what several processes write at once the database orders by its locks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::answers::{Answers, Changes, Recall, shared};
use super::error::{StoreError, is_outage};
use super::health::Health;
use super::once::{IdempotentCall, Recorded};
use super::postgres::{Purpose, Server};
use super::{Store, open};
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;

/// How long a change waits for its turn before it is answered that the storage is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// How a connection that writes is made.
#[derive(Clone)]
pub(super) enum Link {
    /// To a file.
    File(PathBuf),
    /// To a server.
    Server(Arc<Server>, Purpose, Arc<Health>),
}

impl Link {
    async fn connect(&self) -> Result<DatabaseConnection, sea_orm::DbErr> {
        match self {
            Self::File(path) => open::writer(path).await,
            Self::Server(server, purpose, _) => server.pool(*purpose).await,
        }
    }

    /// Closes a connection that is not to be trusted. What a server does not answer nobody waits for: it ends by the server's own
    /// limits.
    async fn discard(&self, connection: DatabaseConnection) -> Result<(), sea_orm::DbErr> {
        match self {
            Self::File(_) => connection.close().await,
            Self::Server(..) => {
                tokio::spawn(async move { connection.close().await });
                Ok(())
            }
        }
    }

    /// How often the server was found down: what was connected before may hang.
    fn outages(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            Self::Server(_, _, health) => health.outages(),
        }
    }

    /// A transaction that has the right to write from its start, where there is such a thing.
    async fn begin(&self, writer: &DatabaseConnection) -> Result<DatabaseTransaction, sea_orm::DbErr> {
        match self {
            Self::File(_) => {
                let mode = Some(SqliteTransactionMode::Immediate);
                let options = TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
                writer.begin_with_options(options).await
            }
            Self::Server(..) => writer.begin().await,
        }
    }
}

/// What belongs to writing and is kept in memory.
pub(super) struct LaneState {
    link: Link,
    pub(super) answers: Answers,
    /// Orgs whose usage was deleted and that the ledger still has in memory.
    forgotten: Vec<OrgId>,
    /// The one connection that writes; none when the database was opened for reading only.
    pub(super) connection: Option<DatabaseConnection>,
    /// A transaction began whose end was not seen: what the connection believes of it may be wrong, and the database may
    /// hold more than memory knows.
    is_unsure: bool,
    /// How often the server had been found down when the connection was made.
    outages: u64,
    /// How many changes were committed.
    commits: u64,
}

impl LaneState {
    pub(super) fn new(link: Link, answers: Answers, connection: Option<DatabaseConnection>) -> Arc<Mutex<Self>> {
        let (forgotten, outages) = (Vec::new(), link.outages());
        Arc::new(Mutex::new(Self { link, answers, forgotten, connection, is_unsure: false, outages, commits: 0 }))
    }

    /// How many changes were committed.
    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    /// A transaction on a connection that is known to be in none.
    ///
    /// After a commit or a rollback that failed, the driver and the database disagree about whether there is a transaction: what
    /// comes next would be a part of it, and what is committed then would not be. Such a connection is thrown away.
    async fn begin(&mut self) -> Result<DatabaseTransaction, StoreError> {
        let connection = self.connection.as_ref().ok_or_else(read_only)?;
        if self.is_unsure || self.outages != self.link.outages() {
            self.is_unsure = true;
            return self.begin_anew().await;
        }
        self.is_unsure = true;
        match (&self.link, self.link.begin(connection).await) {
            // It was lost while it did nothing, and nothing was asked of it yet.
            (Link::Server(..), Err(error)) if is_outage(&error) => self.begin_anew().await,
            (_, begun) => Ok(begun?),
        }
    }

    async fn begin_anew(&mut self) -> Result<DatabaseTransaction, StoreError> {
        let connection = self.connection.as_mut().ok_or_else(read_only)?;
        self.outages = self.link.outages();
        self.link.discard(connection.clone()).await?;
        *connection = self.link.connect().await?;
        let db = self.link.begin(connection).await?;
        if let Link::File(_) = self.link {
            self.answers.catch_up(&db).await?;
        }
        Ok(db)
    }
}

fn read_only() -> StoreError {
    StoreError::Unavailable("The database was opened for reading only".to_owned())
}

/// The right to write, and a transaction. Dropped, it undoes what it did.
///
/// It is to be held in a task of its own: a caller that hangs up must not drop it half way.
pub struct Lane {
    // Before the turn: the next one must find the transaction ended.
    db: DatabaseTransaction,
    changes: Changes,
    forgotten: Vec<OrgId>,
    state: OwnedMutexGuard<LaneState>,
}

impl Store {
    /// The right to write. One holder at a time in this process, in the order of asking.
    ///
    /// Errors: [`StoreError::Unavailable`] when the turn does not come within ten seconds, or the storage is busy, full,
    /// read-only or failing.
    pub async fn lane(&self) -> Result<Lane, StoreError> {
        turn(&self.0.lane, TURN_TIMEOUT).await
    }

    /// The right to write usage. In an embedded database there is but one right to write.
    ///
    /// Errors are those of [`Store::lane`].
    pub async fn takings(&self) -> Result<Lane, StoreError> {
        match (&self.0.takings, self.deadline()) {
            (Some(takings), Some(deadline)) => turn(takings, deadline).await,
            (_, _) => self.lane().await,
        }
    }
}

async fn turn(lane: &Arc<Mutex<LaneState>>, patience: Duration) -> Result<Lane, StoreError> {
    let turn = tokio::time::timeout(patience, Arc::clone(lane).lock_owned()).await;
    let mut state = turn.map_err(|_| StoreError::Unavailable("The database is busy with other changes".to_owned()))?;
    if let Link::Server(_, _, health) = &state.link {
        health.check()?;
    }
    let db = state.begin().await?;
    Ok(Lane { db, changes: Changes::default(), forgotten: Vec::new(), state })
}

impl Lane {
    /// The transaction. In an embedded database it holds the right to write from its start.
    pub const fn db(&self) -> &DatabaseTransaction {
        &self.db
    }

    /// Whether other processes may write at the same time.
    pub(super) fn is_on_server(&self) -> bool {
        matches!(self.state.link, Link::Server(..))
    }

    /// What is known of each of these calls, in their order. Each of them must have [entered](Store::enter), so that none
    /// of them is there twice.
    ///
    /// Errors are those of the storage; what is wrong with one call is [`Recall::Refused`].
    pub async fn recall(&mut self, calls: &[&IdempotentCall], now: UtcMillis) -> Result<Vec<Recall>, StoreError> {
        match &self.state.link {
            Link::File(_) => self.state.answers.recall(&self.db, calls, now).await,
            Link::Server(..) => shared::recall(&self.db, calls, now, self.state.answers.per_caller()).await,
        }
    }

    /// Keeps the answers to calls that are [new](Recall::New), as a part of the transaction.
    ///
    /// Errors: [`StoreError::Overtaken`] when another process has answered one of them meanwhile.
    pub async fn keep(&mut self, answers: &[(&IdempotentCall, &Recorded)], now: UtcMillis) -> Result<(), StoreError> {
        match &self.state.link {
            Link::File(_) => self.state.answers.keep(&self.db, &mut self.changes, answers, now).await,
            Link::Server(..) => shared::keep(&self.db, answers, now).await,
        }
    }

    /// The usage of this org is deleted by this transaction: once it is committed, the ledger must not remember it.
    pub fn forget(&mut self, org: &OrgId) {
        self.forgotten.push(org.clone());
    }

    /// The orgs whose usage was deleted by a committed transaction since this was last asked.
    pub fn take_forgotten(&mut self) -> Vec<OrgId> {
        std::mem::take(&mut self.state.forgotten)
    }

    /// What the transaction does to the record of answers, for memory to follow.
    pub(super) const fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// The record of answers.
    pub(super) fn answers(&mut self) -> &mut Answers {
        &mut self.state.answers
    }

    /// Ends the transaction: what it did is on the disk when this returns, and memory follows before the next turn.
    ///
    /// After an error nothing of it is acknowledged; the next turn finds out what the database holds.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Self { db, changes, forgotten, mut state } = self;
        // Forgetting an org for nothing only costs reading it again, so it does not wait for the outcome.
        state.forgotten.extend(forgotten);
        db.commit().await?;
        state.is_unsure = false;
        state.commits = state.commits.saturating_add(1);
        state.answers.follow(changes);
        Ok(())
    }

    /// Undoes what it did, because of this error, and says what is to be answered.
    pub(super) async fn give_up(self, error: StoreError) -> StoreError {
        match self.rollback().await {
            // What was to be an answer cannot be given when its effects could not be undone.
            Err(trouble) if error.is_answer() => trouble,
            Ok(()) | Err(_) => error,
        }
    }

    /// Undoes what it did.
    pub async fn rollback(self) -> Result<(), StoreError> {
        let Self { db, mut state, .. } = self;
        db.rollback().await?;
        state.is_unsure = false;
        Ok(())
    }
}
