//! Changes: each in one transaction, in a task of its own, with a revision and a line in the log for each object.

use std::future::Future;

use entity::{catalogue_revision, change_log};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect, Statement, TransactionTrait,
};

use super::Store;
use super::change::Change;
use super::error::StoreError;
use super::events::write_events;
use super::expected::Expected;
use super::lane::Lane;
use super::postgres::CHANNEL;
use super::queries;
use super::records::{Actor, Stored};
use super::rows::{Key, Record, Stamps, signed, stamped, unsigned};
use crate::domain::event::{Happening, NewEvent};
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;

/// Lines of the log in one statement: eleven parameters each stay far below what a database takes.
const LOG_LINES_PER_STATEMENT: usize = 500;
const NOTIFY: &str = "SELECT pg_notify($1, '')";

/// Who changes something, when, and what they believe the present state to be.
#[derive(Clone, Debug)]
pub struct WriteContext {
    /// Who.
    pub actor: Actor,
    /// When.
    pub now: UtcMillis,
    /// The request that asks for it.
    pub request_id: Option<String>,
    /// What must hold for it to be done.
    pub expected: Expected,
}

/// One thing to do, all or nothing.
pub trait Command: Send + 'static {
    /// What it answers.
    type Output: Send + 'static;

    /// Does it. What was done before an error is undone.
    fn apply(self, tx: &mut WriteTx) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// What a command answered, and the catalogue's revision after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// The answer.
    pub output: T,
    /// The revision of its last change, or the present one if it changed nothing.
    pub revision: u64,
}

/// A running change. Commands read and write through it.
pub struct WriteTx {
    db: DatabaseTransaction,
    context: WriteContext,
    /// The revision before the first change.
    base: u64,
    log: Vec<change_log::ActiveModel>,
    /// Orgs whose usage is deleted.
    forgotten: Vec<OrgId>,
    /// What is to be told of it.
    events: Vec<NewEvent>,
}

impl Store {
    /// Does one command, all or nothing.
    ///
    /// The work goes on when the caller hangs up. Errors: what the command refuses;
    /// [`StoreError::Unavailable`] when the storage is busy, full, read-only or failing.
    pub async fn run<C: Command>(&self, context: WriteContext, command: C) -> Result<Written<C::Output>, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let mut lane = store.lane().await?;
            let written = match apply(&mut lane, context, command).await {
                Ok(written) => written,
                Err(error) => return Err(lane.give_up(error).await),
            };
            lane.commit().await?;
            store.announce(written.revision);
            Ok(written)
        })
        .await
    }
}

/// Does a command inside a transaction; what a refused one did is undone, and the transaction stays usable.
pub(super) async fn apply<C: Command>(
    lane: &mut Lane,
    context: WriteContext,
    command: C,
) -> Result<Written<C::Output>, StoreError> {
    let db = lane.db().begin().await?;
    let base = latest_revision(&db).await?;
    let mut tx = WriteTx { db, context, base, log: Vec::new(), forgotten: Vec::new(), events: Vec::new() };
    match command.apply(&mut tx).await {
        Ok(output) => {
            let forgotten = std::mem::take(&mut tx.forgotten);
            let revision = tx.finish().await?;
            forgotten.iter().for_each(|org| lane.forget(org));
            Ok(Written { output, revision })
        }
        Err(error) => match tx.db.rollback().await {
            // What was to be an answer cannot be given: its effects could not be undone alone.
            Err(trouble) if error.is_answer() => Err(trouble.into()),
            Ok(()) | Err(_) => Err(error),
        },
    }
}

async fn latest_revision(db: &DatabaseTransaction) -> Result<u64, StoreError> {
    let row = catalogue_revision::Entity::find_by_id(1).lock_exclusive().one(db).await?;
    Ok(row.map_or(0, |row| unsigned(row.value)))
}

impl WriteTx {
    /// Who changes something, when, and what they believe the present state to be.
    pub(super) const fn context(&self) -> &WriteContext {
        &self.context
    }

    /// When this happens.
    pub(super) const fn now(&self) -> UtcMillis {
        self.context.now
    }

    /// The transaction, for what is particular to one command.
    pub(super) const fn db(&self) -> &DatabaseTransaction {
        &self.db
    }

    /// The revision of the last change so far.
    pub(super) fn revision(&self) -> u64 {
        self.base.saturating_add(u64::try_from(self.log.len()).unwrap_or(u64::MAX))
    }

    /// Refuses when the caller's picture of this record no longer holds.
    pub(super) fn expect<R>(&self, current: Option<&Stored<R>>) -> Result<(), StoreError> {
        self.context.expected.check(current.map(|current| current.revision))
    }

    /// The record with this key.
    pub(super) async fn find<R: Record>(&self, key: impl Into<Key<R>> + Send) -> Result<Option<Stored<R>>, StoreError> {
        queries::find::<R>(&self.db, key).await
    }

    /// Whether there is a record with this key.
    pub(super) async fn exists<R: Record>(&self, key: impl Into<Key<R>> + Send) -> Result<bool, StoreError> {
        Ok(R::Entity::find_by_id(key).one(&self.db).await?.is_some())
    }

