//! What must go on whatever becomes of the database: `/livez`, and questions that bring the number to be judged with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::scene::PROBE;
use crate::harness::{Actor, Plimsoll};

/// How often it is asked.
const PACE: Duration = Duration::from_millis(20);
/// What waits for nothing, on a busy machine; whoever waits for the database waits for longer.
const AT_ONCE: Duration = Duration::from_millis(600);

/// Asks one process again and again.
pub(super) struct Watch {
    asking: JoinHandle<Seen>,
    is_over: Arc<AtomicBool>,
}

/// What it was answered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    asked: usize,
    slowest_livez: Duration,
    slowest_check: Duration,
}

impl Watch {
    pub(super) fn over(server: &Plimsoll) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(ask(server.admin().unjudged(), Arc::clone(&is_over)));
        Self { asking, is_over }
    }

    pub(super) async fn stop(self) -> Seen {
        self.is_over.store(true, Ordering::SeqCst);
        self.asking.await.expect("every question was answered")
    }
}

async fn ask(actor: Actor, is_over: Arc<AtomicBool>) -> Seen {
    let (mut seen, mut pace) = (Seen::default(), interval(PACE));
    while !is_over.load(Ordering::SeqCst) {
        pace.tick().await;
        let begun = Instant::now();
        actor.get("/livez").await.is(200);
        seen.slowest_livez = seen.slowest_livez.max(begun.elapsed());
        let begun = Instant::now();
        let answer = actor.check(json!({"org": PROBE, "limitKey": "seats", "current": 1})).await;
        assert_eq!(answer.is(200).data()["current"], json!(1), "{}", answer.text);
        seen.slowest_check = seen.slowest_check.max(begun.elapsed());
        seen.asked += 1;
    }
    seen
}

impl Seen {
    /// Every answer came at once.
    pub(super) fn assert_served(&self) {
        assert!(self.asked > 0, "nothing was asked");
        assert!(self.slowest_livez < AT_ONCE && self.slowest_check < AT_ONCE, "not at once: {self:?}");
    }
}
