//! Settings: flags and `PLIMSOLL_*` variables of the same name, read in one place.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory};
use ipnet::{IpNet, Ipv4Net};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::api_key::shown_part;
use crate::domain::names::TierName;
use crate::domain::webhook::Schedule;
use crate::identity::jwt::{JwksSource, JwtSettings};
use crate::limiter::{Authorities, Place};
use crate::telemetry::LogFormat;
use crate::webhooks::{Allowed, Settings as DeliverySettings};

/// What libraries say at info is of no use to an operator, and a line for each malformed request could fill a disk.
const DEFAULT_LOG: &str = "info,sea_orm_migration=warn,sqlx=warn,actix_server=warn,actix_http=off";

/// Characters of the key that secrets of webhooks are sealed by: as many as its hash has bytes.
const MIN_WEBHOOK_KEY: usize = 32;

/// Where the database is. Every command takes it.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// An embedded SQLite database, or a PostgreSQL server that any number of processes share: `postgres://user:password@host/database?sslmode=require`.
    #[arg(
        long,
        env = "PLIMSOLL_DATABASE_URL",
        value_name = "PLIMSOLL_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite://plimsoll.db?mode=rwc"
    )]
    pub database_url: String,
}

/// What the log says, and how.
#[derive(Args, Clone, Debug)]
pub struct LogSettings {
    /// A level (error, warn, info, debug, trace), or directives such as `info,plimsoll::http=debug`.
    #[arg(long, env = "PLIMSOLL_LOG", value_name = "PLIMSOLL_LOG", default_value = DEFAULT_LOG, global = true)]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "PLIMSOLL_LOG_FORMAT", value_name = "PLIMSOLL_LOG_FORMAT", default_value = "human", global = true)]
    pub log_format: LogFormat,
}

/// How the service is run.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Where to listen; port 0 picks one and logs it.
    #[arg(long, env = "PLIMSOLL_LISTEN", value_name = "PLIMSOLL_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// A platform admin key to accept: `<prefix>_<64 lowercase hex>`.
    #[arg(long, env = "PLIMSOLL_BOOTSTRAP_ADMIN_KEY", value_name = "PLIMSOLL_BOOTSTRAP_ADMIN_KEY", hide_env_values = true)]
    pub bootstrap_admin_key: Option<SecretString>,
    /// A file that holds it instead.
    #[arg(
        long,
        env = "PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE",
        value_name = "PLIMSOLL_BOOTSTRAP_ADMIN_KEY_FILE",
        conflicts_with = "bootstrap_admin_key"
    )]
    pub bootstrap_admin_key_file: Option<PathBuf>,
    /// A catalogue file (YAML or JSON) to apply at start.
    #[arg(long, env = "PLIMSOLL_CATALOG", value_name = "PLIMSOLL_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// The tier of orgs that were never registered.
    #[arg(long, env = "PLIMSOLL_DEFAULT_TIER", value_name = "PLIMSOLL_DEFAULT_TIER")]
    pub default_tier: Option<TierName>,
    #[command(flatten)]
    jwt: JwtArguments,
    /// How many orgs are kept in memory.
    #[arg(long, env = "PLIMSOLL_CACHE_ORGS", value_name = "PLIMSOLL_CACHE_ORGS", default_value_t = 100_000)]
    pub cache_orgs: u64,
    /// How many API keys are kept in memory.
    #[arg(long, env = "PLIMSOLL_CACHE_API_KEYS", value_name = "PLIMSOLL_CACHE_API_KEYS", default_value_t = 100_000)]
    pub cache_api_keys: u64,
    /// How many idempotency keys each caller may use in 24 hours; one more is a 429.
    #[arg(long, env = "PLIMSOLL_IDEMPOTENCY_RECORDS", value_name = "PLIMSOLL_IDEMPOTENCY_RECORDS", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub idempotency_records: u64,
    /// How many counters of usage are kept in memory, at some 250 bytes each.
    #[arg(long, env = "PLIMSOLL_CACHE_COUNTERS", value_name = "PLIMSOLL_CACHE_COUNTERS", default_value_t = 100_000)]
    pub cache_counters: u64,
    /// Whether the gate also sends `X-RateLimit-Limit`, `-Remaining` and `-Reset`, beside `RateLimit` and `RateLimit-Policy`.
    #[arg(long, env = "PLIMSOLL_X_RATELIMIT_HEADERS", value_name = "PLIMSOLL_X_RATELIMIT_HEADERS", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub x_ratelimit_headers: bool,
    /// Mebibytes that sliding windows may take; 8 to 16 bytes for each call that a window holds, and some 60 for each window.
    #[arg(long, env = "PLIMSOLL_LIMITER_MEMORY_MIB", value_name = "PLIMSOLL_LIMITER_MEMORY_MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub limiter_memory_mib: u64,
    /// Where sliding windows are that several processes share.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// How many days after their end the calendar windows of quotas are kept. What is in the present one is never touched.
    #[arg(long, env = "PLIMSOLL_KEEP_WINDOWS_DAYS", value_name = "PLIMSOLL_KEEP_WINDOWS_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub keep_windows_days: u32,
    /// How many days the audit log is kept; for ever when left out.
    #[arg(long, env = "PLIMSOLL_KEEP_AUDIT_DAYS", value_name = "PLIMSOLL_KEEP_AUDIT_DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub keep_audit_days: Option<u32>,
    /// How many days events are kept for those who follow them.
    #[arg(long, env = "PLIMSOLL_KEEP_EVENTS_DAYS", value_name = "PLIMSOLL_KEEP_EVENTS_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub keep_events_days: u32,
    /// How many hours receipts of refused takings are kept.
    #[arg(long, env = "PLIMSOLL_KEEP_DECISIONS_HOURS", value_name = "PLIMSOLL_KEEP_DECISIONS_HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub keep_decisions_hours: u32,
    /// How many receipts of refused takings are kept at most, at some two kilobytes each; the oldest go first.
    #[arg(long, env = "PLIMSOLL_KEEP_DECISIONS", value_name = "PLIMSOLL_KEEP_DECISIONS", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub keep_decisions: u64,
    /// Threads that answer requests; one for each core when left out.
    #[arg(long, env = "PLIMSOLL_WORKERS", value_name = "PLIMSOLL_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// How a database server is used.
    #[command(flatten)]
    pub server: DatabaseServerSettings,
    /// What the service guards itself with.
    #[command(flatten)]
    pub guard: GuardSettings,
    /// How webhooks are delivered.
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    /// Seconds between failing `/readyz` and closing the door, when told to stop.
    #[arg(long, env = "PLIMSOLL_DRAIN_SECONDS", value_name = "PLIMSOLL_DRAIN_SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_seconds: u64,
}

