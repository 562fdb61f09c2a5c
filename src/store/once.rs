//! Changes that a caller may ask for several times and that are done once: the answer is kept for repeated requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use entity::idempotency;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::error::StoreError;
use super::seal::{seal, unseal};
use super::write::{Command, WriteContext, Written, apply};
use super::{Store, detached};
use crate::domain::time::UtcMillis;

/// How long an answer is kept, in milliseconds: 24 hours, as the contract says.
const KEPT_MILLIS: i64 = 86_400_000;
/// One caller cannot fill the disk: at a few kilobytes each this is some tens of megabytes at most.
const MAX_PER_CALLER: u64 = 10_000;

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentCall {
    /// Who asks.
    pub caller: String,
    /// The SHA-256 hash of the idempotency key.
    pub key_hash: [u8; 32],
    /// The SHA-256 hash of the route and the body.
    pub fingerprint: [u8; 32],
    /// The key that the answer is encrypted under. It is never stored.
    pub seal: [u8; 32],
}

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The entity tag.
    pub etag: Option<String>,
}

/// How a call that may come again was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executed<T> {
    /// It came for the first time: what came of it, and the answer as it was kept, if it was.
    Fresh {
        /// What came of it; an error is one that [`StoreError::is_answer`].
        result: Result<Written<T>, StoreError>,
        /// The answer as it was kept.
        recorded: Option<Recorded>,
    },
    /// It came before: nothing was done, and this was the answer.
    Replayed(Recorded),
}

/// The calls that are running in this process.
pub(super) type Running = Arc<Mutex<HashMap<CallKey, [u8; 32]>>>;
type CallKey = (String, [u8; 32]);

impl Store {
    /// Does one command, unless the same call was answered in the last 24 hours: then that answer is given again.
    ///
    /// `render` makes the answer inside the transaction, so that it is kept if and only if the effect is; a refusal
    /// ([`StoreError::is_answer`]) is kept too, with its effects undone. `render` returns nothing for what is not to be kept.
    /// Errors: [`StoreError::IdempotencyKeyReused`], [`StoreError::IdempotencyInProgress`], and what is no answer.
    pub async fn run_once<C: Command>(
        &self,
        context: WriteContext,
        call: IdempotentCall,
        command: C,
        render: impl FnOnce(Result<&Written<C::Output>, &StoreError>) -> Option<Recorded> + Send + 'static,
    ) -> Result<Executed<C::Output>, StoreError> {
        let guard = Guard::enter(&self.0.running, &call)?;
        let store = self.clone();
        detached(async move {
            let _guard = guard;
            let outer = store.begin_write().await?;
            if let Some(recorded) = recall(&outer, &call, context.now).await? {
                outer.rollback().await?;
                return Ok(Executed::Replayed(recorded));
            }
            let now = context.now;
            let result = apply(&outer, context, command).await;
            if let Err(error) = &result
                && !error.is_answer()
            {
                outer.rollback().await?;
                return Err(error.clone());
            }
            let recorded = render(result.as_ref());
            if let Some(recorded) = &recorded {
                keep(&outer, &call, recorded, now).await?;
            }
            outer.commit().await?;
            if let Ok(written) = &result {
                store.announce(written.revision);
            }
            Ok(Executed::Fresh { result, recorded })
        })
        .await
    }

