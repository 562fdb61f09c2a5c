//! How close Plimsoll comes to a bare web server: both are started side by side, asked in turn by the same generator on the same
//! machine in the same run, and what counts is the ratio.
//!
//! ```text
//! cargo bench --bench throughput                                        # every scenario
//! cargo bench --bench throughput -- check --rounds 21 --connections 64  # one of them
//! cargo bench --bench throughput -- check --binary old --binary new     # two builds beside each other
//! cargo bench --bench throughput -- pg-check pg-consume pg-consume-hot pg-consume-two --connections 256   # on PostgreSQL
//! cargo bench --bench throughput -- self                                # the generator against itself: about 1.00
//! ```

#![expect(clippy::arithmetic_side_effects, reason = "a benchmark adds up small numbers that it counted itself")]
#![expect(clippy::indexing_slicing, reason = "places come from the lists that they point into; a mistake stops the run")]

#[path = "throughput/bare.rs"]
mod bare;
#[path = "throughput/beside.rs"]
mod beside;
#[path = "throughput/client.rs"]
mod client;
#[path = "throughput/connection.rs"]
mod connection;
#[path = "throughput/cpu.rs"]
mod cpu;
#[path = "throughput/load.rs"]
mod load;
#[path = "throughput/naive.rs"]
mod naive;
#[path = "throughput/naive_postgres.rs"]
mod naive_postgres;
#[path = "../it/harness/output.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod output;
#[path = "throughput/place.rs"]
mod place;
#[path = "throughput/plimsoll.rs"]
mod plimsoll;
#[path = "../it/harness/postgres/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use more of it")]
#[allow(clippy::expect_used, clippy::panic, reason = "it was written for tests, and a benchmark that fails stops as they do")]
mod postgres;
#[path = "throughput/report.rs"]
mod report;
#[path = "throughput/request.rs"]
mod request;
#[path = "throughput/scenario.rs"]
mod scenario;
#[path = "throughput/server.rs"]
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use beside::Beside;
use load::{Generator, Measured};
use postgres::Postgres;
use scenario::Scenario;
use server::Server;

/// What other processes may take, in processors, for a round to count as quiet.
const QUIET: f64 = 0.1;

/// Whatever went wrong: the run stops with it, because a benchmark that measures errors is worthless.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures Plimsoll beside a bare web server.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything but `self` when nothing is named.
    scenarios: Vec<Scenario>,
    /// Measured seconds of each server in each round.
    #[arg(long, default_value_t = 1)]
    seconds: u64,
    /// Rounds that count, in each of which every server is asked: what is shown is their median.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// The most rounds. They go on until there are enough in which nothing else ran, and the quietest count.
    #[arg(long, default_value_t = 44)]
    most_rounds: usize,
    /// Keep-alive connections to each server.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    connections: Vec<usize>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Another build of Plimsoll to measure; several can be named, to compare them.
    #[arg(long)]
    binary: Vec<PathBuf>,
    /// Connections of the naive server to PostgreSQL: as many as Plimsoll takes with.
    #[arg(long, default_value_t = 10)]
    pool: u32,
    /// Run as the bare server, answering so many bytes (the benchmark starts itself so).
    #[arg(long, hide = true)]
    bare_server: Option<usize>,
    /// The same as the naive server.
    #[arg(long, hide = true)]
    naive_server: Option<usize>,
    /// The PostgreSQL that the naive server uses.
    #[arg(long, hide = true)]
    naive_url: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server that is measured.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) server: Server,
    /// More processes of it, on the same database.
    pub(crate) more: Vec<Server>,
    /// The bearer that it is asked with.
    pub(crate) key: String,
    /// Whether the others are shown as a ratio of this one.
    pub(crate) is_reference: bool,
    /// What a reader has to know about it.
    pub(crate) notes: Vec<String>,
}

impl Contender {
    /// All its processes.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.more)
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    match (options.bare_server, options.naive_server, &options.naive_url) {
        (Some(answer_bytes), _, _) => return bare::serve(answer_bytes),
        (None, Some(answer_bytes), None) => return naive::serve(answer_bytes),
        (None, Some(answer_bytes), Some(url)) => return naive_postgres::serve(answer_bytes, url, options.pool),
        (None, None, _) => {}
    }
    let chosen = if options.scenarios.is_empty() { Scenario::USUAL } else { options.scenarios.as_slice() };
    chosen.iter().try_for_each(|scenario| measure(*scenario, &options))
}