/// How a database server is used; an embedded database has no use for these.
#[derive(Args, Clone, Debug)]
pub struct DatabaseServerSettings {
    /// Milliseconds that a taking waits at most for a PostgreSQL server, and everything that is asked of it on the way to a decision.
    #[arg(long, env = "PLIMSOLL_DATABASE_DEADLINE_MS", value_name = "PLIMSOLL_DATABASE_DEADLINE_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub database_deadline_ms: u64,
    /// How many connections to a PostgreSQL server reads may use at once; beside them there are three: for takings, for changes, and to be told of changes.
    #[arg(long, env = "PLIMSOLL_DATABASE_READERS", value_name = "PLIMSOLL_DATABASE_READERS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub database_readers: u32,
}

/// Where sliding windows are that several processes share, and how long they are waited for.
#[derive(Args, Clone, Debug)]
pub struct RedisSettings {
    /// The Redis that holds the sliding windows of several processes: `redis://[user:password@]host[:port][/database]`, `rediss://`
    /// for TLS, or several nodes of one cluster with commas between them.
    #[arg(long, env = "PLIMSOLL_REDIS_URL", value_name = "PLIMSOLL_REDIS_URL", hide_env_values = true)]
    redis_url: Option<SecretString>,
    /// A file that holds it instead.
    #[arg(long, env = "PLIMSOLL_REDIS_URL_FILE", value_name = "PLIMSOLL_REDIS_URL_FILE", conflicts_with = "redis_url")]
    redis_url_file: Option<PathBuf>,
    /// A file of certificates (PEM): the authorities that `rediss://` believes, in place of the system's.
    #[arg(long, env = "PLIMSOLL_REDIS_CA", value_name = "PLIMSOLL_REDIS_CA")]
    redis_ca: Option<PathBuf>,
    /// Milliseconds that a call waits for Redis at most, before this process's own windows stand in.
    #[arg(long, env = "PLIMSOLL_REDIS_TIMEOUT_MILLIS", value_name = "PLIMSOLL_REDIS_TIMEOUT_MILLIS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(5..=10_000))]
    redis_timeout_millis: u64,
}

