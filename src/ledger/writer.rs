//! The writer: takes what has queued up, commits it in one transaction, and answers everybody.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::batch::Batch;
use super::counters::{CounterKey, Counters, Known};
use super::mailbox::{Address, Mailboxes, Post, Reply};
use super::operation::{Operation, Outcome};
use super::slot::Sight;
use super::{Admit, Clock, Kept, Render, rows};
use crate::domain::counter::Counter;
use crate::domain::names::LimitKeyName;
use crate::domain::time::UtcMillis;
use crate::store::{IdempotentCall, Lane, Recall, RunningCall, Store, StoreError};

/// Operations in one transaction: enough that the disk's work for one is little, few enough that while they are written the next
/// are read and the last are answered. With eight times as many everybody waits for everybody, and a fifth less is done.
const MAX_BATCH: usize = 128;

/// For so many batches counters are locked before they are judged, once another process was found to write to the same ones.
const CONTENDED_BATCHES: u32 = 256;
/// How often a batch is done again because another process was faster. Once its rows are locked, only new ones can be taken first.
const ATTEMPTS: usize = 8;

/// What waits in the queue.
pub(super) enum Job {
    /// An operation.
    Take(Box<TakeJob>),
    /// Counters that a question needs and that are not in memory.
    Load(LoadJob),
    /// To know that everything before it is done.
    Settle { reply: oneshot::Sender<Result<(), StoreError>> },
    /// No more operations.
    Close { reply: oneshot::Sender<()> },
}

/// An operation that waits.
pub(super) struct TakeJob {
    pub(super) operation: Operation,
    pub(super) once: Option<Once>,
    pub(super) reply: Reply,
    /// Where its caller's thread looks for answers.
    pub(super) mailbox: Address,
    /// After this nobody waits for it any more, and it is not done; nothing when its caller waits as long as it takes.
    pub(super) deadline: Option<Instant>,
}

/// A question that waits for counters.
pub(super) struct LoadJob {
    pub(super) keys: Vec<CounterKey>,
    pub(super) reply: oneshot::Sender<Result<Vec<Counter>, StoreError>>,
}

/// That an operation is to be done once.
pub(super) struct Once {
    pub(super) call: IdempotentCall,
    /// Whether it is to be done, should it be new; it is, when nobody is to be asked.
    pub(super) admit: Option<Admit>,
    pub(super) render: Render,
    /// Dropped with the job, when it is answered.
    #[expect(dead_code, reason = "it only has to live as long as the operation runs")]
    pub(super) running: Arc<RunningCall>,
}

/// How an operation is answered.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are of the large one")]
pub(super) enum Answer {
    Outcome(Outcome),
    Kept(Kept),
}

type Answers = Vec<Result<Answer, StoreError>>;

/// The only one who changes usage.
pub(super) struct Writer {
    store: Store,
    counters: Arc<Counters>,
    clock: Clock,
    /// The limit keys that are known to be noted as taken from.
    noted: HashSet<LimitKeyName>,
    /// For how many more batches counters are locked before they are judged.
    contended: u32,
    post: Post,
}

/// What has queued up, by what is to be done about it.
#[derive(Default)]
struct Queued {
    takes: Vec<TakeJob>,
    loads: Vec<LoadJob>,
    settles: Vec<oneshot::Sender<Result<(), StoreError>>>,
    closes: Vec<oneshot::Sender<()>>,
}

impl Queued {
    fn sort(jobs: impl Iterator<Item = Job>) -> Self {
        let mut queued = Self::default();
        for job in jobs {
            match job {
                Job::Take(take) => queued.takes.push(*take),
                Job::Load(load) => queued.loads.push(load),
                Job::Settle { reply } => queued.settles.push(reply),
                Job::Close { reply } => queued.closes.push(reply),
            }
        }
        queued
    }
}

impl Writer {
    pub(super) fn new(store: Store, counters: Arc<Counters>, clock: Clock, mailboxes: Arc<Mailboxes>) -> Self {
        Self { store, counters, clock, noted: HashSet::new(), contended: 0, post: Post::new(mailboxes) }
    }

