//! Usage and reservations: one writer that commits many callers' takings in one transaction.
//!
//! Whoever takes joins a bounded queue and is answered after the commit. The writer takes what has queued up, reads the counters
//! involved, lets the rules judge the operations one by one against the running values, writes, commits, and only then answers
//! everybody. A caller that hangs up cancels nothing. What was committed is kept in memory for questions, which wait for nobody.

mod batch;
mod counters;
mod events;
mod housekeeping;
mod mailbox;
mod operation;
mod readers;
mod reads;
mod rows;
mod shared_rows;
mod slot;
mod statements;
#[cfg(test)]
mod tests;
mod transcript;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::domain::counter::Counter;
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;
use crate::store::{IdempotentCall, Recorded, Store, StoreError};

pub use counters::{CounterKey, CounterRef, span_of};
pub use housekeeping::Swept;
pub use operation::{Operation, Outcome, Taking};
pub use reads::{CounterUsage, UsagePage, UsagePlace};

use counters::Counters;
use mailbox::Mailboxes;
use writer::{Job, LoadJob, Once, TakeJob, Writer};

/// Callers that may wait at a time: some ten full batches. Whoever finds the queue full is told at once.
const QUEUE: usize = 8_192;

/// Where the ledger reads the time.
pub type Clock = Arc<dyn Fn() -> UtcMillis + Send + Sync>;

/// The ledger of a running service. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
    counters: Arc<Counters>,
    queue: mpsc::Sender<Job>,
    /// Where answers are looked for.
    mailboxes: Arc<Mailboxes>,
    /// Where questions queue up that a shared database has to answer.
    questions: Option<mpsc::Sender<LoadJob>>,
}

/// An answer that is kept under an idempotency key.
pub struct Kept {
    /// The answer, as it was written.
    pub recorded: Recorded,
    /// Whether it was given before, and nothing was done now.
    pub is_replay: bool,
}

/// Writes the answer that is to be kept; nothing for what is not.
pub type Render = Box<dyn Fn(Result<&Outcome, &StoreError>) -> Option<Recorded> + Send + Sync>;

/// Says whether a call that is new is to be done at all.
pub type Admit = Box<dyn Fn() -> bool + Send + Sync>;

impl Ledger {
    /// Starts the writer. At most `counters` counters are kept in memory.
    pub fn start(store: Store, counters: u64, clock: Clock) -> Self {
        Self::with_queue(store, counters, clock, QUEUE)
    }

    fn with_queue(store: Store, counters: u64, clock: Clock, places: usize) -> Self {
        let (queue, jobs) = mpsc::channel(places);
        let counters = Arc::new(Counters::new(counters));
        let mailboxes = Mailboxes::new();
        let writer = Writer::new(store.clone(), Arc::clone(&counters), clock, Arc::clone(&mailboxes));
        tokio::spawn(writer.run(jobs));
        let questions = store.is_shared().then(|| {
            let (questions, asked) = mpsc::channel(places);
            tokio::spawn(readers::run(store.clone(), Arc::clone(&counters), asked));
            questions
        });
        Self { store, counters, queue, questions, mailboxes }
    }

    /// Does one operation, and answers after it is on disk.
    ///
    /// Errors: [`StoreError::Unavailable`] when the queue is full or the storage fails, [`StoreError::Conflict`],
    /// [`StoreError::NoReservation`], [`StoreError::Invalid`]. After [`StoreError::Internal`] the outcome is not known.
    pub async fn run(&self, operation: Operation) -> Result<Outcome, StoreError> {
        // What does nothing need not wait for the disk.
        if matches!(operation, Operation::Nothing) {
            return Ok(Outcome::Withheld);
        }
        match self.take(operation, None).await? {
            writer::Answer::Outcome(outcome) => Ok(outcome),
            writer::Answer::Kept(_) => Err(StoreError::Internal("An answer was kept that nobody asked to keep".to_owned())),
        }
    }

    /// Does one operation once: a call that was answered before is answered the same again, and nothing is done.
    ///
    /// `admit` is asked once it is known that the call is new, perhaps several times, and must then answer the same; if it does not
    /// admit it, what comes of the operation is [`Outcome::Withheld`]. `render` writes the answer inside the transaction, so that it is kept if and only if the effect is.
    /// Errors: those of [`Self::run`] that are no answers, and those of idempotency keys.
    pub async fn run_once(
        &self,
        operation: Operation,
        call: IdempotentCall,
        admit: Option<Admit>,
        render: Render,
    ) -> Result<Kept, StoreError> {
        let running = Arc::new(self.store.enter(&call)?);
        let kept = self.once(operation, Once { call, admit, render, running }).await?;
        kept.ok_or_else(|| StoreError::Internal("The answer could not be kept".to_owned()))
    }

