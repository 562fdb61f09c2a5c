//! The generator: threads with connections to every server, which ask one server at a time.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::connection::{Connection, Share};
use crate::cpu::Cpu;
use crate::place::Place;
use crate::scenario::Scenario;
use crate::{Contender, Outcome};

/// How long each server is asked before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// Threads that wait to be told which server to ask.
pub(crate) struct Generator {
    threads: Vec<Thread>,
}

/// What one server did in one round.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// How many requests were answered.
    pub(crate) count: usize,
    /// What the server's processes and those of its database used meanwhile.
    pub(crate) cpu: Cpu,
    /// What neither the server nor the generator used meanwhile, in processors.
    pub(crate) others: f64,
}

/// Processor time that was used so far.
struct Used {
    server: Cpu,
    /// By all who are measured: one may have something to do while another is asked.
    all: Cpu,
    generator: Cpu,
    machine: Cpu,
}

impl Used {
    fn so_far(place: usize, contenders: &[Contender]) -> Outcome<Self> {
        let generator = Cpu::of_process(std::process::id())?;
        let server = used_by(&contenders[place])?;
        let others = contenders.iter().enumerate().filter(|(other, _)| *other != place);
        let all = others.map(|(_, other)| used_by(other)).try_fold(server, |sum, other| other.map(|other| sum.and(other)))?;
        Ok(Self { server, all, generator, machine: Cpu::of_machine()? })
    }
}

/// What a contender's processes and those of its database have used so far.
fn used_by(contender: &Contender) -> Outcome<Cpu> {
    let mut server = Cpu::of_processes(&contender.server.place.as_ref().map(Place::processes).unwrap_or_default())?;
    for process in contender.servers() {
        server = server.and(Cpu::of_process(process.id())?);
    }
    Ok(server)
}

struct Thread {
    orders: Sender<Order>,
    slices: Receiver<Outcome<Slice>>,
}

/// Which server to ask, and for how long.
#[derive(Clone, Copy)]
struct Order {
    place: usize,
    length: Duration,
}

/// What a thread saw: the nanoseconds of each answer, and how long all of them took.
type Slice = (Vec<u32>, Duration);

/// What a thread connects to.
#[derive(Clone)]
struct Target {
    /// Of all its processes, which the connections are spread over.
    addresses: Vec<SocketAddr>,
    key: String,
}

impl Generator {
    /// Connects to every server and warms it up.
    pub(crate) fn start(scenario: Scenario, connections: usize, threads: usize, contenders: &[Contender]) -> Outcome<Self> {
        let targets = contenders
            .iter()
            .map(|c| Target { addresses: c.servers().map(|server| server.address).collect(), key: c.key.clone() });
        let targets: Vec<Target> = targets.collect();
        let shares =
            |thread| (thread..connections).step_by(threads).map(|first| Share::new(first, connections, scenario.orgs()));
        let threads = (0..threads).map(|thread| Thread::start(scenario, targets.clone(), shares(thread).collect()));
        let generator = Self { threads: threads.collect() };
        for thread in &generator.threads {
            thread.slices.recv()??;
        }
        for place in 0..contenders.len() {
            generator.measure(place, contenders, WARM_UP)?;
        }
        Ok(generator)
    }

    /// Asks the server at this place among the contenders for so long.
    pub(crate) fn measure(&self, place: usize, contenders: &[Contender], length: Duration) -> Outcome<Measured> {
        let (begun, before) = (Instant::now(), Used::so_far(place, contenders)?);
        for thread in &self.threads {
            thread.orders.send(Order { place, length })?;
        }
        let mut waits = Vec::new();
        let mut per_second = 0.0;
        for thread in &self.threads {
            let (thread_waits, elapsed) = thread.slices.recv()??;
            per_second += rate(thread_waits.len(), elapsed);
            waits.extend(thread_waits);
        }
        let used = Used::so_far(place, contenders)?;
        let cpu = used.server.since(before.server);
        let ours = used.all.since(before.all).all() + used.generator.since(before.generator).all();
        let others = used.machine.since(before.machine).all().saturating_sub(ours);
        let others = others.as_secs_f64() / begun.elapsed().as_secs_f64();
        waits.sort_unstable();
        Ok(Measured { per_second, p50: percentile(&waits, 50)?, p99: percentile(&waits, 99)?, count: waits.len(), cpu, others })
    }
}

impl Thread {
    /// The thread ends when nobody can tell it anything any more. Its first slice says that it has connected.
    fn start(scenario: Scenario, targets: Vec<Target>, shares: Vec<Share>) -> Self {
        let (orders, told) = channel();
        let (report, slices) = channel();
        thread::spawn(move || {
            if let Err(error) = run(scenario, &targets, &shares, &told, &report) {
                // Nobody listens any more once the generator has failed elsewhere.
                let _ = report.send(Err(error));
            }
        });
        Self { orders, slices }
    }
}

fn run(
    scenario: Scenario,
    targets: &[Target],
    shares: &[Share],
    told: &Receiver<Order>,
    report: &Sender<Outcome<Slice>>,
) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connections = Vec::new();
    for target in targets {
        connections.push(runtime.block_on(connect(scenario, target, shares))?);
    }
    report.send(Ok((Vec::new(), Duration::ZERO)))?;
    while let Ok(Order { place, length }) = told.recv() {
        report.send(Ok(ask(&runtime, &mut connections[place], length)?))?;
    }
    Ok(())
}

async fn connect(scenario: Scenario, target: &Target, shares: &[Share]) -> Outcome<Vec<Connection>> {
    let mut connecting = JoinSet::new();
    for (share, address) in shares.iter().copied().zip(target.addresses.iter().copied().cycle()) {
        let key = target.key.clone();
        connecting.spawn(async move { Connection::open(scenario, share, &key, address).await });
    }
    connecting.join_all().await.into_iter().collect()
}

fn ask(runtime: &Runtime, connections: &mut Vec<Connection>, length: Duration) -> Outcome<Slice> {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for mut connection in std::mem::take(connections) {
            asking.spawn(async move { connection.ask_until(begun + length).await.map(|waits| (connection, waits)) });
        }
        let mut all = Vec::new();
        for asked in asking.join_all().await {
            let (connection, waits) = asked?;
            connections.push(connection);
            all.extend(waits);
        }
        Ok((all, begun.elapsed()))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^53")]
fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The wait that so many of a hundred do not exceed, of sorted nanoseconds.
fn percentile(sorted: &[u32], percent: usize) -> Outcome<Duration> {
    let wait = sorted.get(sorted.len() * percent / 100).ok_or("nothing was measured")?;
    Ok(Duration::from_nanos(u64::from(*wait)))
}
