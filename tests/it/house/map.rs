//! The map: what each part of the house uses today. Entries are taken away, or argued for.

/// A part of `src/`.
pub(super) struct Layer {
    pub(super) name: &'static str,
    /// The other parts that it uses.
    pub(super) uses: &'static [&'static str],
    /// The libraries that it names.
    pub(super) libraries: &'static [&'static str],
}

const fn layer(name: &'static str, uses: &'static [&'static str], libraries: &'static [&'static str]) -> Layer {
    Layer { name, uses, libraries }
}

/// From the bottom to the top.
#[rustfmt::skip]
pub(super) const LAYERS: &[Layer] = &[
    layer("domain", &[], &["jiff", "percent_encoding", "serde", "thiserror"]),
    layer("clock", &["domain"], &[]),
    layer("telemetry", &["domain"], &["clap", "foldhash", "metrics", "metrics_exporter_prometheus", "tracing_subscriber"]),
    layer("wire", &["domain"], &["deserr", "serde", "serde_json", "utoipa"]),
    layer(
        "identity",
        &["domain"],
        &["arc_swap", "aws_lc_rs", "base64", "jsonwebtoken", "reqwest", "secrecy", "serde", "serde_json", "sha2", "subtle", "thiserror", "tokio", "tracing"],
    ),
    layer(
        "store",
        &["domain"],
        &["async_trait", "aws_lc_rs", "entity", "foldhash", "metrics", "migration", "sea_orm", "serde", "serde_json", "thiserror", "tokio", "tracing", "uuid"],
    ),
    layer(
        "webhooks",
        &["domain", "store"],
        &["aws_lc_rs", "base64", "ipnet", "metrics", "reqwest", "secrecy", "serde", "serde_json", "thiserror", "tokio", "tracing", "uuid"],
    ),
    layer("snapshot", &["domain", "store"], &["arc_swap", "foldhash", "quick_cache", "tokio", "tracing"]),
    layer("ledger", &["domain", "store"], &["foldhash", "futures_util", "hashbrown", "metrics", "quick_cache", "sea_orm", "tokio", "tracing"]),
    layer("limiter", &["domain"], &["arc_swap", "foldhash", "hashbrown", "redis", "tokio", "tracing"]),
    layer(
        "http",
        &["clock", "domain", "identity", "ledger", "limiter", "snapshot", "store", "telemetry", "webhooks", "wire"],
        &["actix_web", "deserr", "futures_util", "ipnet", "secrecy", "serde", "serde_json", "serde_urlencoded", "sha2", "subtle", "tokio", "tracing", "utoipa", "utoipa_swagger_ui", "uuid"],
    ),
    layer("config", &["domain", "identity", "limiter", "telemetry", "webhooks"], &["clap", "ipnet", "secrecy", "tracing"]),
    layer("by_hand", &["clock", "domain", "store", "wire"], &["serde_json", "yaml_serde"]),
    layer(
        "server",
        &["by_hand", "clock", "config", "domain", "http", "identity", "ledger", "limiter", "snapshot", "store", "telemetry", "webhooks"],
        &["actix_http", "actix_service", "actix_web", "rustix", "secrecy", "tokio", "tracing"],
    ),
    layer(
        "cli",
        &["by_hand", "clock", "config", "domain", "http", "identity", "server", "store", "telemetry", "wire"],
        &["clap", "reqwest", "secrecy", "serde_json", "tokio", "tracing", "yaml_serde"],
    ),
    layer("lib", &[], &[]),
    layer("main", &[], &["mimalloc"]),
];

const SQL: [&str; 6] = ["SELECT", "INSERT INTO", "DELETE FROM", "CREATE TABLE", "PRAGMA", "BEGIN IMMEDIATE"];

/// Words that a part may not say, also not in texts.
pub(super) const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "async",
            "await",
            "SystemTime",
            "Instant",
            "Timestamp::now",
            "std::fs",
            "std::io",
            "std::net",
            "std::env",
            "std::thread",
            "println!",
            "eprintln!",
        ],
    ),
    ("wire", &["async", "await", "SystemTime", "Instant", "std::fs", "std::net", "std::env", "println!", "eprintln!"]),
    ("store", &["StatusCode", "HttpResponse", "std::env", "println!", "eprintln!"]),
    ("ledger", &["StatusCode", "HttpResponse", "std::env", "println!", "eprintln!"]),
    ("identity", &SQL),
    ("webhooks", &SQL),
    ("snapshot", &SQL),
    ("http", &SQL),
    ("server", &SQL),
    ("cli", &SQL),
];

/// The crates beside the product, and the libraries that they name.
pub(super) const ROWS_AND_STEPS: &[(&str, &[&str])] =
    &[("entity/src", &["sea_orm"]), ("migration/src", &["async_trait", "sea_orm_migration"])];

/// Rows have no behaviour.
pub(super) const FUNCTIONS_OF_ROWS: usize = 0;
