//! The table: ratios, side by side.

use std::time::Duration;

use crate::load::Measured;
use crate::scenario::Scenario;
use crate::{Contender, Outcome};

/// What is measured, and what the servers cost before anybody asks.
pub(crate) fn head(scenario: Scenario, contenders: &[Contender]) -> Outcome<()> {
    println!("{}: {} orgs in turn", scenario.name(), scenario.orgs());
    for Contender { name, server, notes, .. } in contenders {
        let notes = notes.iter().map(|note| format!(", {note}")).collect::<String>();
        let started_in = server.started_in.as_secs_f64() * 1_000.0;
        println!("  {name}: listened after {started_in:.1} ms, has {} KiB in memory{notes}", server.resident_kib()?);
    }
    let of = contenders.iter().filter(|contender| contender.is_reference);
    let of = of.map(|contender| format!(" {:>9} {:>9}", format!("of {}", contender.name), "its p99")).collect::<String>();
    println!(
        "{:<14} {:>6}  {:<12} {:>9} {:>8} {:>8} {:>14}{of}",
        "scenario", "conns", "server", "req/s", "p50 µs", "p99 µs", "cpu µs (user)"
    );
    Ok(())
}

/// The medians over all rounds. A ratio is the median of the rounds' own ratios: what they compare ran right after each other.
pub(crate) fn rows(scenario: Scenario, connections: usize, contenders: &[Contender], rounds: &[Vec<Measured>]) {
    for (place, contender) in contenders.iter().enumerate() {
        let over = |figure: &dyn Fn(&[Measured]) -> f64| median(rounds.iter().map(|round| figure(round)).collect());
        let per_second = over(&|round| round[place].per_second);
        let (p50, p99) = (over(&|round| micros(round[place].p50)), over(&|round| micros(round[place].p99)));
        let (cpu, user) = cpu(rounds.iter().map(|round| &round[place]));
        let references = (0..contenders.len()).filter(|other| contenders[*other].is_reference);
        let ratios = references.map(|other| {
            let ratio = over(&|round| round[place].per_second / round[other].per_second);
            let p99 = over(&|round| micros(round[place].p99) / micros(round[other].p99));
            format!(" {ratio:>9.3} {p99:>9.2}")
        });
        let (name, server, ratios) = (scenario.name(), &contender.name, ratios.collect::<String>());
        println!(
            "{name:<14} {connections:>6}  {server:<12} {per_second:>9.0} {p50:>8.0} {p99:>8.0} {cpu:>7.2} {:>6}{ratios}",
            format!("({user:.2})")
        );
    }
}

/// Microseconds of processor time per request, over all rounds: all of it, and what was not the kernel's.
#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^53")]
fn cpu<'a>(all: impl Iterator<Item = &'a Measured>) -> (f64, f64) {
    let (mut count, mut user, mut kernel) = (0, Duration::ZERO, Duration::ZERO);
    for measured in all {
        count += measured.count;
        user += measured.cpu.user;
        kernel += measured.cpu.kernel;
    }
    let per_request = |time: Duration| micros(time) / count as f64;
    (per_request(user + kernel), per_request(user))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