impl RedisSettings {
    /// Where the shared windows are; nothing when there are none.
    pub fn place(&self) -> Result<Option<Place>, String> {
        let name = "PLIMSOLL_REDIS_URL";
        let Some(url) = secret_of(self.redis_url.as_ref(), self.redis_url_file.as_deref(), name)? else {
            let message = "PLIMSOLL_REDIS_CA says whom to believe, and PLIMSOLL_REDIS_URL names nobody to be believed";
            return if self.redis_ca.is_some() { Err(message.to_owned()) } else { Ok(None) };
        };
        let authorities = self.redis_ca.as_deref().map(authorities).transpose()?;
        let patience = Duration::from_millis(self.redis_timeout_millis);
        let place = Place::parse(url.expose_secret(), authorities, patience);
        place.map(Some).map_err(|invalid| format!("{name} {invalid}"))
    }
}

fn authorities(file: &Path) -> Result<Authorities, String> {
    let name = "PLIMSOLL_REDIS_CA";
    let pem = std::fs::read(file).map_err(|error| format!("{name}: {} cannot be read: {error}", file.display()))?;
    Authorities::parse(pem).map_err(|invalid| format!("{name}: {} {invalid}", file.display()))
}

/// How webhooks are delivered.
#[derive(Args, Clone, Debug)]
pub struct WebhookSettings {
    /// A key that the secrets of webhooks are sealed by where they are stored, at least 32 characters; without one they are stored as they are.
    #[arg(long, env = "PLIMSOLL_WEBHOOK_KEY", value_name = "PLIMSOLL_WEBHOOK_KEY", hide_env_values = true)]
    webhook_key: Option<SecretString>,
    /// A file that holds it instead.
    #[arg(long, env = "PLIMSOLL_WEBHOOK_KEY_FILE", value_name = "PLIMSOLL_WEBHOOK_KEY_FILE", conflicts_with = "webhook_key")]
    webhook_key_file: Option<PathBuf>,
    /// Addresses and networks (CIDR) that webhooks may reach although they are not of the public internet, with commas between them.
    #[arg(long, env = "PLIMSOLL_WEBHOOK_ALLOW_PRIVATE", value_name = "PLIMSOLL_WEBHOOK_ALLOW_PRIVATE", value_delimiter = ',', value_parser = network)]
    webhook_allow_private: Vec<IpNet>,
    /// Seconds that a webhook has to answer.
    #[arg(long, env = "PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS", value_name = "PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    webhook_timeout_seconds: u64,
    /// Seconds to wait after each try that failed, with commas between them.
    #[arg(long, env = "PLIMSOLL_WEBHOOK_RETRY_SECONDS", value_name = "PLIMSOLL_WEBHOOK_RETRY_SECONDS", default_value_t = Schedule::default(), value_parser = |text: &str| text.parse::<Schedule>().map_err(|invalid| invalid.0))]
    webhook_retry_seconds: Schedule,
}

impl WebhookSettings {
    /// What secrets are sealed by, if by anything.
    pub fn key(&self) -> Result<Option<SecretString>, String> {
        let name = "PLIMSOLL_WEBHOOK_KEY";
        let key = secret_of(self.webhook_key.as_ref(), self.webhook_key_file.as_deref(), name)?;
        match key {
            Some(key) if key.expose_secret().len() < MIN_WEBHOOK_KEY => {
                Err(format!("{name} must have at least {MIN_WEBHOOK_KEY} characters"))
            }
            key => Ok(key),
        }
    }

    /// Whom webhooks may reach beside the public internet.
    pub fn allowed(&self) -> Allowed {
        Allowed::new(self.webhook_allow_private.clone())
    }

    /// How they are delivered.
    pub fn delivery(&self) -> DeliverySettings {
        let patience = Duration::from_secs(self.webhook_timeout_seconds);
        DeliverySettings { allowed: self.allowed(), patience, schedule: self.webhook_retry_seconds.clone() }
    }
}

/// What the service guards itself with.
#[derive(Args, Clone, Debug)]
pub struct GuardSettings {
    /// Addresses and networks (CIDR) of the proxies whose `X-Forwarded-For` is believed, with commas between them.
    #[arg(long, env = "PLIMSOLL_TRUSTED_PROXIES", value_name = "PLIMSOLL_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// How many credentials that do not hold a source may present in any 60 seconds; 0 is no limit.
    #[arg(long, env = "PLIMSOLL_FAILED_AUTH_PER_MINUTE", value_name = "PLIMSOLL_FAILED_AUTH_PER_MINUTE", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub failed_auth_per_minute: u64,
    /// How many requests a source may send to the admin API in any 60 seconds; 0 is no limit.
    #[arg(long, env = "PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", value_name = "PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub admin_requests_per_minute: u64,
    /// How many connections may be open at once; more wait until one ends.
    #[arg(long, env = "PLIMSOLL_MAX_CONNECTIONS", value_name = "PLIMSOLL_MAX_CONNECTIONS", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub max_connections: u32,
    /// Seconds that a connection stays open between two requests. Let the proxy's own be shorter.
    #[arg(long, env = "PLIMSOLL_KEEP_ALIVE_SECONDS", value_name = "PLIMSOLL_KEEP_ALIVE_SECONDS", default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub keep_alive_seconds: u64,
}

