//! A `PostgreSQL` server as the database: how it is reached, and how its schema is brought up to date.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use migration::{APPLICATION_ID, Migrator, MigratorTrait};
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement, TransactionTrait};

use super::open::{OpenError, Trouble, counted};
use super::versions::check_versions;

/// The channel that processes tell each other on that the catalogue has a new revision.
pub(super) const CHANNEL: &str = "plimsoll_changes";
/// The longest that a start waits for a connection.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a change of the catalogue, or a step of housekeeping, may take.
pub(super) const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// The longest that a process may do nothing while it brings the schema up to date.
const SCHEMA_IDLE: Duration = Duration::from_secs(60);

/// How a server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The longest that a taking waits for the server, and everything that is asked of it on the way to a decision.
    pub deadline: Duration,
    /// Reads that are under way at once, in one process: so many connections.
    pub readers: u32,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(1), readers: 8 }
    }
}

/// What a connection is for. Each has its own, so that none waits for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What usage is taken through.
    Takings,
    /// Changes of the catalogue, and housekeeping.
    Changes,
    /// Reads.
    Questions,
    /// What is told of changes.
    Listener,
    /// Bringing the schema up to date.
    Schema,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Takings => "plimsoll takings",
            Self::Changes => "plimsoll changes",
            Self::Questions => "plimsoll questions",
            Self::Listener => "plimsoll listener",
            Self::Schema => "plimsoll schema",
        }
    }

    /// How long the server lets a statement run, wait for a lock, and a transaction do nothing. What nobody waits for any more
    /// must not go on holding what others need.
    fn settings(self, deadline: Duration) -> [(&'static str, String); 3] {
        let (statement, lock, idle) = match self {
            Self::Takings => (deadline, deadline, deadline.saturating_mul(2)),
            Self::Questions | Self::Listener => (deadline.saturating_mul(2), deadline, deadline.saturating_mul(2)),
            Self::Changes => (CHANGE_DEADLINE, CHANGE_DEADLINE, CHANGE_DEADLINE),
            // Others may be at it, however long it takes; but who vanished in the midst of it is not waited for.
            Self::Schema => (Duration::ZERO, Duration::ZERO, SCHEMA_IDLE),
        };
        [("statement_timeout", statement), ("lock_timeout", lock), ("idle_in_transaction_session_timeout", idle)]
            .map(|(name, limit)| (name, limit.as_millis().to_string()))
    }
}

/// A server, and how it is reached. Nothing of it is ever written out: it holds a password.
#[derive(Clone)]
pub(super) struct Server {
    options: PgConnectOptions,
    /// The host, the port and the database, for people.
    pub(super) name: String,
    settings: ServerSettings,
}

