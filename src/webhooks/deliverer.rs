//! The one task that delivers: it looks for what is due, lets it be sent, and writes down what became of it.
//!
//! Sending happens in tasks beside it, a few for each endpoint: an endpoint that does not answer keeps only its own waiting. What is
//! under way when the process dies is still written down as waiting, and is sent again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use uuid::Uuid;

use super::desk::{AT_ONCE, Desks};
use super::guard::Allowed;
use super::message::Message;
use super::sender::Sender;
use super::vault::Vault;
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;
use crate::domain::webhook::{Because, Next, Schedule};
use crate::store::commands::DisableWebhook;
use crate::store::{Actor, Attempt, Due, Expected, Store, StoreError, WriteContext};

/// How much longer the right to deliver lasts than a try.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often it is prolonged, and asked for by those who do not have it.
const LEASE_STEP: Duration = Duration::from_millis(1_500);
/// How long nothing is looked at when there is nobody to tell, unless something changes.
const IDLE: Duration = Duration::from_secs(60);
/// How long to wait before it is tried again when the database failed, and when there is no room for what is next.
const RETRY: Duration = Duration::from_secs(2);
/// How long what is under way may take when the process stops.
const GRACE: Duration = Duration::from_secs(3);
/// How often it is looked at how long what waits longest has waited.
const SURVEY: Duration = Duration::from_secs(5);

/// How webhooks are delivered.
pub struct Settings {
    /// Who may be reached beside the public internet.
    pub allowed: Allowed,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// When what failed is tried again.
    pub schedule: Schedule,
}

/// Who delivers.
pub struct Deliverer {
    store: Store,
    vault: Arc<Vault>,
    clock: fn() -> UtcMillis,
    settings: Settings,
    /// Made when it is needed first: what is never used takes no memory.
    sender: Option<Sender>,
    /// Who it is, among the processes that share a database.
    holder: String,
    /// Until when it has the right to deliver.
    lease: Option<Lease>,
    desks: Desks,
    /// When the endpoints have to be read again.
    reload_at: Option<UtcMillis>,
    /// Whether there may be events that are not written down for everybody yet.
    plans: bool,
    surveyed: Option<Instant>,
    sending: JoinSet<Attempt>,
    /// What is not written down yet.
    done: Vec<Attempt>,
    /// Endpoints that are to be told nothing any more: why, and which address deserved it, if one did.
    ending: Vec<(RecordId, Because, Option<String>)>,
    /// When to look again whether there is room for what could not be written down.
    room_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Lease {
    taken: Instant,
}

/// A running deliverer.
pub struct Delivering {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Delivering {
    /// Tells it to begin nothing more.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until what is under way is done or given up for now, and written down.
    pub async fn stopped(self) {
        self.stop();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "webhooks were not delivered to the end");
        }
    }
}

impl Deliverer {
    /// Who delivers by these settings.
    pub fn new(store: Store, vault: Arc<Vault>, settings: Settings, clock: fn() -> UtcMillis) -> Self {
        Self {
            store,
            vault,
            clock,
            settings,
            sender: None,
            holder: Uuid::now_v7().simple().to_string(),
            lease: None,
            desks: Desks::default(),
            reload_at: Some(UtcMillis::new(0)),
            plans: true,
            surveyed: None,
            sending: JoinSet::new(),
            done: Vec::new(),
            ending: Vec::new(),
            room_at: None,
        }
    }

    /// Begins. `feed` says how far the feed of events goes.
    pub fn start(self, feed: watch::Receiver<u64>) -> Delivering {
        let (stop, stopping) = watch::channel(false);
        Delivering { stop, task: tokio::spawn(self.run(feed, stopping)) }
    }

