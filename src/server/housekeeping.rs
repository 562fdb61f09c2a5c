//! What is done beside answering: housekeeping, which decides nothing, and every step of which is small.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::http::receipts::Kept as ReceiptsKept;
use crate::http::service::{App as Kept, Service};
use crate::http::{activity, events};
use crate::store::{Store, StoreError};

/// How often recorded durations are folded into their buckets, and sliding windows that have ended are forgotten.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often what is no longer needed is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How many are looked at in one step: some milliseconds of the right to write.
const SWEEP_ROWS: u32 = 1_000;
/// How often the log is folded into the database.
const CHECKPOINT: Duration = Duration::from_millis(250);
/// How long to wait before that is tried again when it failed.
const CHECKPOINT_RETRY: Duration = Duration::from_secs(5);
/// How often the feed of events is looked at: the longest that one waits for who follows it.
const TEND: Duration = Duration::from_millis(200);
/// How long to wait before that is tried again when it failed.
const TEND_RETRY: Duration = Duration::from_secs(2);
const DAY_MILLIS: i64 = 86_400_000;

/// Housekeeping: it decides nothing, and every step is small.
pub(super) async fn keep_house(service: Kept, keeping: Keeping) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut sweep = tokio::time::interval(SWEEP);
    // Not at once: a machine whose clock is wrong at its start has time to set it right.
    sweep.reset();
    loop {
        tokio::select! {
            _ = upkeep.tick() => {
                service.metrics.upkeep();
                // Of millions of windows it takes its time. If it fails, the next one does its work.
                let sweep = move || {
                    service.limiter.sweep();
                    service.guard.sweep();
                };
                tokio::task::spawn_blocking(sweep).await.ok();
            }
            _ = sweep.tick() => {
                if let Err(error) = service.directory.write_uses().await {
                    tracing::warn!(%error, "when API keys were last used could not be written");
                }
                if let Err(error) = activity::write(&service).await {
                    tracing::warn!(%error, "how often limit keys are asked about could not be written");
                }
                if let Err(error) = clean(&service, keeping).await {
                    tracing::warn!(%error, "what is no longer needed could not be deleted");
                }
            }
        }
    }
}

/// How many days what is kept.
#[derive(Clone, Copy)]
pub(super) struct Keeping {
    pub(super) windows: u32,
    pub(super) audit: Option<u32>,
    pub(super) events: u32,
    pub(super) decisions: ReceiptsKept,
}

/// Deletes what is no longer needed, step by step. Others have their turn between two steps, since the right to write goes round.
async fn clean(service: &Service, keeping: Keeping) -> Result<(), StoreError> {
    while !service.store.sweep_answers(clock::now(), SWEEP_ROWS).await?.is_done {}
    while service.ledger.sweep(clock::now(), keeping.windows).await?.is_full() {}
    let days_ago = |days: u32| clock::now().plus_millis(i64::from(days).saturating_mul(DAY_MILLIS).saturating_neg());
    while service.store.sweep_events(days_ago(keeping.events), SWEEP_ROWS).await? >= u64::from(SWEEP_ROWS) {}
    keeping.decisions.sweep(service, clock::now()).await?;
    if let Some(days) = keeping.audit {
        let before = days_ago(days);
        while service.store.sweep_audit(before, SWEEP_ROWS).await? >= u64::from(SWEEP_ROWS) {}
    }
    Ok(())
}

/// Writes down where idempotency records are, when memory has enough of them. What fails is tried again when there are more.
pub(super) async fn settle_answers(service: Kept) {
    loop {
        service.store.answers_are_full().await;
        if let Err(error) = settle_all(&service.store).await {
            tracing::warn!(%error, "the places of idempotency records could not be written");
        }
    }
}

/// Keeps the feed of events going. What fails is tried again.
pub(super) async fn tend_events(service: Kept) {
    let mut turn = tokio::time::interval(TEND);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        turn.tick().await;
        let tended = events::tend(&service, clock::now()).await;
        if let Err(error) = &tended {
            // Said once: a database that is away is no news twice.
            if !is_failing {
                tracing::warn!(%error, "the feed of events does not go on");
            }
            turn.reset_after(TEND_RETRY);
        }
        is_failing = tended.is_err();
    }
}

/// Folds the log into the database, often enough that there is never much of it.
pub(super) async fn checkpoint(service: Kept) {
    let mut turn = tokio::time::interval(CHECKPOINT);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        if let Err(error) = service.store.checkpoint().await {
            tracing::warn!(%error, "the log could not be folded into the database");
            turn.reset_after(CHECKPOINT_RETRY);
        }
    }
}

async fn settle_all(store: &Store) -> Result<(), StoreError> {
    while store.settle_answers().await? {}
    Ok(())
}
