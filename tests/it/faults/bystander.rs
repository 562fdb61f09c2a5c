//! A process that has nothing to do with the database that fails. What its answers take, the machine takes: so much longer anything may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::scene::PROBE;
use crate::crash::{set_up, taking};
use crate::harness::{Actor, Plimsoll, Setup};

/// How often it is asked.
const PACE: Duration = Duration::from_millis(20);
/// A taking goes so often to the database and back, through as many hands each time as an answer to its caller.
const ROUND_TRIPS: u32 = 12;
/// As much room as there can be.
const MAX: u64 = 9_007_199_254_740_991;

/// The process, on a database of its own.
pub(super) struct Bystander {
    // The order is that in which they go: nobody asks a process that has gone.
    asking: JoinHandle<()>,
    slowest: Arc<AtomicU64>,
    _server: Plimsoll,
}

/// How much longer than it should something may take, because the machine is as busy as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack {
    /// What needs no database.
    pub(super) answer: Duration,
    /// What goes to the database and back, time after time.
    pub(super) taking: Duration,
}

impl Bystander {
    pub(super) async fn start() -> Self {
        let server = Plimsoll::on(Setup::embedded()).await;
        set_up(&server.admin(), MAX, [PROBE]).await;
        let slowest = Arc::new(AtomicU64::new(0));
        let asking = tokio::spawn(ask(server.admin().unjudged(), Arc::clone(&slowest)));
        Self { asking, slowest, _server: server }
    }

    /// By the longest that any of its answers has taken: for so long nobody can be blamed for anything.
    pub(super) fn slack(&self) -> Slack {
        let answer = Duration::from_micros(self.slowest.load(Ordering::SeqCst));
        Slack { answer, taking: answer * ROUND_TRIPS }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Asks for what the processes of the scene are asked for: what needs no database, what needs to be read, and what is taken.
async fn ask(actor: Actor, slowest: Arc<AtomicU64>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = pace.tick().await.into_std();
        let question = json!({"org": PROBE, "limitKey": "seats", "current": 1});
        let (livez, check) = tokio::join!(actor.get("/livez"), actor.check(question));
        livez.is(200);
        check.is(200);
        actor.post("/v1/consume", taking(PROBE, "seats", 1)).await.is(200);
        // From when it was to be asked: a test that gets no turn is the machine's doing as well.
        let took = Instant::now().saturating_duration_since(due);
        slowest.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}