    async fn run(mut self, mut feed: watch::Receiver<u64>, mut stopping: watch::Receiver<bool>) {
        let mut changes = self.store.committed();
        let mut is_failing = false;
        while !*stopping.borrow_and_update() {
            let turned = self.turn().await;
            if let (Err(error), false) = (&turned, is_failing) {
                // Said once: a database that is away is no news twice.
                tracing::warn!(%error, "webhooks are not delivered");
            }
            is_failing = turned.is_err();
            let pause = turned.unwrap_or(RETRY);
            tokio::select! {
                _ = stopping.changed() => {}
                _ = feed.changed(), if !is_failing => self.plans = true,
                _ = changes.changed(), if !is_failing => self.reload_at = Some(UtcMillis::new(0)),
                Some(done) = self.sending.join_next(), if !is_failing => self.collect(done),
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.finish().await;
    }

    /// Does what is to be done now, and says how long nothing more is known to be.
    async fn turn(&mut self) -> Result<Duration, StoreError> {
        while let Some(done) = self.sending.try_join_next() {
            self.collect(done);
        }
        self.settle().await?;
        let now = (self.clock)();
        if self.reload_at.is_some_and(|at| at <= now) {
            self.reload(now).await?;
        }
        if self.desks.is_empty() {
            return Ok(IDLE);
        }
        if !self.may_deliver().await? {
            return Ok(LEASE_STEP);
        }
        let planned = self.plan(now).await?;
        self.send_what_is_due(now).await?;
        self.survey(now).await?;
        Ok(planned.unwrap_or_else(|| self.pause(now)))
    }

    async fn reload(&mut self, now: UtcMillis) -> Result<(), StoreError> {
        let endpoints = self.store.endpoints(now).await?;
        self.reload_at = endpoints.iter().filter_map(|endpoint| endpoint.secrets_until).min();
        self.desks.follow(endpoints, &self.vault);
        self.plans = true;
        Ok(())
    }

    /// Whether there is time for a try before another process might deliver.
    async fn may_deliver(&mut self) -> Result<bool, StoreError> {
        if self.lease.is_none_or(|lease| lease.taken.elapsed() >= LEASE_STEP) {
            // From before it is asked for: it may have been had since then.
            let taken = Instant::now();
            let length = self.settings.patience.saturating_add(LEASE_MARGIN).as_millis();
            let is_had = self.store.take_delivery_lease(&self.holder, i64::try_from(length).unwrap_or(i64::MAX)).await?;
            if is_had && self.lease.is_none() {
                // What another one has written down is not known yet.
                self.desks.look_everywhere();
                self.plans = true;
            }
            self.lease = is_had.then_some(Lease { taken });
        }
        Ok(self.lease.is_some_and(|lease| lease.taken.elapsed() < LEASE_MARGIN))
    }

    /// Writes down what happened for whom it concerns; says how soon it has to go on, if it has to.
    async fn plan(&mut self, now: UtcMillis) -> Result<Option<Duration>, StoreError> {
        let is_time = self.room_at.is_some_and(|at| at <= Instant::now());
        if !self.plans && !is_time {
            return Ok(None);
        }
        let planned = self.store.plan_deliveries(now).await?;
        self.plans = planned.has_more;
        self.room_at = if planned.is_full { Instant::now().checked_add(RETRY) } else { None };
        self.desks.look_everywhere();
        Ok(planned.has_more.then_some(Duration::ZERO))
    }

    async fn send_what_is_due(&mut self, now: UtcMillis) -> Result<(), StoreError> {
        let Some(sender) = self.sender() else { return Ok(()) };
        let ids: Vec<RecordId> = self.desks.0.iter().filter(|(_, desk)| desk.room(now) > 0).map(|(id, _)| id.clone()).collect();
        for id in ids {
            // Also those that are under way are found.
            let limit = u64::try_from(AT_ONCE.saturating_mul(2)).unwrap_or(u64::MAX);
            let waiting = self.store.due_deliveries(&id, limit).await?;
            if self.lease.is_none_or(|lease| lease.taken.elapsed() >= LEASE_MARGIN) {
                return Ok(());
            }
            let Some(desk) = self.desks.0.get_mut(&id) else { continue };
            for due in desk.take(waiting, now) {
                let message = Message::of(&due.event, &desk.keys, (self.clock)());
                let sent = Sent {
                    sender: sender.clone(),
                    url: desk.url.clone(),
                    schedule: self.settings.schedule.clone(),
                    clock: self.clock,
                };
                self.sending.spawn(sent.tried(id.clone(), due, message));
            }
        }
        Ok(())
    }

    fn sender(&mut self) -> Option<Sender> {
        if self.sender.is_none() {
            let made = Sender::new(self.settings.allowed.clone(), self.settings.patience);
            self.sender = made.map_err(|error| tracing::error!(%error, "webhooks cannot be sent")).ok();
        }
        self.sender.clone()
    }

    /// How long nothing is known to be due.
    fn pause(&self, now: UtcMillis) -> Duration {
        let next = self.desks.next().into_iter().chain(self.reload_at).min();
        let until = next.and_then(|next| u64::try_from(next.get().saturating_sub(now.get())).ok());
        until.map_or(LEASE_STEP, Duration::from_millis).min(LEASE_STEP)
    }

    fn collect(&mut self, done: Result<Attempt, tokio::task::JoinError>) {
        match done {
            Ok(attempt) => {
                count(&attempt);
                self.done.push(attempt);
            }
            Err(error) => {
                // Which one it was is not known, so all that wait are looked at again: some may be sent twice.
                tracing::error!(%error, "a message of a webhook was not sent to the end");
                self.desks.0.values_mut().for_each(|desk| desk.under_way.clear());
                self.desks.look_everywhere();
            }
        }
    }

    /// Writes down what became of tries. What cannot be written down is kept until it can.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if !self.done.is_empty() {
            let failing = self.store.settle_deliveries(self.done.clone()).await?;
            for Attempt { webhook, delivery, url, next, .. } in std::mem::take(&mut self.done) {
                self.desks.done(&webhook, &delivery);
                if next == Next::Gone {
                    self.ending.push((webhook, Because::Gone, Some(url)));
                }
            }
            self.ending.extend(failing.into_iter().map(|id| (id, Because::Failing, None)));
        }
        // What cannot be ended now is ended at the next turn.
        while let Some((id, because, url)) = self.ending.last().cloned() {
            self.disable(id, because, url).await?;
            self.ending.pop();
        }
        Ok(())
    }

