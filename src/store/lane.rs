//! The lane: who holds it may write, and nobody else in this process does.
//!
//! An embedded database has one writer. Whoever wants to write waits here, in the order of arrival, and finds beside the
//! transaction what belongs to writing and is kept in memory.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Store;
use super::answers::{Answers, Kept, Recall};
use super::error::StoreError;
use super::once::{IdempotentCall, Recorded};
use super::trust::Trust;
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;

/// How long a change waits for its turn before it is answered that the storage is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// What belongs to writing and is kept in memory.
pub(super) struct LaneState {
    pub(super) answers: Answers,
    /// Orgs whose usage was deleted and that the ledger still has in memory.
    forgotten: Vec<OrgId>,
    /// A commit began whose end was not seen: the database may hold more than memory knows.
    is_unsure: bool,
}

impl LaneState {
    pub(super) fn new(answers: Answers) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { answers, forgotten: Vec::new(), is_unsure: false }))
    }
}

/// The right to write, and a transaction. Dropped, it undoes what it did.
///
/// It is to be held in a task of its own: a caller that hangs up must not drop it half way.
pub struct Lane {
    // Before the turn: the next one must find the transaction ended.
    db: DatabaseTransaction,
    kept: Kept,
    forgotten: Vec<OrgId>,
    trust: Trust,
    state: OwnedMutexGuard<LaneState>,
}

impl Store {
    /// The right to write. One holder at a time in this process, in the order of asking.
    ///
    /// Errors: [`StoreError::Unavailable`] when the turn does not come within ten seconds, or the storage is busy, full,
    /// read-only or failing.
    pub async fn lane(&self) -> Result<Lane, StoreError> {
        let writer = self.writer()?;
        let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&self.0.lane).lock_owned()).await;
        let mut state = turn.map_err(|_| StoreError::Unavailable("The database is busy with other changes".to_owned()))?;
        let trust = self.0.trust.clone();
        let db = begin(writer).await.inspect_err(|_| trust.lose())?;
        if state.is_unsure {
            state.answers.catch_up(&db).await?;
            state.is_unsure = false;
        }
        Ok(Lane { db, kept: Kept::default(), forgotten: Vec::new(), trust, state })
    }
}

fn begin(writer: &DatabaseConnection) -> impl Future<Output = Result<DatabaseTransaction, sea_orm::DbErr>> {
    let mode = Some(SqliteTransactionMode::Immediate);
    writer.begin_with_options(TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() })
}

impl Lane {
    /// The transaction. It holds the database's own right to write from its start.
    pub const fn db(&self) -> &DatabaseTransaction {
        &self.db
    }

    /// What is known of each of these calls, in their order. Each of them must have [entered](Store::enter), so that none
    /// of them is there twice.
    ///
    /// Errors are those of the storage; what is wrong with one call is [`Recall::Refused`].
    pub async fn recall(&mut self, calls: &[&IdempotentCall], now: UtcMillis) -> Result<Vec<Recall>, StoreError> {
        self.state.answers.recall(&self.db, calls, now).await
    }

    /// Keeps the answers to calls that are [new](Recall::New), as a part of the transaction.
    pub async fn keep(&mut self, answers: &[(&IdempotentCall, &Recorded)], now: UtcMillis) -> Result<(), StoreError> {
        self.state.answers.keep(&self.db, &mut self.kept, answers, now).await
    }

    /// The usage of this org is deleted by this transaction: once it is committed, the ledger must not remember it.
    pub fn forget(&mut self, org: &OrgId) {
        self.forgotten.push(org.clone());
    }

    /// The orgs whose usage was deleted by a committed transaction since this was last asked.
    pub fn take_forgotten(&mut self) -> Vec<OrgId> {
        std::mem::take(&mut self.state.forgotten)
    }

    /// The record of answers.
    pub(super) fn answers(&mut self) -> &mut Answers {
        &mut self.state.answers
    }

    /// Ends the transaction: what it did is on the disk when this returns, and memory follows before the next turn.
    ///
    /// After an error nothing of it is acknowledged; the next turn finds out what the database holds.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Self { db, kept, forgotten, trust, mut state } = self;
        // Forgetting an org for nothing only costs reading it again, so it does not wait for the outcome.
        state.forgotten.extend(forgotten);
        state.is_unsure = true;
        db.commit().await.inspect_err(|_| trust.lose())?;
        state.is_unsure = false;
        state.answers.follow(kept);
        Ok(())
    }

    /// Undoes what it did.
    pub async fn rollback(self) -> Result<(), StoreError> {
        let Self { db, trust, .. } = self;
        Ok(db.rollback().await.inspect_err(|_| trust.lose())?)
    }
}