fn measure(scenario: Scenario, options: &Options) -> Outcome<()> {
    let contenders = contenders(scenario, options)?;
    report::head(scenario, &contenders)?;
    for connections in &options.connections {
        let generator = Generator::start(scenario, *connections, options.threads, &contenders)?;
        let length = Duration::from_secs(options.seconds);
        let mut rounds = Vec::new();
        let beside = Beside::start(scenario, &contenders);
        while rounds.len() < options.most_rounds && count_quiet(&rounds) < options.rounds {
            rounds.push(round(&generator, &contenders, length, rounds.len() % 2 == 1)?);
        }
        let asked = rounds.len();
        let taken_beside = beside.map(Beside::stop).transpose()?;
        rounds.sort_by(|a, b| others(a).total_cmp(&others(b)));
        rounds.truncate(options.rounds);
        report::rows(scenario, *connections, &contenders, &rounds);
        let loudest = rounds.last().map_or(0.0, |round| others(round));
        if let Some(per_second) = taken_beside {
            println!("  {per_second:.0} takings a second ran beside all of it");
        }
        println!("  the {} quietest of {asked} rounds; other processes took up to {loudest:.2} processors", rounds.len());
    }
    Ok(())
}

fn count_quiet(rounds: &[Vec<Measured>]) -> usize {
    rounds.iter().filter(|round| others(round) <= QUIET).count()
}

/// What other processes took in a round, in processors.
fn others(round: &[Measured]) -> f64 {
    round.iter().map(|measured| measured.others).fold(0.0, f64::max)
}

/// The bare server first. What Plimsoll answers says how much the others have to.
fn contenders(scenario: Scenario, options: &Options) -> Outcome<Vec<Contender>> {
    if scenario == Scenario::Itself {
        return Ok(vec![bare::start("bare", bare::USUAL_ANSWER)?, bare::start("bare too", bare::USUAL_ANSWER)?]);
    }
    if scenario == Scenario::Naive {
        return Ok(vec![bare::start("bare", bare::USUAL_ANSWER)?, naive::start(bare::USUAL_ANSWER)?]);
    }
    // Memory and durability as PostgreSQL has them by itself; all who are measured share it, in databases of their own.
    let cluster = scenario.is_on_postgres().then(|| Arc::new(Postgres::with(postgres::Options::usual_size)));
    let on_postgres = |answer_bytes, cluster| naive_postgres::start(answer_bytes, cluster, scenario.orgs(), options.pool);
    if let (Scenario::PgNaive, Some(cluster)) = (scenario, &cluster) {
        return Ok(vec![bare::start("bare", bare::USUAL_ANSWER)?, on_postgres(bare::USUAL_ANSWER, cluster)?]);
    }
    let measured = plimsoll::start_all(scenario, &options.binary, cluster.as_ref())?;
    let first = measured.first().ok_or("there is nothing to measure")?;
    let answer_bytes = client::ask(&first.server, &first.key, scenario)?.body.len();
    let mut contenders = vec![bare::start("bare", answer_bytes)?];
    match &cluster {
        None if scenario.takes_usage() => contenders.push(naive::start(answer_bytes)?),
        Some(cluster) if matches!(scenario, Scenario::PgConsume | Scenario::PgConsumeHot) => {
            contenders.push(on_postgres(answer_bytes, cluster)?);
        }
        Some(_) | None => {}
    }
    contenders.extend(measured);
    Ok(contenders)
}

/// Asks every server, every other round in reverse: a drift of the machine cancels out.
fn round(generator: &Generator, contenders: &[Contender], length: Duration, is_reversed: bool) -> Outcome<Vec<Measured>> {
    let count = contenders.len();
    let mut measured = Vec::with_capacity(count);
    for turn in 0..count {
        let place = if is_reversed { count - 1 - turn } else { turn };
        measured.push((place, generator.measure(place, contenders, length)?));
    }
    measured.sort_by_key(|(place, _)| *place);
    Ok(measured.into_iter().map(|(_, measured)| measured).collect())
}
