//! What must go on whatever becomes of the database: `/livez`, and questions that bring the number to be judged with them. And what
//! needs it, and may be refused meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use super::bystander::Slack;
use super::scene::{PROBE, longest_taking};
use crate::harness::{Actor, Answer, Plimsoll};

/// How often it is asked.
const PACE: Duration = Duration::from_millis(20);
/// What waits for nothing, on a busy machine; whoever waits for the database waits for longer.
const AT_ONCE: Duration = Duration::from_millis(600);

/// The longest that what is read of the database may take: it may be two statements.
const LONGEST_READ: Duration = longest_taking().saturating_mul(2);
/// Those who read at once, and how often.
const READERS: usize = 4;
const READING_PACE: Duration = Duration::from_millis(100);

/// Asks one process again and again.
pub(super) struct Watch {
    asking: JoinHandle<Seen>,
    reading: JoinSet<Duration>,
    is_over: Arc<AtomicBool>,
}

/// What it was answered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    asked: usize,
    slowest_livez: Duration,
    slowest_check: Duration,
    slowest_read: Duration,
}

impl Watch {
    pub(super) fn over(server: &Plimsoll) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(ask(server.admin().unjudged(), Arc::clone(&is_over)));
        let reading = (0..READERS).map(|_| read(server.admin().unjudged(), Arc::clone(&is_over))).collect();
        Self { asking, reading, is_over }
    }

    pub(super) async fn stop(mut self) -> Seen {
        self.is_over.store(true, Ordering::SeqCst);
        let mut seen = (&mut self.asking).await.expect("every question was answered");
        while let Some(slowest) = self.reading.join_next().await {
            seen.slowest_read = seen.slowest_read.max(slowest.expect("every read was answered, or refused"));
        }
        seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody asks a process that has gone because the test has failed.
        self.asking.abort();
    }
}

/// What is read of the database: the usage that a question is judged by, and a list.
pub(super) async fn reads(actor: &Actor) -> bool {
    let question = json!({"org": PROBE, "limitKey": "seats"});
    let (check, usage) = tokio::join!(actor.check(question), actor.get("/v1/orgs/keyed-1/usage"));
    let is_read = |answer: &Answer| {
        if answer.status != 200 {
            answer.fails(503, "unavailable");
        }
        answer.status == 200
    };
    is_read(&check) & is_read(&usage)
}

async fn read(actor: Actor, is_over: Arc<AtomicBool>) -> Duration {
    let (mut slowest, mut pace) = (Duration::ZERO, interval(READING_PACE));
    while !is_over.load(Ordering::SeqCst) {
        pace.tick().await;
        let begun = Instant::now();
        reads(&actor).await;
        slowest = slowest.max(begun.elapsed());
    }
    slowest
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
    pub(super) fn assert_served(&self, slack: Slack) {
        assert!(self.asked > 0, "nothing was asked");
        let at_once = AT_ONCE + slack.answer;
        assert!(self.slowest_livez < at_once && self.slowest_check < at_once, "not within {at_once:?}: {self:?}");
        let in_time = LONGEST_READ + slack.taking;
        assert!(self.slowest_read < in_time, "not within {in_time:?}: {self:?}");
    }
}
