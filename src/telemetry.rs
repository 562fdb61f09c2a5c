//! Logs and metrics.

mod activity;
mod tally;

use std::fmt::Write;
use std::time::Duration;

use clap::ValueEnum;
use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::LimitKeyName;
use crate::domain::time::UtcMillis;

pub use activity::{Activity, DayTally, Misses, missed};

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
const OUTCOMES: [&str; tally::OUTCOMES] =
    ["allowed", "limit_reached", "rate_limit_exceeded", "retention_exceeded", "feature_unavailable", "org_banned"];
/// The classes of statuses, in the order of their counters.
const CLASSES: [&str; tally::CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// What Plimsoll limits per source to guard itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// Credentials that do not hold.
    FailedAuthentication,
    /// Requests to the admin API.
    AdminApi,
}

impl Guarded {
    /// The bucket that a 429 names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedAuthentication => "failedAuthentication",
            Self::AdminApi => "adminApi",
        }
    }
}

/// An open connection, counted as long as it is kept.
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// What stands for the limit keys that have no lines of their own. No limit key has this name.
const OTHERS: &str = "_others";

/// The metric of response times.
const DURATIONS: &str = "plimsoll_http_request_duration_seconds";

/// What is counted, and how it is shown. What every request counts is kept by its thread, and handed on when somebody asks.
pub struct Metrics {
    handle: PrometheusHandle,
    responses: [Counter; tally::CLASSES],
    decisions: [[Counter; tally::OUTCOMES]; tally::KINDS],
    revision: Gauge,
    age: Gauge,
    failed_authentications: Counter,
    admin_requests: Counter,
    connections: Gauge,
}

impl Metrics {
    /// Starts counting. Once a process.
    pub fn start() -> Result<Self, String> {
        let failed = |error| format!("The metrics cannot be started: {error}");
        let handle = PrometheusBuilder::new().install_recorder().map_err(failed)?;
        describe();
        Ok(Self {
            handle,
            responses: CLASSES.map(|class| counter!("plimsoll_http_responses_total", "status" => class)),
            decisions: Kind::ALL.map(|kind| {
                OUTCOMES.map(|outcome| counter!("plimsoll_decisions_total", "kind" => kind.as_str(), "outcome" => outcome))
            }),
            revision: gauge!("plimsoll_snapshot_revision"),
            age: gauge!("plimsoll_snapshot_age_seconds"),
            failed_authentications: limited(Guarded::FailedAuthentication),
            admin_requests: limited(Guarded::AdminApi),
            connections: gauge!("plimsoll_connections"),
        })
    }

    /// A request was answered.
    pub fn answered(&self, status: u16, duration: Duration) {
        let class = usize::from(status).checked_div(100).and_then(|class| class.checked_sub(1));
        tally::answered(class, duration);
    }

    /// A question about this limit key was decided. `outcome` is `allowed` or a refusal's code.
    pub fn decided(&self, limit_key: &LimitKey, outcome: &str, now: UtcMillis) {
        let kind = limit_key.kind();
        let kind = Kind::ALL.iter().position(|other| *other == kind);
        let outcome = OUTCOMES.iter().position(|other| *other == outcome);
        if let Some((kind, outcome)) = kind.zip(outcome) {
            tally::decided(kind, outcome);
            activity::decided(&limit_key.name, outcome, now);
        }
    }

    /// A request was refused because its source had sent too many.
    pub fn limited(&self, what: Guarded) {
        match what {
            Guarded::FailedAuthentication => self.failed_authentications.increment(1),
            Guarded::AdminApi => self.admin_requests.increment(1),
        }
    }

    /// A connection was accepted.
    pub fn connected(&self) -> Connected {
        self.connections.increment(1);
        Connected(self.connections.clone())
    }

    /// A call was refused because there was no memory to count it in its sliding windows.
    pub fn limiter_full(&self) {
        counter!("plimsoll_limiter_full_total").increment(1);
    }

