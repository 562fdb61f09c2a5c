//! Changes that a caller may ask for several times and that are done once: the answer is kept for repeated requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use super::Store;
use super::answers::Recall;
use super::error::StoreError;
use super::lane::Lane;
use super::write::{Command, WriteContext, Written, apply};
use crate::domain::time::UtcMillis;

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentCall {
    /// Who asks.
    pub caller: String,
    /// The SHA-256 hash of the idempotency key.
    pub key_hash: [u8; 32],
    /// The SHA-256 hash of the route and the body.
    pub fingerprint: [u8; 32],
    /// The key that the answer is encrypted under, which is never stored; nothing when the answer holds no secret.
    pub seal: Option<[u8; 32]>,
}

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// What else it says in headers, in order: names, and values without line breaks.
    pub headers: Vec<(String, String)>,
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
        let running = self.enter(&call)?;
        let store = self.clone();
        self.detached(async move {
            let _running = running;
            let mut lane = store.lane().await?;
            let known = lane.recall(&[&call], context.now).await?.pop();
            match known.unwrap_or_else(|| Recall::Refused(StoreError::Internal("A call was not looked up".to_owned()))) {
                Recall::New => {}
                Recall::Answered(recorded) => {
                    lane.rollback().await?;
                    return Ok(Executed::Replayed(recorded));
                }
                Recall::Refused(error) => {
                    lane.rollback().await?;
                    return Err(error);
                }
            }
            let now = context.now;
            let executed = match execute(&mut lane, context, &call, command, render).await {
                Ok(executed) => executed,
                Err(StoreError::Overtaken) => {
                    lane.rollback().await?;
                    return store.overtaken(&call, now).await;
                }
                Err(error) => return Err(lane.give_up(error).await),
            };
            lane.commit().await?;
            if let Executed::Fresh { result: Ok(written), .. } = &executed {
                store.announce(written.revision);
            }
            Ok(executed)
        })
        .await
    }

    /// The answer that another process gave to a call at the same time.
    async fn overtaken<T>(&self, call: &IdempotentCall, now: UtcMillis) -> Result<Executed<T>, StoreError> {
        let mut lane = self.lane().await?;
        let known = lane.recall(&[call], now).await?.pop();
        lane.rollback().await?;
        match known {
            Some(Recall::Answered(recorded)) => Ok(Executed::Replayed(recorded)),
            Some(Recall::Refused(error)) => Err(error),
            Some(Recall::New) | None => Err(StoreError::Overtaken),
        }
    }

    /// Marks a call as running until what this returns is dropped.
    ///
    /// Errors: [`StoreError::IdempotencyInProgress`] when it runs already, [`StoreError::IdempotencyKeyReused`] when another
    /// request with its key does.
    pub fn enter(&self, call: &IdempotentCall) -> Result<RunningCall, StoreError> {
        let running = &self.0.running;
        let key = (call.caller.clone(), call.key_hash);
        match running.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()) {
            Entry::Occupied(first) if *first.get() == call.fingerprint => Err(StoreError::IdempotencyInProgress),
            Entry::Occupied(_) => Err(StoreError::IdempotencyKeyReused),
            Entry::Vacant(place) => {
                place.insert(call.fingerprint);
                Ok(RunningCall { running: Arc::clone(running), key })
            }
        }
    }
}

/// Does a new call's command and keeps the answer, also to a refused one. An error is no answer: nothing is to be committed.
async fn execute<C: Command>(
    lane: &mut Lane,
    context: WriteContext,
    call: &IdempotentCall,
    command: C,
    render: impl FnOnce(Result<&Written<C::Output>, &StoreError>) -> Option<Recorded> + Send,
) -> Result<Executed<C::Output>, StoreError> {
    let now = context.now;
    let result = apply(lane, context, command).await;
    if let Err(error) = &result
        && !error.is_answer()
    {
        return Err(error.clone());
    }
    let recorded = render(result.as_ref());
    if let Some(recorded) = &recorded {
        lane.keep(&[(call, recorded)], now).await?;
    }
    Ok(Executed::Fresh { result, recorded })
}

/// A call that is running until this is dropped.
#[derive(Debug)]
pub struct RunningCall {
    running: Running,
    key: CallKey,
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
