//! How close Plimsoll comes to a bare web server: both are started side by side, asked in turn by the same generator on the same
//! machine in the same run, and what counts is the ratio.
//!
//! ```text
//! cargo bench --bench throughput                                    # every scenario
//! cargo bench --bench throughput -- check --seconds 5 --rounds 3    # one of them
//! cargo bench --bench throughput -- self                            # the generator against itself: about 1.00
//! ```

#![expect(clippy::arithmetic_side_effects, reason = "a benchmark adds up small numbers that it counted itself")]

#[path = "throughput/bare.rs"]
mod bare;
#[path = "throughput/client.rs"]
mod client;
#[path = "throughput/load.rs"]
mod load;
#[path = "throughput/plimsoll.rs"]
mod plimsoll;
#[path = "throughput/report.rs"]
mod report;
#[path = "throughput/server.rs"]
mod server;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use load::{Load, Measured};
use report::Pair;
use server::Server;

/// Whatever went wrong: the run stops with it, because a benchmark that measures errors is worthless.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is asked, of how many orgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Two bare servers: shows what the ratio of equals is here.
    #[value(name = "self")]
    Itself,
    /// `POST /v1/check` that is allowed, over 10,000 orgs.
    Check,
    /// The same, refused: the answer carries the denial.
    CheckRefused,
    /// The allowed check over 1,000,000 orgs.
    #[value(name = "check-1m")]
    CheckMillion,
}

impl Scenario {
    const fn orgs(self) -> usize {
        match self {
            Self::Itself | Self::Check | Self::CheckRefused => 10_000,
            Self::CheckMillion => 1_000_000,
        }
    }

    /// The caller's own count, of at most five.
    const fn current(self) -> u64 {
        match self {
            Self::Itself | Self::Check | Self::CheckMillion => 3,
            Self::CheckRefused => 5,
        }
    }

    const fn is_allowed(self) -> bool {
        self.current() < plimsoll::MAX
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Check => "check",
            Self::CheckRefused => "check-refused",
            Self::CheckMillion => "check-1m",
        }
    }
}

/// Measures Plimsoll beside a bare web server.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything but `self` when nothing is named.
    scenarios: Vec<Scenario>,
    /// Measured seconds of each round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds of each server; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Keep-alive connections.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    connections: Vec<usize>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Run as the bare server, answering so many bytes (the benchmark starts itself so).
    #[arg(long, hide = true)]
    bare_server: Option<usize>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    if let Some(answer_bytes) = options.bare_server {
        return bare::serve(answer_bytes);
    }
    let all = [Scenario::Check, Scenario::CheckRefused, Scenario::CheckMillion];
    let chosen = if options.scenarios.is_empty() { all.as_slice() } else { options.scenarios.as_slice() };
    chosen.iter().try_for_each(|scenario| measure(*scenario, &options))
}

fn measure(scenario: Scenario, options: &Options) -> Outcome<()> {
    let candidate = candidate(scenario)?;
    let answer = client::call(&candidate.server, "POST", "/v1/check", &candidate.key, Some(&load::body(scenario, 0)))?;
    let bare = bare::start(answer.body.len())?;
    report::head(scenario, &candidate, answer.body.len())?;
    for connections in &options.connections {
        let mut pairs = Vec::new();
        for round in 0..options.rounds {
            let load = Load { scenario, connections: *connections, threads: options.threads, seconds: options.seconds };
            pairs.push(pair(&load, &bare, &candidate, round % 2 == 1)?);
        }
        report::rows(scenario, *connections, candidate.name, &pairs);
    }
    Ok(())
}

/// What is measured against the bare server.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    pub(crate) key: String,
    /// From the start of the process on an existing database until it listened.
    pub(crate) started_in: Duration,
}

fn candidate(scenario: Scenario) -> Outcome<Candidate> {
    if scenario == Scenario::Itself {
        let server = bare::start(bare::USUAL_ANSWER)?;
        let started_in = server.started_in;
        return Ok(Candidate { name: "bare too", server, key: plimsoll::ADMIN_KEY.to_owned(), started_in });
    }
    plimsoll::start(scenario.orgs())
}

/// One round of each. Every other round starts with the other one, so that a drift of the machine cancels out.
fn pair(load: &Load, bare: &Server, candidate: &Candidate, is_swapped: bool) -> Outcome<Pair> {
    let run = |name: &str, server: &Server| -> Outcome<Measured> {
        load.run(server.address, &candidate.key).map_err(|error| format!("{name}: {error}").into())
    };
    let of_bare = || run("bare", bare);
    let of_candidate = || run(candidate.name, &candidate.server);
    let (bare, candidate) = if is_swapped {
        let candidate = of_candidate()?;
        (of_bare()?, candidate)
    } else {
        (of_bare()?, of_candidate()?)
    };
    Ok(Pair { bare, candidate })
}
