//! The table: ratios, side by side.

use std::time::Duration;

use crate::load::Measured;
use crate::{Candidate, Outcome, Scenario};

/// One round of both.
pub(crate) struct Pair {
    pub(crate) bare: Measured,
    pub(crate) candidate: Measured,
}

/// What is measured, and what the server costs before anybody asks.
pub(crate) fn head(scenario: Scenario, candidate: &Candidate, answer_bytes: usize) -> Outcome<()> {
    let Candidate { name, server, started_in, .. } = candidate;
    let resident = server.resident_kib()?;
    println!("{}: {} orgs, answers of {answer_bytes} bytes", scenario.name(), scenario.orgs());
    println!("{name}: started on its database in {:.1} ms, idle with {resident} KiB", started_in.as_secs_f64() * 1_000.0);
    println!(
        "{:<14} {:>6}  {:<9} {:>10} {:>9} {:>9} {:>7} {:>10}",
        "scenario", "conns", "server", "req/s", "p50 µs", "p99 µs", "ratio", "p99 ratio"
    );
    Ok(())
}

/// The medians over all rounds. The ratio is the median of the rounds' own ratios: their halves ran right after each other.
pub(crate) fn rows(scenario: Scenario, connections: usize, name: &str, pairs: &[Pair]) {
    let over = |figure: fn(&Pair) -> f64| median(pairs.iter().map(figure).collect());
    let bare = [over(|p| p.bare.per_second), over(|p| micros(p.bare.p50)), over(|p| micros(p.bare.p99))];
    let other = [over(|p| p.candidate.per_second), over(|p| micros(p.candidate.p50)), over(|p| micros(p.candidate.p99))];
    let ratio = over(|p| p.candidate.per_second / p.bare.per_second);
    let p99_ratio = over(|p| micros(p.candidate.p99) / micros(p.bare.p99));
    for (server, [per_second, p50, p99], ratio, p99_ratio) in [("bare", bare, 1.0, 1.0), (name, other, ratio, p99_ratio)] {
        println!(
            "{:<14} {connections:>6}  {server:<9} {per_second:>10.0} {p50:>9.0} {p99:>9.0} {ratio:>7.2} {p99_ratio:>10.2}",
            scenario.name()
        );
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
