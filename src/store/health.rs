//! Whether a database server answers. Who finds it silent says so, and until it answers again nobody waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::StoreError;

/// For so long at least a server counts as down, so that one which is only half there is not tried all the time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// For so long at most it is left alone after it has answered again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Who fails again so soon after it came back is left alone for longer.
const RELAPSE: Duration = Duration::from_secs(10);

/// Known of one server. It is down from the moment that somebody waited in vain until somebody else was answered.
#[derive(Debug)]
pub(super) struct Health {
    /// The longest that a taking waits for the server, and everything that is asked of it on the way to a decision.
    pub(super) deadline: Duration,
    is_down: AtomicBool,
    /// How often it was found down.
    outages: AtomicU64,
    history: Mutex<History>,
    /// Wakes whoever finds out whether it is back.
    doubt: Notify,
}

#[derive(Debug)]
struct History {
    down_since: Instant,
    back_since: Option<Instant>,
    pause: Duration,
}

impl Health {
    pub(super) fn new(deadline: Duration) -> Self {
        let history = History { down_since: Instant::now(), back_since: None, pause: SHORTEST_PAUSE };
        metrics::gauge!("plimsoll_database_up").set(1.0);
        Self {
            deadline,
            is_down: AtomicBool::new(false),
            outages: AtomicU64::new(0),
            history: Mutex::new(history),
            doubt: Notify::new(),
        }
    }

    /// Refuses at once while the server is down.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_down() { Err(down()) } else { Ok(()) }
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// How often it was found down. What was connected before the last time may hang for ever, with nobody at the other end.
    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Relaxed)
    }

    /// It did not answer.
    pub(super) fn fail(&self) {
        let mut history = self.history();
        if self.is_down.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_relapse = history.back_since.is_some_and(|since| since.elapsed() < RELAPSE);
        history.pause = if is_relapse { history.pause.saturating_mul(2).min(LONGEST_PAUSE) } else { SHORTEST_PAUSE };
        history.down_since = Instant::now();
        self.outages.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("plimsoll_database_up").set(0.0);
        tracing::warn!("the database server does not answer: takings are refused until it does");
        self.doubt.notify_one();
    }

    /// It answered.
    pub(super) fn recover(&self) {
        if !self.is_down() {
            return;
        }
        let mut history = self.history();
        if history.down_since.elapsed() >= history.pause {
            history.back_since = Some(Instant::now());
            self.is_down.store(false, Ordering::Relaxed);
            metrics::gauge!("plimsoll_database_up").set(1.0);
            tracing::info!("the database server answers again");
        }
    }

    /// Returns when it is found down.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn down() -> StoreError {
    StoreError::Unavailable("The database server does not answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_again_at_once_is_left_alone_for_longer() {
        let health = Health::new(Duration::from_secs(1));
        let mut pauses = Vec::new();
        for _ in 0..4 {
            health.fail();
            assert!(health.check().is_err());
            health.recover();
            assert!(health.is_down(), "not before its pause is over");
            let pause = {
                let mut history = health.history();
                history.down_since = Instant::now().checked_sub(history.pause).expect("a moment");
                history.pause
            };
            pauses.push(pause.as_millis());
            health.recover();
            assert!(health.check().is_ok());
        }
        assert_eq!(pauses, [250, 500, 1000, 1000]);
    }
}