    /// Receipts of refused takings were not kept: there were too many at once, or they could not be written.
    pub fn receipts_dropped(&self, count: usize) {
        counter!("plimsoll_receipts_dropped_total").increment(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A process's own sliding windows stood in for the shared ones.
    pub fn limiter_degraded(&self) {
        counter!("plimsoll_limiter_degraded_total").increment(1);
    }

    /// How many servers hold shared sliding windows, and how many of them are not reached.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point; there are few servers")]
    pub fn limiter_servers(&self, servers: usize, away: usize) {
        gauge!("plimsoll_limiter_servers").set(servers as f64);
        gauge!("plimsoll_limiter_servers_away").set(away as f64);
        // It is there before it is needed, so that its first increase is seen.
        counter!("plimsoll_limiter_degraded_total").increment(0);
    }

    /// Bytes of memory that sliding windows take.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point; memory stays far below 2^53 bytes")]
    pub fn limiter(&self, bytes: u64) {
        gauge!("plimsoll_limiter_bytes").set(bytes as f64);
    }

    /// The revision that questions are answered from, and for how long it has not been known whether there is a newer one.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point; revisions stay far below 2^53")]
    pub fn snapshot(&self, revision: u64, age: Duration) {
        self.revision.set(revision as f64);
        self.age.set(age.as_secs_f64());
    }

    /// Everything, in the text form of Prometheus.
    pub fn render(&self) -> String {
        let total = tally::total();
        let counters = self.responses.iter().chain(self.decisions.as_flattened());
        for (counter, count) in counters.zip(total.responses.iter().chain(total.decisions.as_flattened())) {
            counter.absolute(*count);
        }
        for (limit_key, counts) in activity::totals() {
            let label = limit_key.as_ref().map_or(OTHERS, LimitKeyName::as_str).to_owned();
            for (outcome, count) in OUTCOMES.iter().zip(counts).filter(|(_, count)| *count > 0) {
                counter!("plimsoll_limit_key_decisions_total", "limit_key" => label.clone(), "decision" => *outcome)
                    .absolute(count);
            }
        }
        let mut text = self.handle.render();
        // Writing into a string cannot fail.
        let _ = write_durations(&mut text, &total.buckets, Duration::from_nanos(total.nanos));
        text
    }

    /// Folds what histograms recorded since the last time into their buckets, so that it takes no more room.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// The histogram of response times. Its buckets are cumulated, as Prometheus wants them.
fn write_durations(text: &mut String, buckets: &[u64], sum: Duration) -> std::fmt::Result {
    writeln!(text, "# HELP {DURATIONS} Seconds from the request's head to the response's.\n# TYPE {DURATIONS} histogram")?;
    let mut count: u64 = 0;
    let bounds = tally::BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string()).chain(["+Inf".to_owned()]);
    for (bound, bucket) in bounds.zip(buckets) {
        count = count.saturating_add(*bucket);
        writeln!(text, "{DURATIONS}_bucket{{le=\"{bound}\"}} {count}")?;
    }
    writeln!(text, "{DURATIONS}_sum {}\n{DURATIONS}_count {count}\n", sum.as_secs_f64())
}

fn limited(what: Guarded) -> Counter {
    counter!("plimsoll_sources_limited_total", "bucket" => what.as_str())
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("plimsoll_http_responses_total", "Responses, by the class of their status.");
    describe_counter!("plimsoll_decisions_total", "Decisions, by kind of limit key and outcome.");
    describe_counter!("plimsoll_limit_key_decisions_total", "Decisions, by limit key and outcome.");
    describe_counter!("plimsoll_database_statements_total", "SQL statements sent to the database.");
    describe_counter!("plimsoll_sources_limited_total", "Requests answered 429 because their source had sent too many.");
    describe_gauge!("plimsoll_connections", "Open connections.");
    describe_counter!("plimsoll_limiter_full_total", "Calls refused because sliding windows had used up their memory.");
    describe_counter!(
        "plimsoll_receipts_dropped_total",
        "Receipts of refused takings that were not kept: too many at once, or no database."
    );
    describe_gauge!("plimsoll_limiter_bytes", "Bytes of memory that sliding windows take.");
    describe_gauge!(
        "plimsoll_snapshot_age_seconds",
        "For how long it has not been known whether there is a newer revision; 0 with an embedded database."
    );
    describe_gauge!("plimsoll_database_up", "Whether the database server answers.");
    describe_counter!(
        "plimsoll_ledger_overtaken_total",
        "Batches that another process was faster than, and that were done again."
    );
    describe_counter!(
        "plimsoll_limiter_degraded_total",
        "Times that a process's own sliding windows stood in for the shared ones."
    );
    describe_gauge!("plimsoll_limiter_servers", "Redis servers that hold shared sliding windows.");
    describe_gauge!(
        "plimsoll_limiter_servers_away",
        "Redis servers that are not asked for sliding windows, because they are not reached."
    );
    describe_counter!(
        "plimsoll_webhook_deliveries_total",
        "Tries to deliver to webhooks: delivered, failed, given_up, or gone (410)."
    );
    describe_histogram!("plimsoll_webhook_delivery_duration_seconds", "Seconds that a try to deliver to a webhook took.");
    describe_gauge!(
        "plimsoll_webhook_backlog_age_seconds",
        "How long what waits longest has waited to be delivered to a webhook, by the process that delivers."
    );
    describe_gauge!("plimsoll_snapshot_revision", "The catalogue revision that questions are answered from.");
}