    /// Until nobody can queue any more. A panic costs the callers of one batch their answer, not the service its writer.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut buffer = Vec::with_capacity(MAX_BATCH);
        let mut closing = Vec::new();
        while jobs.recv_many(&mut buffer, MAX_BATCH).await > 0 {
            let mut queued = Queued::sort(buffer.drain(..));
            if !queued.closes.is_empty() {
                jobs.close();
                closing.append(&mut queued.closes);
            }
            if AssertUnwindSafe(self.serve(queued)).catch_unwind().await.is_err() {
                tracing::error!("a batch of the ledger panicked: its outcome is not known to its callers");
                // It may have been committed: what memory says is read again.
                self.counters.clear();
            }
        }
        for reply in closing {
            // Whoever closed may have gone.
            reply.send(()).ok();
        }
    }

    async fn serve(&mut self, queued: Queued) {
        let Queued { takes, loads, settles, .. } = queued;
        if !loads.is_empty() {
            self.load(loads).await;
        }
        if !takes.is_empty() || !settles.is_empty() {
            self.take(takes, settles).await;
        }
    }

    /// Reads what questions need, all in one go. They need no right to write, so they go on when there is none to be had.
    async fn load(&self, loads: Vec<LoadJob>) {
        let missing = loads.iter().flat_map(|load| &load.keys).filter(|key| self.counters.get(&key.as_ref()).is_none());
        let missing: Vec<&CounterKey> = missing.collect();
        let at = Instant::now();
        let found = rows::counters(self.store.reader(), &missing).await;
        for LoadJob { keys, reply } in loads {
            let answer = found.as_ref().map_err(Clone::clone).map(|found| {
                let remembered = |key: &CounterKey| self.counters.get(&key.as_ref()).map(|known| known.counter);
                let known = |key: &CounterKey| remembered(key).or_else(|| found.get(key).cloned());
                keys.iter().map(|key| known(key).unwrap_or_default()).collect()
            });
            // A caller that hung up needs no answer.
            reply.send(answer).ok();
        }
        for (key, counter) in found.into_iter().flatten() {
            self.counters.put(key, Known { counter, version: None, window_end: None, at });
        }
    }

    async fn take(&mut self, mut jobs: Vec<TakeJob>, settles: Vec<oneshot::Sender<Result<(), StoreError>>>) {
        refuse_late(&mut jobs);
        let (answers, settled) = match self.attempts(&jobs).await {
            Ok(answers) => (answers, Ok(())),
            // One of them is to blame. Alone, it fails alone.
            Err(error) if is_fault(&error) && jobs.len() > 1 => (self.attempt_each(&jobs).await, Ok(())),
            Err(error) => (jobs.iter().map(|_| Err(error.clone())).collect(), Err(error)),
        };
        for (job, answer) in jobs.into_iter().zip(answers) {
            // The call has ended before its caller knows, so that the next one with its key is a repetition, not a collision.
            drop(job.once);
            self.post.add(job.mailbox, job.reply, answer);
        }
        self.post.send();
        for settle in settles {
            settle.send(settled.clone()).ok();
        }
    }

    async fn attempt_each(&mut self, jobs: &[TakeJob]) -> Answers {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let answer = self.attempts(std::slice::from_ref(job)).await;
            answers.push(answer.and_then(|mut answers| answers.pop().unwrap_or_else(|| Err(no_answer()))));
        }
        answers
    }

    /// One transaction, or several of which only the last does anything: where others write too, they may be faster, and a
    /// connection may be lost before anything is committed.
    async fn attempts(&mut self, jobs: &[TakeJob]) -> Result<Answers, StoreError> {
        let Some(deadline) = self.store.deadline() else { return self.attempt(jobs, Sight::Alone).await };
        self.store.check()?;
        let mut is_new_connection = false;
        for _ in 0..ATTEMPTS {
            let sight = if self.contended > 0 { Sight::Locked } else { Sight::Shared };
            self.contended = self.contended.saturating_sub(1);
            match timeout(deadline, self.attempt(jobs, sight)).await {
                Ok(Err(StoreError::Overtaken)) => {
                    metrics::counter!("plimsoll_ledger_overtaken_total").increment(1);
                    self.contended = CONTENDED_BATCHES;
                }
                // Nothing was committed, and the next connection is a new one.
                Ok(Err(StoreError::Unavailable(_))) if !is_new_connection => is_new_connection = true,
                Ok(Err(error @ StoreError::Unavailable(_))) => {
                    self.store.fails();
                    return Err(error);
                }
                Ok(done) => return done,
                Err(_) => {
                    // It may yet be committed: what memory says is read again.
                    self.counters.clear();
                    self.store.fails();
                    return Err(StoreError::Unavailable("The database server did not answer in time".to_owned()));
                }
            }
        }
        Err(StoreError::Overtaken)
    }

    /// One transaction. After an error nothing of it has happened; when the commit itself fails, that is everybody's answer.
    async fn attempt(&mut self, jobs: &[TakeJob], sight: Sight) -> Result<Answers, StoreError> {
        let begun = Instant::now();
        let mut lane = self.store.takings().await?;
        self.counters.forget(&lane.take_forgotten());
        let mut batch = Batch::new((self.clock)(), sight);
        match self.fill(&mut lane, &mut batch, jobs).await {
            Ok(answers) => {
                #[cfg(test)]
                super::tests::faults::reach("before the commit")?;
                if let Err(error) = lane.commit().await {
                    // Whether it is on disk is not known: what memory says of it is read again, and none of it is tried again.
                    batch.keys().for_each(|key| self.counters.remove(key));
                    return Ok(self.resolve(jobs, &error, batch.now).await);
                }
                #[cfg(test)]
                super::tests::faults::strike("after the commit");
                self.noted.extend(batch.take_noted());
                batch.publish(&self.counters, begun);
                Ok(answers)
            }
            Err(error) => {
                if error == StoreError::Overtaken {
                    batch.keys().for_each(|key| self.counters.remove(key));
                }
                // If it cannot be undone, it is undone with the connection.
                lane.rollback().await.ok();
                Err(error)
            }
        }
    }

    /// After a commit of which it is not known whether it happened: those whose answers are kept are asked for, where that can be
    /// found out. Nothing is done again.
    async fn resolve(&self, jobs: &[TakeJob], error: &StoreError, now: UtcMillis) -> Answers {
        let unknown = |_: &TakeJob| Err(error.clone());
        let calls: Vec<&IdempotentCall> = jobs.iter().filter_map(|job| job.once.as_ref()).map(|once| &once.call).collect();
        if !self.store.is_shared() || calls.is_empty() {
            return jobs.iter().map(unknown).collect();
        }
        let Ok(mut recalls) = self.recalls(&calls, now).await.map(Vec::into_iter) else {
            return jobs.iter().map(unknown).collect();
        };
        let found = |job: &TakeJob| match job.once.as_ref().and_then(|_| recalls.next()) {
            Some(Recall::Answered(recorded)) => Ok(Answer::Kept(Kept { recorded, is_replay: false })),
            Some(Recall::New | Recall::Refused(_)) | None => unknown(job),
        };
        jobs.iter().map(found).collect()
    }

    async fn recalls(&self, calls: &[&IdempotentCall], now: UtcMillis) -> Result<Vec<Recall>, StoreError> {
        let mut lane = self.store.takings().await?;
        let recalls = lane.recall(calls, now).await;
        lane.rollback().await?;
        recalls
    }

    async fn fill(&self, lane: &mut Lane, batch: &mut Batch, jobs: &[TakeJob]) -> Result<Answers, StoreError> {
        let calls: Vec<&IdempotentCall> = jobs.iter().filter_map(|job| job.once.as_ref()).map(|once| &once.call).collect();
        let mut recalls = if calls.is_empty() { Vec::new() } else { lane.recall(&calls, batch.now).await? }.into_iter();
        let recalls: Vec<Option<Recall>> = jobs.iter().map(|job| job.once.as_ref().and_then(|_| recalls.next())).collect();
        let is_due = |recall: &Option<Recall>| matches!(recall, None | Some(Recall::New));
        let due = jobs.iter().zip(&recalls).filter(|(_, recall)| is_due(recall)).map(|(job, _)| &job.operation);
        batch.load(lane.db(), &self.counters, due).await?;
        let mut answers = Vec::with_capacity(jobs.len());
        for (job, recall) in jobs.iter().zip(recalls) {
            answers.push(match recall {
                Some(Recall::Answered(recorded)) => Ok(Answer::Kept(Kept { recorded, is_replay: true })),
                Some(Recall::Refused(error)) => Err(error),
                Some(Recall::New) | None => {
                    let is_admitted = job.once.as_ref().and_then(|once| once.admit.as_ref()).is_none_or(|admit| admit());
                    let outcome = if is_admitted { batch.apply(&job.operation) } else { Ok(Outcome::Withheld) };
                    answer(outcome, job.once.as_ref())
                }
            });
        }
        batch.write(lane.db(), &self.noted).await?;
        let kept: Vec<_> = jobs.iter().zip(&answers).filter_map(|(job, answer)| newly_kept(job, answer)).collect();
        if !kept.is_empty() {
            lane.keep(&kept, batch.now).await?;
        }
        Ok(answers)
    }
}