    async fn disable(&mut self, id: RecordId, because: Because, url: Option<String>) -> Result<(), StoreError> {
        self.desks.0.remove(&id);
        self.reload_at = Some(UtcMillis::new(0));
        tracing::warn!(webhook = %id, reason = because.as_str(), "a webhook is disabled");
        let context =
            WriteContext { actor: Actor::Service, now: (self.clock)(), request_id: None, expected: Expected::default() };
        match self.store.run(context, DisableWebhook { id, because, url }).await {
            // It may have been deleted meanwhile.
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point; ages stay far below 2^53 milliseconds")]
    async fn survey(&mut self, now: UtcMillis) -> Result<(), StoreError> {
        if self.surveyed.is_none_or(|surveyed| surveyed.elapsed() >= SURVEY) {
            let oldest = self.store.oldest_delivery().await?;
            let age = oldest.map_or(0, |oldest| now.get().saturating_sub(oldest.get()).max(0));
            gauge!("plimsoll_webhook_backlog_age_seconds").set(age as f64 / 1_000.0);
            self.surveyed = Some(Instant::now());
        }
        Ok(())
    }

    /// What is not done in time is broken off: it still waits, and is sent again by whoever delivers next.
    async fn finish(mut self) {
        let all = async {
            while let Some(done) = self.sending.join_next().await {
                self.collect(done);
            }
        };
        timeout(GRACE, all).await.ok();
        self.sending.shutdown().await;
        let ended = self.settle().await;
        if let Err(error) = ended.and(self.store.give_delivery_lease_back(&self.holder).await) {
            tracing::warn!(%error, "what became of the last messages of webhooks could not be written");
        }
    }
}

/// What a try needs.
struct Sent {
    sender: Sender,
    url: String,
    schedule: Schedule,
    clock: fn() -> UtcMillis,
}

impl Sent {
    async fn tried(self, webhook: RecordId, due: Due, message: Message) -> Attempt {
        let (at, begun) = ((self.clock)(), Instant::now());
        let answer = self.sender.send(&self.url, message).await;
        // Random bits that nobody needs to be unable to guess.
        let chance = u64::from(Uuid::new_v4().as_bytes()[0]).checked_rem(100).unwrap_or(0);
        let next = self.schedule.after(answer.status, due.attempts, (self.clock)(), chance);
        Attempt {
            delivery: due.id,
            webhook,
            url: self.url,
            attempts_before: due.attempts,
            at,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            status: answer.status,
            error: answer.error,
            next,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "histograms are floating-point; a try takes seconds")]
fn count(attempt: &Attempt) {
    let outcome = match attempt.next {
        Next::Delivered => "delivered",
        Next::Again(_) => "failed",
        Next::GivenUp => "given_up",
        Next::Gone => "gone",
    };
    counter!("plimsoll_webhook_deliveries_total", "outcome" => outcome).increment(1);
    histogram!("plimsoll_webhook_delivery_duration_seconds").record(attempt.duration_ms as f64 / 1_000.0);
}