#[derive(Args, Clone, Debug)]
struct JwtArguments {
    /// The secret of HS256 bearers, at least 32 bytes.
    #[arg(long, env = "PLIMSOLL_JWT_SECRET", value_name = "PLIMSOLL_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<SecretString>,
    /// A file that holds it instead.
    #[arg(long, env = "PLIMSOLL_JWT_SECRET_FILE", value_name = "PLIMSOLL_JWT_SECRET_FILE", conflicts_with = "jwt_secret")]
    jwt_secret_file: Option<PathBuf>,
    /// The key set of RS256, ES256 and `EdDSA` bearers: a file or an https URL.
    #[arg(long, env = "PLIMSOLL_JWT_JWKS", value_name = "PLIMSOLL_JWT_JWKS")]
    jwt_jwks: Option<String>,
    /// The issuer that bearers must name. JWT bearers are off unless issuer and audience are set.
    #[arg(long, env = "PLIMSOLL_JWT_ISSUER", value_name = "PLIMSOLL_JWT_ISSUER")]
    jwt_issuer: Option<String>,
    /// The audience that bearers must name.
    #[arg(long, env = "PLIMSOLL_JWT_AUDIENCE", value_name = "PLIMSOLL_JWT_AUDIENCE")]
    jwt_audience: Option<String>,
}

impl ServeSettings {
    /// The admin key to accept, from the setting or its file.
    pub fn admin_key(&self) -> Result<Option<SecretString>, String> {
        let name = "PLIMSOLL_BOOTSTRAP_ADMIN_KEY";
        let Some(key) = secret_of(self.bootstrap_admin_key.as_ref(), self.bootstrap_admin_key_file.as_deref(), name)? else {
            return Ok(None);
        };
        shown_part(key.expose_secret()).map_err(|invalid| format!("{name} {}", invalid.0))?;
        Ok(Some(key))
    }

    /// How JWT bearers are verified; nothing when they are switched off.
    pub fn jwt(&self) -> Result<Option<JwtSettings>, String> {
        let JwtArguments { jwt_secret, jwt_secret_file, jwt_jwks, jwt_issuer, jwt_audience } = &self.jwt;
        let secret = secret_of(jwt_secret.as_ref(), jwt_secret_file.as_deref(), "PLIMSOLL_JWT_SECRET")?;
        let jwks = jwt_jwks.as_deref().map(JwksSource::parse).transpose();
        let jwks = jwks.map_err(|invalid| format!("PLIMSOLL_JWT_JWKS {}", invalid.0))?;
        match (jwt_issuer.clone(), jwt_audience.clone()) {
            (Some(issuer), Some(audience)) => Ok(Some(JwtSettings { issuer, audience, secret, jwks })),
            (None, None) if secret.is_none() && jwks.is_none() => Ok(None),
            (_, _) => {
                tracing::warn!("JWT bearers are off: PLIMSOLL_JWT_ISSUER and PLIMSOLL_JWT_AUDIENCE must both be set");
                Ok(None)
            }
        }
    }
}

/// A network, or the network of one address. IPv4 written as IPv6 is IPv4.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = network.map_err(|_| "it must hold addresses or networks, such as 10.0.0.0/8".to_owned())?;
    let IpNet::V6(v6) = network else { return Ok(network) };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let mapped = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    Ok(mapped.map_or(network, IpNet::V4))
}

/// A secret from its setting, or from the file that another setting names.
pub fn secret_of(value: Option<&SecretString>, file: Option<&Path>, name: &str) -> Result<Option<SecretString>, String> {
    let Some(file) = file else { return Ok(value.cloned()) };
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{name}_FILE: {} cannot be read: {error}", file.display()))?;
    Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
}

/// Refuses a `PLIMSOLL_*` variable that no setting has: a typing error must not pass for a setting.
pub fn check_variables<C: CommandFactory>() -> Result<(), String> {
    let command = C::command();
    let known: BTreeSet<String> = std::iter::once(&command)
        .chain(command.get_subcommands())
        .chain(command.get_subcommands().flat_map(clap::Command::get_subcommands))
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let given = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown = given.filter(|name| name.starts_with("PLIMSOLL_") && !known.contains(name));
    match unknown.next() {
        None => Ok(()),
        Some(name) => {
            let known: Vec<String> = known.into_iter().collect();
            Err(format!("{name} is not a setting. Settings are: {}", known.join(", ")))
        }
    }
}