    /// Deletes at most `max_rows` answers that are no longer kept, and says how many it deleted.
    pub async fn sweep_idempotency(&self, now: UtcMillis, max_rows: u64) -> Result<u64, StoreError> {
        let store = self.clone();
        detached(async move {
            let transaction = store.begin_write().await?;
            let expired = idempotency::Column::CreatedAt.lte(end_of_keeping(now));
            let oldest = idempotency::Entity::find().filter(expired).order_by_asc(idempotency::Column::CreatedAt);
            let deleted = delete(&transaction, oldest, max_rows).await?;
            transaction.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

/// Marks a call as running until it is dropped.
struct Guard {
    running: Running,
    key: CallKey,
}

impl Guard {
    fn enter(running: &Running, call: &IdempotentCall) -> Result<Self, StoreError> {
        let key = (call.caller.clone(), call.key_hash);
        match running.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()) {
            Entry::Occupied(first) if *first.get() == call.fingerprint => Err(StoreError::IdempotencyInProgress),
            Entry::Occupied(_) => Err(StoreError::IdempotencyKeyReused),
            Entry::Vacant(place) => {
                place.insert(call.fingerprint);
                Ok(Self { running: Arc::clone(running), key })
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Answers made at this moment or before are no longer kept.
fn end_of_keeping(now: UtcMillis) -> i64 {
    now.plus_millis(KEPT_MILLIS.saturating_neg()).get()
}

/// The kept answer to this call. One that is too old makes room.
async fn recall(db: &DatabaseTransaction, call: &IdempotentCall, now: UtcMillis) -> Result<Option<Recorded>, StoreError> {
    let key = (call.caller.clone(), call.key_hash.to_vec());
    let Some(row) = idempotency::Entity::find_by_id(key.clone()).one(db).await? else { return Ok(None) };
    if row.created_at <= end_of_keeping(now) {
        idempotency::Entity::delete_by_id(key).exec(db).await?;
        return Ok(None);
    }
    if row.fingerprint != call.fingerprint {
        return Err(StoreError::IdempotencyKeyReused);
    }
    // Whoever cannot derive the key asks with another credential: to them, it is another request.
    let body = unseal(&call.seal, &binding(call), &row.sealed_body).map_err(|_| StoreError::IdempotencyKeyReused)?;
    let status = u16::try_from(row.status).map_err(|_| StoreError::Internal("A kept answer has no status".to_owned()))?;
    Ok(Some(Recorded { status, body, etag: row.etag }))
}

async fn keep(db: &DatabaseTransaction, call: &IdempotentCall, recorded: &Recorded, now: UtcMillis) -> Result<(), StoreError> {
    make_room(db, &call.caller).await?;
    let sealed = seal(&call.seal, &binding(call), &recorded.body);
    let row = idempotency::Model {
        caller: call.caller.clone(),
        key_hash: call.key_hash.to_vec(),
        fingerprint: call.fingerprint.to_vec(),
        status: i32::from(recorded.status),
        sealed_body: sealed.map_err(|_| StoreError::Internal("The answer could not be encrypted".to_owned()))?,
        etag: recorded.etag.clone(),
        created_at: now.get(),
    };
    idempotency::Entity::insert(row.into_active_model()).exec_without_returning(db).await?;
    Ok(())
}

/// The oldest answers to a caller make room for one more.
async fn make_room(db: &DatabaseTransaction, caller: &str) -> Result<(), StoreError> {
    let own = idempotency::Entity::find().filter(idempotency::Column::Caller.eq(caller));
    let excess = own.clone().count(db).await?.saturating_add(1).saturating_sub(MAX_PER_CALLER);
    if excess > 0 {
        delete(db, own.order_by_asc(idempotency::Column::CreatedAt), excess).await?;
    }
    Ok(())
}

/// Deletes the first rows of a selection.
async fn delete(
    db: &DatabaseTransaction,
    rows: sea_orm::Select<idempotency::Entity>,
    max_rows: u64,
) -> Result<u64, StoreError> {
    let rows = rows.limit(max_rows).all(db).await?;
    let mut deleted: u64 = 0;
    for row in rows {
        let done = idempotency::Entity::delete_by_id((row.caller, row.key_hash)).exec(db).await?;
        deleted = deleted.saturating_add(done.rows_affected);
    }
    Ok(deleted)
}

/// What a sealed body belongs to: moved to another row, it does not open.
fn binding(call: &IdempotentCall) -> Vec<u8> {
    [call.caller.as_bytes(), &call.key_hash, &call.fingerprint].concat()
}

#[cfg(test)]
pub(super) const fn max_per_caller() -> u64 {
    MAX_PER_CALLER
}