impl Server {
    /// From `postgres://user:password@host:port/database?sslmode=…`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        // What the library says of it may repeat a password.
        let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::ServerUrl)?;
        let (host, port) = (options.get_host(), options.get_port());
        let name = format!("{host}:{port}/{}", options.get_database().unwrap_or(options.get_username()));
        Ok(Self { options: options.disable_statement_logging(), name, settings: ServerSettings::default() })
    }

    /// Used in this way.
    pub(super) fn with(self, settings: ServerSettings) -> Self {
        Self { settings, ..self }
    }

    /// Reads that are under way at once, at most.
    pub(super) const fn readers(&self) -> u32 {
        self.settings.readers
    }

    fn options(&self, purpose: Purpose) -> PgConnectOptions {
        self.options.clone().application_name(purpose.name()).options(purpose.settings(self.settings.deadline))
    }

    /// Connections for a purpose. They are made when they are needed.
    pub(super) async fn pool(&self, purpose: Purpose) -> Result<DatabaseConnection, DbErr> {
        let size = match purpose {
            Purpose::Questions => self.settings.readers,
            Purpose::Takings | Purpose::Changes | Purpose::Listener | Purpose::Schema => 1,
        };
        let patience = if purpose == Purpose::Schema { START_PATIENCE } else { self.settings.deadline };
        // The URL only chooses the driver; everything else stands in the options.
        let mut pool = ConnectOptions::new("postgres://localhost");
        let options = self.options(purpose);
        pool.map_sqlx_postgres_opts(move |_| options.clone());
        pool.max_connections(size).min_connections(0).acquire_timeout(patience).connect_lazy(true).test_before_acquire(false);
        pool.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>).sqlx_logging(false).record_stmt_in_spans(false);
        Database::connect(pool).await.map(counted)
    }

    /// A connection that is told of changes.
    pub(super) async fn listener(&self) -> Result<PgListener, DbErr> {
        let failed = |error: sea_orm::SqlxError| DbErr::Conn(sea_orm::RuntimeErr::SqlxError(Arc::new(error)));
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(self.settings.deadline);
        let mut listener =
            PgListener::connect_with(&pool.connect_lazy_with(self.options(Purpose::Listener))).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(listener)
    }

    /// Brings the schema up to date, all steps together or none. One process does it; others wait, and find it done.
    pub(super) async fn migrate(&self) -> Result<(), Trouble> {
        let connection = self.pool(Purpose::Schema).await?;
        let migrated = migrate(&connection).await;
        connection.close().await.ok();
        migrated
    }
}

async fn migrate(connection: &DatabaseConnection) -> Result<(), Trouble> {
    check_session(connection).await?;
    let transaction = connection.begin().await?;
    let lock = format!("SELECT pg_advisory_xact_lock({APPLICATION_ID})");
    transaction.execute_unprepared(&lock).await?;
    check_owner(&transaction).await?;
    Migrator::up(&transaction, None).await?;
    transaction.execute_unprepared(COLLATE).await?;
    Ok(transaction.commit().await?)
}

/// Says so when a connection is not set as it was asked to be, before anything is prepared on one that may be another's next.
async fn check_session(connection: &DatabaseConnection) -> Result<(), Trouble> {
    let expected = SCHEMA_IDLE.as_millis();
    let set = "(SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout')";
    let check = format!("DO $$ BEGIN IF {set} <> '{expected}' THEN RAISE 'a pooler is on the way'; END IF; END $$");
    match connection.execute_unprepared(&check).await {
        Err(error) if error.to_string().contains("a pooler is on the way") => Err(Trouble::Problem(POOLER.to_owned())),
        checked => Ok(checked.map(drop)?),
    }
}

/// What is wrong with a way that hands connections round.
const POOLER: &str = "does not keep the settings of a session: is there a PgBouncer on the way? Plimsoll needs its connections to \
    PostgreSQL for itself, and has few; let the URL name the server itself";

/// Texts are compared byte by byte, as in the embedded database and in this program, whatever language the server speaks.
const COLLATE: &str = "DO $$ DECLARE found record; BEGIN FOR found IN \
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() \
    AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' AND table_name <> 'seaql_migrations' \
    AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND pg_has_role(tableowner, 'USAGE')) \
    LOOP EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE \"C\"', found.table_name, found.column_name); \
    END LOOP; END $$";

/// What is in the schema before ours, but for what extensions have brought.
const FOREIGN: &str = "SELECT count(*) FROM pg_class c WHERE relnamespace = current_schema()::regnamespace \
    AND relkind IN ('r', 'p', 'v', 'm', 'f') AND to_regclass('seaql_migrations') IS NULL AND NOT EXISTS \
    (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// Refuses a schema that holds another program's tables, before anything is made in it.
async fn check_owner(db: &impl ConnectionTrait) -> Result<(), Trouble> {
    check_versions(db, false).await?;
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), FOREIGN)).await?;
    match row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))? {
        0 => Ok(()),
        _ => Err(Trouble::Problem("holds tables of another program: Plimsoll needs a schema of its own".to_owned())),
    }
}