    /// The same for a call of which it takes time to find out whether it is to be done: `ask` is waited for once it is known that
    /// the call is new, and by nobody else. That takes one more turn in the queue.
    pub async fn run_once_after(
        &self,
        operation: Operation,
        call: IdempotentCall,
        ask: impl Future<Output = bool>,
        render: Render,
    ) -> Result<Kept, StoreError> {
        let running = Arc::new(self.store.enter(&call)?);
        let (admit, nothing): (Admit, Render) = (Box::new(|| false), Box::new(|_| None));
        let look = Once { call: call.clone(), admit: Some(admit), render: nothing, running: Arc::clone(&running) };
        if let Some(kept) = self.once(Operation::Nothing, look).await? {
            return Ok(kept);
        }
        let is_admitted = ask.await;
        let admit: Option<Admit> = Some(Box::new(move || is_admitted));
        let kept = self.once(operation, Once { call, admit, render, running }).await?;
        kept.ok_or_else(|| StoreError::Internal("The answer could not be kept".to_owned()))
    }

    /// Does one operation once; nothing when its answer is not to be kept.
    async fn once(&self, operation: Operation, once: Once) -> Result<Option<Kept>, StoreError> {
        match self.take(operation, Some(once)).await? {
            writer::Answer::Kept(kept) => Ok(Some(kept)),
            writer::Answer::Outcome(_) => Ok(None),
        }
    }

    async fn take(&self, operation: Operation, once: Option<Once>) -> Result<writer::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let patience = self.store.deadline();
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mailbox = self.mailboxes.own();
        self.enqueue(Job::Take(Box::new(TakeJob { operation, once, reply, mailbox, deadline })))?;
        match patience {
            None => answered(answer).await?,
            Some(patience) => in_time(patience, answer).await?,
        }
    }

    /// What is known of a counter: from memory, or read once for everybody who asks.
    ///
    /// Memory answers for a shared database only if it is not older than `max_stale`.
    pub async fn counter(&self, key: CounterRef<'_>, max_stale: Duration) -> Result<Counter, StoreError> {
        if let Some(known) = self.remembered(&key, max_stale) {
            return Ok(known);
        }
        // Boxed, so that the future of a question that is answered from memory stays small.
        let mut loaded = Box::pin(self.load(vec![key.to_owned()])).await?;
        Ok(loaded.pop().unwrap_or_default())
    }

    fn remembered(&self, key: &CounterRef<'_>, max_stale: Duration) -> Option<Counter> {
        if self.questions.is_some() && max_stale.is_zero() {
            return None;
        }
        let known = self.counters.get(key)?;
        (self.questions.is_none() || known.at.elapsed() <= max_stale).then_some(known.counter)
    }

    /// Several counters, in order; from memory as [`Self::counter`].
    pub async fn counters(&self, keys: Vec<CounterKey>, max_stale: Duration) -> Result<Vec<Counter>, StoreError> {
        let known: Option<Vec<Counter>> = keys.iter().map(|key| self.remembered(&key.as_ref(), max_stale)).collect();
        match known {
            Some(known) => Ok(known),
            None => self.load(keys).await,
        }
    }

    async fn load(&self, keys: Vec<CounterKey>) -> Result<Vec<Counter>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let load = LoadJob { keys, reply };
        let Some(questions) = &self.questions else {
            self.enqueue(Job::Load(load))?;
            return answered(answer).await?;
        };
        self.store.check()?;
        questions.try_send(load).map_err(|error| refused(&error))?;
        in_time(self.store.deadline().unwrap_or(Duration::MAX), answer).await?
    }

    /// Waits until what was done to an org through the store before this call is seen by every question to this process.
    pub async fn settle(&self, org: &OrgId) -> Result<(), StoreError> {
        // What is judged for a shared database is asked of it; only who accepts what is older is answered from memory.
        if self.store.is_shared() {
            self.counters.forget(std::slice::from_ref(org));
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Settle { reply })?;
        answered(answer).await?
    }

    /// Takes no more operations, and waits until those that are queued are answered.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        // If nobody takes it, the writer has ended already.
        if self.queue.send(Job::Close { reply }).await.is_ok() {
            drop(answer.await);
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), StoreError> {
        self.queue.try_send(job).map_err(|error| refused(&error))
    }
}

fn refused<T>(refused: &mpsc::error::TrySendError<T>) -> StoreError {
    StoreError::Unavailable(match refused {
        mpsc::error::TrySendError::Full(_) => "The queue of the ledger is full".to_owned(),
        mpsc::error::TrySendError::Closed(_) => "The ledger is closed".to_owned(),
    })
}

/// The answer, if a database server gives it in time.
async fn in_time<T>(patience: Duration, answer: oneshot::Receiver<T>) -> Result<T, StoreError> {
    let waited = tokio::time::timeout(patience, answered(answer)).await;
    waited.unwrap_or_else(|_| Err(StoreError::Unavailable("The database server did not answer in time".to_owned())))
}

async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, StoreError> {
    answer
        .await
        .map_err(|_| StoreError::Internal("The writer of the ledger gave no answer: the outcome is not known".to_owned()))
}
