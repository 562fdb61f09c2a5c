//! What is taken beside the questions that are measured: so many a second, on connections and a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::{Connection, Share};
use crate::scenario::Scenario;
use crate::{Contender, Outcome};

/// Takings in a second.
const PER_SECOND: u32 = 20_000;
/// Connections that they are spread over: so many that a taking may wait for 25 milliseconds, as it does when questions take all that the
/// machine has.
const CONNECTIONS: usize = 512;

/// Takes from one server until it is stopped.
pub(crate) struct Beside {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Outcome<()>>>,
    begun: Instant,
}

#[derive(Default)]
struct Shared {
    taken: AtomicU64,
    is_over: AtomicBool,
}

impl Beside {
    /// Begins to take from the contender that the scenario takes from, if it does.
    pub(crate) fn start(scenario: Scenario, contenders: &[Contender]) -> Option<Self> {
        let contender = contenders.last().filter(|_| scenario == Scenario::CheckBeside)?;
        let (address, key, shared) = (contender.server.address, contender.key.clone(), Arc::<Shared>::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || take(address, &key, &of_thread));
        Some(Self { shared, thread: Some(thread), begun: Instant::now() })
    }

    /// How many were taken in a second. Errors: one of them was not.
    pub(crate) fn stop(mut self) -> Outcome<f64> {
        let elapsed = self.begun.elapsed();
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "what was taken beside has panicked")??;
        }
        let taken = u32::try_from(self.shared.taken.load(Ordering::Relaxed))?;
        Ok(f64::from(taken) / elapsed.as_secs_f64())
    }
}

fn take(address: SocketAddr, key: &str, shared: &Arc<Shared>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut taking = JoinSet::new();
        let every = Duration::from_secs(1) * u32::try_from(CONNECTIONS)? / PER_SECOND;
        for number in 0..CONNECTIONS {
            let share = Share::new(number, CONNECTIONS, Scenario::Consume.orgs());
            let connection = Connection::open(Scenario::Consume, share, key, address).await?;
            taking.spawn(take_on(connection, every, Arc::clone(shared)));
        }
        taking.join_all().await.into_iter().collect()
    })
}

/// At a steady pace. Who comes too late for one goes on at once, and does not make up for what was missed.
async fn take_on(mut connection: Connection, every: Duration, shared: Arc<Shared>) -> Outcome<()> {
    let mut due = Instant::now();
    while !shared.is_over.load(Ordering::Relaxed) {
        connection.take().await?;
        shared.taken.fetch_add(1, Ordering::Relaxed);
        due = (due + every).max(Instant::now());
        tokio::time::sleep_until(due.into()).await;
    }
    Ok(())
}
