//! Receipts of refused takings: noted on the way without waiting, explained and written by a task of their own.
//!
//! What does not fit in the queue is counted and dropped: nobody's taking waits for a receipt.

use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::decision_view::{DecisionView, Shown};
use super::service::Service;
use super::telling::Considered;
use crate::domain::ask::Question;
use crate::domain::decision::Decision;
use crate::domain::effective::{Effective, Override, Source};
use crate::domain::explain::{Effect, Grounds};
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{OrgId, RecordId, ResourceId, TierName};
use crate::domain::refusal::Refusal;
use crate::domain::schedule::Said;
use crate::domain::time::UtcMillis;
use crate::store::Receipt;

/// Receipts that wait to be written, at some two kilobytes each.
const QUEUE: usize = 4_096;
/// Receipts that are written at once: some milliseconds of the right to write.
const BATCH: usize = 256;
/// How long others have the right to write before the next ones: so refusals by the thousand take little of it.
const PAUSE: Duration = Duration::from_millis(100);
/// Rows that one step of sweeping deletes at most.
const SWEEP_ROWS: u32 = 1_000;

/// Where receipts are noted.
pub struct Receipts(mpsc::Sender<Message>);

/// The end of the queue that the writer holds.
pub struct Queue(mpsc::Receiver<Message>);

enum Message {
    Noted(Box<Noted>),
    Flush(oneshot::Sender<()>),
}

/// A refusal that leaves a receipt.
pub struct Refused<'a> {
    /// The id of its receipt.
    pub id: &'a RecordId,
    /// What was asked for.
    pub operation: &'static str,
    /// When.
    pub now: UtcMillis,
    /// The org.
    pub org: &'a OrgId,
    /// The catalogue revision that was known.
    pub revision: u64,
    /// Why.
    pub refusal: &'a Refusal,
    /// The decision, when it is about a limit key.
    pub considered: Option<&'a Considered<'a>>,
}

/// The same, kept.
pub struct Noted {
    id: RecordId,
    operation: &'static str,
    now: UtcMillis,
    org: OrgId,
    revision: u64,
    refusal: Refusal,
    basis: Option<Basis>,
}

/// What a decision was based on, kept.
struct Basis {
    limit_key: LimitKey,
    resource: Option<ResourceId>,
    tier: TierName,
    said: Said,
    source: Source,
    overrides: Vec<Override>,
    own: Option<Effective>,
    question: Question,
    decision: Decision,
}

impl Receipts {
    /// A queue, and the end of it that is written from.
    pub fn queue() -> (Self, Queue) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Queue(receiver))
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.0.capacity() == 0
    }

    /// Notes a refusal, and says whether there was room.
    pub fn note(&self, noted: Noted) -> bool {
        self.0.try_send(Message::Noted(Box::new(noted))).is_ok()
    }

    /// Waits until what was noted before is written, or could not be.
    pub async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        // When nobody writes any more, there is nothing to wait for.
        if self.0.send(Message::Flush(reply)).await.is_ok() {
            drop(done.await);
        }
    }
}

impl Noted {
    /// Keeps what the receipt is written from.
    pub fn of(refused: &Refused<'_>) -> Self {
        let Refused { id, operation, now, org, revision, refusal, considered } = *refused;
        Self {
            id: id.clone(),
            operation,
            now,
            org: org.clone(),
            revision,
            refusal: refusal.clone(),
            basis: considered.map(Basis::of),
        }
    }

    fn receipt(self, service: &Service) -> Receipt {
        let Self { id, operation, now, org, revision, refusal, basis } = self;
        let told = basis.as_ref().map(|basis| basis.told(service, &org, revision, (&id, now)));
        let facts = json!({"answer": told, "denial": refusal.denial()});
        Receipt {
            at: now,
            org,
            limit_key: basis.map(|basis| basis.limit_key.name),
            operation: operation.to_owned(),
            outcome: refusal.code().to_owned(),
            revision,
            facts,
            id,
        }
    }
}

impl Basis {
    fn of(considered: &Considered<'_>) -> Self {
        let Considered { shown, decision, grounds, question, .. } = considered;
        Self {
            limit_key: grounds.limit_key.clone(),
            resource: shown.resource.cloned(),
            tier: grounds.tier.clone(),
            said: grounds.said.clone(),
            source: shown.source,
            overrides: grounds.concerned().cloned().collect(),
            own: grounds.own,
            question: question.clone(),
            decision: (*decision).clone(),
        }
    }

    /// The decision as it was answered, and why it was so.
    fn told(
        &self,
        service: &Service,
        org: &OrgId,
        revision: u64,
        (id, now): (&RecordId, UtcMillis),
    ) -> Option<serde_json::Value> {
        let Self { limit_key, resource, tier, said, source, overrides, own, question, decision } = self;
        let shown = Shown { org, limit_key, resource: resource.as_ref(), tier, source: *source, revision };
        let grounds = Grounds { limit_key, tier, said, overrides, own: *own };
        let considered = Considered { shown, decision, grounds, question: question.clone(), effect: Effect::None };
        let explanation = considered.explained(&service.directory.catalogue(), now);
        let view: DecisionView<'_> = considered.plain().explained(explanation).with_receipt(id.clone());
        serde_json::to_value(view).ok()
    }
}

/// How long and how many receipts are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// For how many hours.
    pub hours: u32,
    /// How many at most.
    pub most: u64,
}

impl Kept {
    /// Deletes receipts that are too old or too many, step by step.
    pub async fn sweep(self, service: &Service, now: UtcMillis) -> Result<(), crate::store::StoreError> {
        let before = now.plus_millis(i64::from(self.hours).saturating_mul(3_600_000).saturating_neg());
        while service.store.sweep_decisions(before, self.most, SWEEP_ROWS).await? >= u64::from(SWEEP_ROWS) {}
        Ok(())
    }
}

/// Writes what is noted, as long as there is somebody who notes.
pub async fn write(service: &Service, mut queue: Queue, kept: Kept, clock: fn() -> UtcMillis) {
    let (mut messages, mut written) = (Vec::with_capacity(BATCH), 0_u64);
    while queue.0.recv_many(&mut messages, BATCH).await > 0 {
        let (mut receipts, mut waiting) = (Vec::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Noted(noted) => receipts.push(noted.receipt(service)),
                Message::Flush(reply) => waiting.push(reply),
            }
        }
        let count = receipts.len();
        written = written.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if count > 0
            && let Err(error) = service.store.keep_decisions(receipts).await
        {
            service.metrics.receipts_dropped(count);
            tracing::warn!(%error, count, "receipts of refused takings could not be written");
        }
        for reply in waiting {
            // Whoever waited may have gone.
            reply.send(()).ok();
        }
        // Never many more than may be kept, however many are refused between two sweeps.
        if written > kept.most.div_ceil(10) {
            written = 0;
            if let Err(error) = kept.sweep(service, clock()).await {
                tracing::warn!(%error, "receipts of refused takings could not be deleted");
            }
        }
        if count > 0 {
            sleep(PAUSE).await;
        }
    }
}
