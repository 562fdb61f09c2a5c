//! A move from an embedded database to a server, whole or not at all.
//!
//! Everything is written in one transaction, read back in it, and compared by the number of rows and a digest of what they hold.

mod answers;
mod copy;

use entity::{
    api_key, api_key_rate, api_key_scope, api_key_secret, catalogue_revision, change_log, decision, event, event_feed,
    limit_key_activity, limit_key_unknown, limit_key_use, org, org_override, org_schedule, removed_endpoint, reservation,
    scope, tier, tier_limit, tier_limit_schedule, usage, user_ban, webhook, webhook_delivery, webhook_progress, webhook_secret,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait};

use super::location::Place;
use super::lock::Lock;
use super::open::{self, OpenError};
use super::postgres::{Purpose, Server};
use crate::domain::time::UtcMillis;
use copy::{Copied, Source};

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// From and to are not what they have to be.
    #[error("{0}")]
    Direction(&'static str),
    /// The target has data.
    #[error("The database {name} is not empty: it has rows in {table}. Nothing was changed")]
    NotEmpty {
        /// The host, the port and the database.
        name: String,
        /// A table with rows.
        table: String,
    },
    /// What was written is not what was read.
    #[error("What was written to {0} is not what was read. Nothing was changed")]
    Differs(&'static str),
    /// One of the databases failed.
    #[error("The transfer failed, and nothing was changed: {0}")]
    Database(#[from] DbErr),
}

/// What was moved of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The table.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
    /// A digest of what they hold, whatever their order, in hexadecimal.
    pub digest: String,
}

/// Moves everything from an embedded database to an empty one at a server, and says what.
///
/// `now` decides which kept answers are still kept. The embedded database stays as it is, and nobody else may serve it meanwhile.
///
/// Errors are sentences; after one nothing was written.
pub async fn transfer(from: &str, to: &str, now: UtcMillis) -> Result<Vec<Moved>, TransferError> {
    let Place::File(_) = Place::parse(from)? else {
        return Err(TransferError::Direction("--from must name an embedded database, such as sqlite://plimsoll.db"));
    };
    let Place::Server(server) = Place::parse(to)? else {
        return Err(TransferError::Direction("--to must name a PostgreSQL database, such as postgres://user@host/plimsoll"));
    };
    let (path, source) = open::onlooker(from).await?;
    let lock = Lock::take(&path)?;
    let moved = to_server(&source, &server, now).await;
    source.close().await?;
    drop(lock);
    moved
}

async fn to_server(source: &DatabaseConnection, server: &Server, now: UtcMillis) -> Result<Vec<Moved>, TransferError> {
    server.migrate().await.map_err(|trouble| trouble.at_server(&server.name))?;
    let target = server.pool(Purpose::Schema).await?;
    let written = target.begin().await?;
    refuse_rows(&written, server).await?;
    let moved = everything(source, &written, now).await?;
    written.commit().await?;
    // Plans are made by what the tables hold now. If it cannot be found out, it is found out later.
    target.execute_unprepared("ANALYZE").await.ok();
    target.close().await?;
    Ok(moved)
}

/// Tables in the order that rows refer to each other in.
const TABLES: [&str; 27] = [
    "limit_key",
    "tier",
    "tier_limit",
    "tier_limit_schedule",
    "scope",
    "org",
    "org_schedule",
    "org_override",
    "user_ban",
    "api_key",
    "api_key_scope",
    "api_key_secret",
    "api_key_rate",
    "removed_endpoint",
    "change_log",
    "usage",
    "reservation",
    "limit_key_use",
    "event",
    "decision",
    "limit_key_activity",
    "limit_key_unknown",
    "webhook",
    "webhook_secret",
    "webhook_progress",
    "webhook_delivery",
    "answer",
];

async fn refuse_rows(db: &DatabaseTransaction, server: &Server) -> Result<(), TransferError> {
    for table in TABLES {
        let sql = format!("SELECT 1 FROM \"{table}\" LIMIT 1");
        if db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?.is_some() {
            return Err(TransferError::NotEmpty { name: server.name.clone(), table: table.to_owned() });
        }
    }
    Ok(())
}

/// How many reservations there are to be read for each counter.
const HOLDS: &str = "UPDATE usage SET holds = held.holds FROM (SELECT org, limit_key, resource, window_start, count(*) AS holds \
    FROM reservation WHERE status = 'held' GROUP BY org, limit_key, resource, window_start) AS held \
    WHERE usage.org = held.org AND usage.limit_key = held.limit_key AND usage.resource = held.resource \
    AND usage.window_start = held.window_start";

/// The numbers go on where they ended, so that who follows the feed misses nothing.
const LAST_EVENT: &str = "UPDATE event_feed SET last = greatest(swept, (SELECT max(seq) FROM event))";

async fn everything(
    source: &DatabaseConnection,
    target: &DatabaseTransaction,
    now: UtcMillis,
) -> Result<Vec<Moved>, TransferError> {
    let source = Source::begin(source).await?;
    let mut copied = Copied::default();
    copied.limit_keys(&source, target).await?;
    copied.table::<tier::Entity>("tier", &source, target).await?;
    copied.table::<tier_limit::Entity>("tier_limit", &source, target).await?;
    copied.table::<tier_limit_schedule::Entity>("tier_limit_schedule", &source, target).await?;
    copied.table::<scope::Entity>("scope", &source, target).await?;
    copied.table::<org::Entity>("org", &source, target).await?;
    copied.table::<org_schedule::Entity>("org_schedule", &source, target).await?;
    copied.table::<org_override::Entity>("org_override", &source, target).await?;
    copied.table::<user_ban::Entity>("user_ban", &source, target).await?;
    copied.table::<api_key::Entity>("api_key", &source, target).await?;
    copied.table::<api_key_scope::Entity>("api_key_scope", &source, target).await?;
    copied.table::<api_key_secret::Entity>("api_key_secret", &source, target).await?;
    copied.table::<api_key_rate::Entity>("api_key_rate", &source, target).await?;
    copied.table::<removed_endpoint::Entity>("removed_endpoint", &source, target).await?;
    copied.table::<change_log::Entity>("change_log", &source, target).await?;
    target.execute_unprepared("DELETE FROM catalogue_revision").await?;
    copied.table::<catalogue_revision::Entity>("catalogue_revision", &source, target).await?;
    copied.table::<usage::Entity>("usage", &source, target).await?;
    copied.table::<reservation::Entity>("reservation", &source, target).await?;
    copied.table::<limit_key_use::Entity>("limit_key_use", &source, target).await?;
    copied.table::<event::Entity>("event", &source, target).await?;
    target.execute_unprepared("DELETE FROM event_feed").await?;
    copied.table::<event_feed::Entity>("event_feed", &source, target).await?;
    target.execute_unprepared(LAST_EVENT).await?;
    copied.table::<decision::Entity>("decision", &source, target).await?;
    copied.table::<limit_key_activity::Entity>("limit_key_activity", &source, target).await?;
    copied.table::<limit_key_unknown::Entity>("limit_key_unknown", &source, target).await?;
    copied.table::<webhook::Entity>("webhook", &source, target).await?;
    copied.table::<webhook_secret::Entity>("webhook_secret", &source, target).await?;
    copied.table::<webhook_progress::Entity>("webhook_progress", &source, target).await?;
    copied.table::<webhook_delivery::Entity>("webhook_delivery", &source, target).await?;
    target.execute_unprepared(HOLDS).await?;
    copied.add(answers::copy(&source, target, now).await?);
    source.end().await?;
    copied.verified()
}