    /// The record with this key, which the path names: it must exist, and be as the caller expects.
    pub(super) async fn target<R: Record>(&self, key: impl Into<Key<R>> + Send) -> Result<Stored<R>, StoreError> {
        let found = self.find::<R>(key).await?;
        self.expect(found.as_ref())?;
        found.ok_or(StoreError::NotFound(R::OBJECT))
    }

    /// Makes a record.
    pub(super) async fn create<R: Record>(&mut self, value: R) -> Result<Stored<R>, StoreError> {
        self.create_by(value, "create").await
    }

    /// Makes a record by another action than `create`.
    pub(super) async fn create_by<R: Record>(&mut self, value: R, action: &'static str) -> Result<Stored<R>, StoreError> {
        let change = Change::of(&value, action).after(&value);
        let stamps = self.note(change, self.now());
        R::Entity::insert(value.row(stamps).into_active_model()).exec_without_returning(&self.db).await?;
        value.write_parts(&self.db).await?;
        Ok(stamped(value, stamps))
    }

    /// Replaces a record. One that stays as it is keeps its revision, and nothing is logged.
    pub(super) async fn replace<R: Record>(
        &mut self,
        before: Stored<R>,
        value: R,
        action: &'static str,
    ) -> Result<Stored<R>, StoreError> {
        if before.value == value { Ok(before) } else { self.renew(&before, value, action).await }
    }

    /// Replaces a record whatever it was: for changes that its own fields do not show.
    pub(super) async fn renew<R: Record>(
        &mut self,
        before: &Stored<R>,
        value: R,
        action: &'static str,
    ) -> Result<Stored<R>, StoreError> {
        let change = Change::of(&value, action).before(&before.value).after(&value);
        let stamps = self.note(change, before.created_at);
        R::Entity::update(value.row(stamps).into_active_model().reset_all()).exec(&self.db).await?;
        value.write_parts(&self.db).await?;
        Ok(stamped(value, stamps))
    }

    /// Puts back, with another value, a record whose row was taken out in this transaction.
    pub(super) async fn restore<R: Record>(&mut self, before: &Stored<R>, value: R) -> Result<Stored<R>, StoreError> {
        let change = Change::of(&value, "update").before(&before.value).after(&value);
        let stamps = self.note(change, before.created_at);
        R::Entity::insert(value.row(stamps).into_active_model()).exec_without_returning(&self.db).await?;
        value.write_parts(&self.db).await?;
        Ok(stamped(value, stamps))
    }

    /// Makes or replaces a record.
    pub(super) async fn put<R: Record>(
        &mut self,
        before: Option<Stored<R>>,
        value: R,
    ) -> Result<(Stored<R>, Created), StoreError> {
        match before {
            Some(before) => Ok((self.replace(before, value, "update").await?, Created(false))),
            None => Ok((self.create(value).await?, Created(true))),
        }
    }

    /// Deletes a record, with the rows that only it has. Records that go with it are to be logged before.
    pub(super) async fn delete<R: Record>(&mut self, value: &R) -> Result<(), StoreError> {
        self.note_deletion(value);
        R::Entity::delete_by_id(value.key()).exec(&self.db).await?;
        Ok(())
    }

    /// The usage of this org is deleted: the ledger must not remember it.
    pub(super) fn forget(&mut self, org: &OrgId) {
        self.forgotten.push(org.clone());
    }

    /// Tells whoever follows, once this is committed.
    pub(super) fn tell(&mut self, org: Option<&OrgId>, what: Happening) {
        self.events.push(NewEvent { at: self.now(), org: org.cloned(), what });
    }

    /// Logs the deletion of a record that goes with another.
    pub(super) fn note_deletion<R: Record>(&mut self, value: &R) {
        self.note(Change::of(value, "delete").before(value), self.now());
    }

    fn note(&mut self, change: Change, created_at: UtcMillis) -> Stamps {
        let revision = signed(self.revision().saturating_add(1));
        self.log.push(change.line(revision, &self.context));
        Stamps { created_at: created_at.get(), updated_at: self.now().get(), revision }
    }

    /// Writes the log and the revision that it has reached, and ends the savepoint.
    async fn finish(self) -> Result<u64, StoreError> {
        let revision = self.revision();
        if revision != self.base {
            for lines in self.log.chunks(LOG_LINES_PER_STATEMENT) {
                change_log::Entity::insert_many(lines.to_vec()).exec_without_returning(&self.db).await?;
            }
            let row = catalogue_revision::Entity::update_many();
            let row = row.col_expr(catalogue_revision::Column::Value, Expr::value(signed(revision)));
            row.filter(catalogue_revision::Column::Id.eq(1)).exec(&self.db).await?;
            if self.db.get_database_backend() == DbBackend::Postgres {
                // Other processes hear of it when it is committed.
                let tell = Statement::from_sql_and_values(DbBackend::Postgres, NOTIFY, [CHANNEL.into()]);
                self.db.execute_raw(tell).await?;
            }
        }
        write_events(&self.db, &self.events).await?;
        self.db.commit().await?;
        Ok(revision)
    }
}

/// Whether a put made the record, or replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created(pub bool);
