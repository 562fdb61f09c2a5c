//! Logs and metrics.

use std::time::Duration;

use clap::ValueEnum;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::domain::limit_key::Kind;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Sends logs to standard error. `filter` is a level, or directives such as `info,plimsoll::http=debug`.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("PLIMSOLL_LOG is not a log filter: {error}"))?;
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    // A log that cannot be written, such as on a full disk, must not bring down what it reports about.
    let logs = logs.log_internal_errors(false);
    match format {
        LogFormat::Human => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    }
    .map_err(|error| format!("The log cannot be started: {error}"))
}

/// The outcomes that a decision can have, in the order of their counters.
const OUTCOMES: [&str; 6] =
    ["allowed", "limit_reached", "rate_limit_exceeded", "retention_exceeded", "feature_unavailable", "org_banned"];
/// The classes of statuses, in the order of their counters.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Bounds of the buckets of response times, in seconds.
const BUCKETS: [f64; 10] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Counters of what happens. Each is looked up once, so counting costs an addition.
pub struct Metrics {
    handle: PrometheusHandle,
    responses: Vec<Counter>,
    durations: Histogram,
    decisions: Vec<Vec<Counter>>,
    revision: Gauge,
}

impl Metrics {
    /// Starts counting. Once a process.
    pub fn start() -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("The metrics cannot be started: {error}");
        let builder = PrometheusBuilder::new();
        let duration = Matcher::Full("plimsoll_http_request_duration_seconds".to_owned());
        let builder = builder.set_buckets_for_metric(duration, &BUCKETS).map_err(|error| failed(&error))?;
        let handle = builder.install_recorder().map_err(|error| failed(&error))?;
        describe();
        let decisions = Kind::ALL.map(|kind| {
            let of = |outcome| counter!("plimsoll_decisions_total", "kind" => kind.as_str(), "outcome" => outcome);
            OUTCOMES.map(of).into()
        });
        Ok(Self {
            handle,
            responses: CLASSES.map(|class| counter!("plimsoll_http_responses_total", "status" => class)).into(),
            durations: histogram!("plimsoll_http_request_duration_seconds"),
            decisions: decisions.into(),
            revision: gauge!("plimsoll_snapshot_revision"),
        })
    }

    /// A request was answered.
    pub fn answered(&self, status: u16, duration: Duration) {
        let class = usize::from(status).checked_div(100).and_then(|class| class.checked_sub(1));
        if let Some(counter) = class.and_then(|class| self.responses.get(class)) {
            counter.increment(1);
        }
        self.durations.record(duration.as_secs_f64());
    }

    /// A question was decided. `outcome` is `allowed` or a refusal's code.
    pub fn decided(&self, kind: Kind, outcome: &str) {
        let kind = Kind::ALL.iter().position(|other| *other == kind);
        let outcome = OUTCOMES.iter().position(|other| *other == outcome);
        let counters = kind.and_then(|kind| self.decisions.get(kind));
        if let Some(counter) = counters.zip(outcome).and_then(|(counters, outcome)| counters.get(outcome)) {
            counter.increment(1);
        }
    }

    /// The revision that questions are answered from.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point; revisions stay far below 2^53")]
    pub fn snapshot(&self, revision: u64) {
        self.revision.set(revision as f64);
    }

    /// Everything, in the text form of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what was recorded since the last time into the buckets, so that it takes no more room.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("plimsoll_http_responses_total", "Responses, by the class of their status.");
    describe_histogram!("plimsoll_http_request_duration_seconds", "Seconds from the request's head to the response's.");
    describe_counter!("plimsoll_decisions_total", "Decisions, by kind of limit key and outcome.");
    describe_counter!("plimsoll_database_statements_total", "SQL statements sent to the database.");
    describe_gauge!("plimsoll_snapshot_revision", "The catalogue revision that questions are answered from.");
}
