//! What other processes commit to the same server: told by a notification, and asked for all the same, in case one was missed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::query_scalar;
use sea_orm::{DbErr, RuntimeErr};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::health::Health;
use super::postgres::Server;
use super::{Home, Store};

/// How often the revision is asked for: nobody is further behind than this and the time that it takes to read what changed.
const POLL: Duration = Duration::from_millis(400);
/// How soon a server that is down is asked again.
const RETRY: Duration = Duration::from_millis(100);
const REVISION: &str = "SELECT value FROM catalogue_revision WHERE id = 1";
/// Whether a commit of ours waits for a synchronous standby, and for how many milliseconds it may: nothing else ends that wait, so
/// each attempt more would leave one more connection behind.
const STANDS_STILL: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND wait_event = 'SyncRep' \
    AND state_change < now() - $1 * interval '1 millisecond')";

/// When the server was last asked for its revision, and what it said.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When it was asked.
    pub at: Instant,
    /// What it said.
    pub revision: u64,
}

/// The last that was seen.
pub(super) struct LastSeen(Mutex<Seen>);

impl LastSeen {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Seen { at: Instant::now(), revision: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// When a server was last asked for its revision; nothing for an embedded database, which nobody else changes.
    pub fn seen(&self) -> Option<Seen> {
        match &self.0.home {
            Home::File { .. } => None,
            Home::Server { seen, .. } => Some(*seen.lock()),
        }
    }

    /// Follows what other processes commit, and finds out whether the server answers, until the process ends. An embedded database
    /// is not followed: this ends at once.
    pub async fn watch(&self) {
        let Home::Server { server, health, seen } = &self.0.home else { return };
        let mut listener = None;
        let mut turn = interval(POLL);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turn.tick() => {}
                () = health.doubted() => {}
                () = told(&mut listener) => {}
            }
            let at = Instant::now();
            match ask(server, health, &mut listener).await {
                Some(revision) => {
                    *seen.lock() = Seen { at, revision };
                    self.announce(revision);
                    if health.is_down() && !stands_still(health, &mut listener).await {
                        health.recover();
                    }
                }
                None => fail(health),
            }
            if health.is_down() {
                turn.reset_after(RETRY);
            }
        }
    }
}

fn fail(health: &Health) {
    if !health.is_down() {
        health.fail();
    }
}

/// Returns when another process has told of a change, or the connection that it would tell it on is lost.
async fn told(listener: &mut Option<PgListener>) {
    match listener {
        None => std::future::pending().await,
        Some(told) => {
            if !matches!(told.try_recv().await, Ok(Some(_))) {
                *listener = None;
            }
        }
    }
}

/// The revision, asked for twice: the first connection may have been lost while it did nothing.
async fn ask(server: &Server, health: &Health, listener: &mut Option<PgListener>) -> Option<u64> {
    for _ in 0..2 {
        match timeout(health.deadline, ask_once(server, listener)).await {
            Ok(Ok(revision)) => return u64::try_from(revision).ok(),
            Ok(Err(error)) => tracing::debug!(%error, "the revision could not be asked for"),
            Err(_) => {
                *listener = None;
                return None;
            }
        }
        *listener = None;
    }
    None
}

/// Whether the server answers reads, and acknowledges no commit.
async fn stands_still(health: &Health, listener: &mut Option<PgListener>) -> bool {
    let Some(open) = listener else { return true };
    let half = i64::try_from(health.deadline.as_millis()).unwrap_or(i64::MAX).saturating_div(2);
    match timeout(health.deadline, query_scalar(STANDS_STILL).bind(half).fetch_one(open)).await {
        Ok(Ok(stands_still)) => stands_still,
        // One that cannot say it acknowledges as far as is known.
        Ok(Err(_)) => false,
        Err(_) => {
            *listener = None;
            true
        }
    }
}

async fn ask_once(server: &Server, listener: &mut Option<PgListener>) -> Result<i64, DbErr> {
    let listener = match listener {
        Some(listener) => listener,
        None => listener.insert(server.listener().await?),
    };
    let revision = query_scalar(REVISION).fetch_one(listener).await;
    revision.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
}