/// The answer of an operation that was done just now, in the form that its caller asked for.
fn answer(result: Result<Outcome, StoreError>, once: Option<&Once>) -> Result<Answer, StoreError> {
    let Some(once) = once else { return result.map(Answer::Outcome) };
    match (once.render)(result.as_ref()) {
        Some(recorded) => Ok(Answer::Kept(Kept { recorded, is_replay: false })),
        None => result.map(Answer::Outcome),
    }
}

fn newly_kept<'a>(
    job: &'a TakeJob,
    answer: &'a Result<Answer, StoreError>,
) -> Option<(&'a IdempotentCall, &'a crate::store::Recorded)> {
    let (Some(once), Ok(Answer::Kept(Kept { recorded, is_replay: false }))) = (&job.once, answer) else { return None };
    Some((&once.call, recorded))
}

/// Those whose callers are being told, in this moment or before it, that it is not known whether it was done. It is not.
fn refuse_late(jobs: &mut Vec<TakeJob>) {
    let now = Instant::now();
    for late in jobs.extract_if(.., |job| job.deadline.is_some_and(|deadline| deadline <= now)) {
        drop(late.once);
        // Who waited in vain may have gone.
        late.reply.send(Err(StoreError::Unavailable("The database server did not answer in time".to_owned()))).ok();
    }
}

/// Whether the statement or the program is at fault, rather than the storage.
const fn is_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::Internal(_))
}

fn no_answer() -> StoreError {
    StoreError::Internal("An operation has no answer".to_owned())
}
