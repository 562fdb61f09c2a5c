//! The same operations on the embedded database and on PostgreSQL: every answer is the same, but for what is made at random.
//! `DIFFERENTIAL_SEED=17` draws other ones.

mod draw;
mod likeness;

use std::fmt::Write as _;
use std::sync::Arc;

use draw::{Call, Draw};
use likeness::{Likeness, Side};

use super::{patient, watchful};
use crate::harness::{Actor, Answer, Plimsoll, Setup};
use crate::ledger::calendar::millis;
use crate::ledger::clock::{SetClock, remove_shared_memory};

/// So many calls before a failure are told with it.
const TOLD: usize = 25;

/// One product on each database, by one clock.
struct Both {
    servers: Vec<Plimsoll>,
    clock: SetClock,
}

impl Both {
    async fn start(setup: Setup) -> Self {
        // An hour before a day, a month and a quarter end.
        let start = millis("2027-03-31T22:58:59.250Z").expect("a timestamp");
        let (clock, embedded) = SetClock::new(Setup::embedded(), start);
        let usual = |setup: Setup| {
            let setup = setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "0");
            setup.variable("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "0")
        };
        let setups = [embedded, clock.read_by(setup)].map(usual);
        Self { servers: Plimsoll::all(setups).await, clock }
    }

    async fn send(&self, call: &Call, likeness: &Likeness) -> [Answer; 2] {
        let on = |side: Side| self.send_to(&self.servers[side as usize], call, likeness, side);
        let (embedded, shared) = tokio::join!(on(Side::Embedded), on(Side::Shared));
        [embedded, shared]
    }

    async fn send_to(&self, server: &Plimsoll, call: &Call, likeness: &Likeness, side: Side) -> Answer {
        let fill = |text: &str| likeness.fill(text, side);
        let actor: Actor = match &call.bearer {
            None => server.admin(),
            Some(bearer) => server.bearer(&fill(bearer)),
        };
        let mut request = actor.unjudged().request(call.method, &fill(&call.path)).header("X-Request-Id", &call.id);
        for (name, value) in &call.headers {
            request = request.header(name, fill(value));
        }
        match &call.body {
            None => request.send().await,
            Some(body) => request.bytes("application/json", fill(body)).send().await,
        }
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.servers.iter().for_each(|server| remove_shared_memory(server.pid()));
    }
}

/// Draws so many operations from a seed and compares what becomes of them.
async fn alike(seed: u64, operations: usize) {
    let postgres = watchful();
    let both = Arc::new(Both::start(patient(&postgres)).await);
    let (mut draw, mut likeness) = (Draw::new(seed), Likeness::default());
    let mut story: Vec<String> = Vec::new();
    for number in 0..operations {
        let call = draw.next(number, &likeness, both.clock.now());
        if let Some(forward) = call.forward {
            both.clock.set(both.clock.now() + forward);
        }
        let [embedded, shared] = both.send(&call, &likeness).await;
        story.push(format!("{number}: {call}\n    {} {}", embedded.status, embedded.text));
        if let Err(why) = likeness.compare(&embedded, &shared, both.clock.now()) {
            let mut told = format!("seed {seed}: {why}\n");
            for line in &story[story.len().saturating_sub(TOLD)..] {
                writeln!(told, "{line}").expect("text");
            }
            panic!("{told}on PostgreSQL: {} {}", shared.status, shared.text);
        }
        draw.learn(&call, &embedded);
    }
    draw.has_met_everything();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_random_operations_are_answered_the_same_on_both_databases() {
    let wanted = std::env::var_os("DIFFERENTIAL_SEED").map(|text| text.to_string_lossy().parse().expect("a number"));
    alike(wanted.unwrap_or(1), 10_000).await;
}
