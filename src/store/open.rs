//! Opening the database. Whatever is refused is refused before the file is touched.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use migration::{APPLICATION_ID, Migrator, MigratorTrait};
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::Mutex;

use super::answers::{AnswerSizes, Answers};
use super::error::{StoreError, is_outage};
use super::file::{self, Content};
use super::lane::{LaneState, Link};
use super::location::{Location, Mode, Place};
use super::lock::Lock;
use super::postgres::ServerSettings;
use super::reader::Reader;
use super::versions::{check_applied, check_versions, newer, scalar};
use super::{Home, Inner, Store, on_server};

/// How long a statement waits for a lock that another program holds on the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read or a change waits for its turn before it is answered that the storage is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads are short and mostly cached; more connections than cores to run them on would only cost memory.
const READERS: u32 = 4;

/// The log is folded beside whoever writes; only if it grows to so many pages all the same, 64 megabytes, by who wrote the last.
const LONGEST_LOG: &str = "16384";

/// What a statement would have to undo is little, and kept in memory: otherwise it is a file that is made and thrown away each time.
/// Not while the schema is brought up to date: what is sorted for a new index may be as large as the database.
const UNDO_IN_MEMORY: &str = "PRAGMA temp_store = MEMORY";

/// What the database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To serve: alone, and with the schema brought up to date.
    ReadWrite,
    /// To look: beside a process that serves, and without changing anything.
    ReadOnly,
}

/// How a database is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// How many answers are kept under idempotency keys.
    pub answers: AnswerSizes,
    /// How a database server is used.
    pub server: ServerSettings,
}

/// Why the database was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A URL without a scheme.
    #[error("The database URL has no scheme: it should be like sqlite://plimsoll.db?mode=rwc")]
    NoScheme,
    /// A `postgres://…` URL that cannot be understood. It is not repeated: it may hold a password.
    #[error("The database URL cannot be used: it should be like postgres://user:password@host:5432/plimsoll?sslmode=require")]
    ServerUrl,
    /// A server where a file is needed.
    #[error("The database URL names a PostgreSQL server: {0}")]
    Server(&'static str),
    /// A server that cannot be used.
    #[error("The database {name} {problem}")]
    ServerProblem {
        /// The host, the port and the database.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another scheme. The URL is not repeated: it may hold a password.
    #[error("The database URL has the unknown scheme {scheme}: it should be like sqlite://plimsoll.db?mode=rwc")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A `sqlite:` URL that cannot be understood.
    #[error("The database URL {url} cannot be used: {problem}")]
    Url {
        /// The URL, which holds no secret.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A database in memory.
    #[error("The database URL names a database in memory: it must name a file, or everything would be lost at the next start")]
    Memory,
    /// A file that cannot be used.
    #[error("The database file {} {problem}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that the database library could not open or bring up to date.
    #[error("The database file {} cannot be opened: {cause}", .file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// What the library says.
        cause: DbErr,
    },
}

impl Store {
    /// Opens the database, and for [`Access::ReadWrite`] brings its schema up to date.
    ///
    /// Errors are sentences that name the URL or the file and what is wrong with it; none of them has changed the file.
    pub async fn open(url: &str, access: Access) -> Result<Self, OpenError> {
        Self::open_with(url, access, StoreSettings::default()).await
    }

    /// Opens the database, to be used in this way.
    ///
    /// Errors are those of [`Store::open`].
    pub async fn open_with(url: &str, access: Access, settings: StoreSettings) -> Result<Self, OpenError> {
        let sizes = settings.answers;
        let location = match Place::parse(url)? {
            Place::File(location) => location,
            Place::Server(server) => return on_server::open(server.with(settings.server), access, settings).await,
        };
        let path = resolve(&location, access)?;
        let lock = match access {
            Access::ReadWrite => Some(Lock::take(&path)?),
            Access::ReadOnly => None,
        };
        let content = file_content(&path, access);
        let lock = match (content, lock) {
            (Ok(()), lock) => lock.map(Lock::keep),
            (Err(error), lock) => {
                lock.into_iter().for_each(Lock::discard);
                return Err(error);
            }
        };
        let store = connect(&path, access, sizes, lock).await;
        store.map_err(|error| error.at(&path))
    }
}

/// The file that a URL names, for what needs one. `instead` says what to do with a server.
pub(super) fn file_of(url: &str, instead: &'static str) -> Result<Location, OpenError> {
    match Place::parse(url)? {
        Place::File(location) => Ok(location),
        Place::Server(_) => Err(OpenError::Server(instead)),
    }
}

/// One connection to a database of this version, to look at it. It finds out nothing about the data.
pub(super) async fn onlooker(url: &str) -> Result<(PathBuf, DatabaseConnection), OpenError> {
    let location = file_of(url, "a file is needed here")?;
    let path = resolve(&location, Access::ReadOnly)?;
    file_content(&path, Access::ReadOnly)?;
    let connection = pool(options(&path).read_only(true), 1).await.map_err(|error| Trouble::from(error).at(&path))?;
    match check_applied(&connection).await {
        // Too broken to say what was applied: whoever looks will name it.
        Err(Trouble::Database(error)) if !is_outage(&error) => {}
        checked => checked.map_err(|error| error.at(&path))?,
    }
    Ok((path, connection))
}

/// One connection to a file that a backup has just made, if a start would accept it.
pub(super) async fn copy(path: &Path) -> Result<DatabaseConnection, OpenError> {
    file_content(path, Access::ReadOnly)?;
    let connection = pool(options(path).read_only(true), 1).await.map_err(|error| Trouble::from(error).at(path))?;
    check_applied(&connection).await.map_err(|error| error.at(path))?;
    Ok(connection)
}

/// A problem that is still to be joined with the file that has it.
pub(super) enum Trouble {
    Problem(String),
    Database(DbErr),
}

impl From<DbErr> for Trouble {
    fn from(cause: DbErr) -> Self {
        Self::Database(cause)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Problem(format!("cannot be read: {error}"))
    }
}

impl Trouble {
    pub(super) fn at_server(self, name: &str) -> OpenError {
        let problem = match self {
            Self::Problem(problem) => problem,
            Self::Database(cause) => format!("cannot be used: {cause}"),
        };
        OpenError::ServerProblem { name: name.to_owned(), problem }
    }

    fn at(self, file: &Path) -> OpenError {
        let file = file.to_owned();
        match self {
            Self::Problem(problem) => OpenError::File { file, problem },
            Self::Database(cause) => OpenError::Database { file, cause },
        }
    }
}

pub(super) fn problem(path: &Path, problem: impl Into<String>) -> OpenError {
    OpenError::File { file: path.to_owned(), problem: problem.into() }
}

/// The file's one true path, or why there is no such file and none may be made.
fn resolve(location: &Location, access: Access) -> Result<PathBuf, OpenError> {
    let path = &location.path;
    if access == Access::ReadWrite && location.mode == Mode::ReadOnly {
        return Err(problem(path, "is to be opened with mode=ro, but it must be writable: use mode=rw or mode=rwc"));
    }
    let may_create = access == Access::ReadWrite && location.mode == Mode::Create;
    match path.canonicalize() {
        Ok(found) => check_file(&found, access).map(|()| found),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(problem(path, format!("cannot be reached: {error}"))),
        Err(_) if may_create => new_path(location),
        Err(_) => Err(problem(path, "does not exist: mode=rwc creates it, when it is opened for writing")),
    }
}

fn new_path(location: &Location) -> Result<PathBuf, OpenError> {
    let path = &location.path;
    let directory = location.directory().canonicalize();
    let directory = directory.map_err(|error| problem(path, format!("cannot be created: its directory: {error}")))?;
    check_directory(path, &directory)?;
    let name = path.file_name().ok_or_else(|| problem(path, "is not a file"))?;
    Ok(directory.join(name))
}

/// The permission bits are looked at as well, because they do not stop a process that runs as root.
fn check_file(path: &Path, access: Access) -> Result<(), OpenError> {
    let unreachable = |error| problem(path, format!("cannot be reached: {error}"));
    let metadata = path.metadata().map_err(unreachable)?;
    if !metadata.is_file() {
        return Err(problem(path, "is not a file"));
    }
    if access == Access::ReadOnly {
        return Ok(());
    }
    if metadata.permissions().readonly() {
        return Err(problem(path, "is read-only: it must be writable"));
    }
    check_directory(path, path.parent().unwrap_or_else(|| Path::new("/")))
}

fn check_directory(path: &Path, directory: &Path) -> Result<(), OpenError> {
    let metadata = directory.metadata().map_err(|error| problem(path, format!("cannot be reached: {error}")))?;
    if !metadata.is_dir() || metadata.permissions().readonly() {
        let directory = directory.display();
        return Err(problem(path, format!("is in {directory}, which is read-only: files must be made beside it")));
    }
    Ok(())
}

/// Looks at the file's bytes, once nobody else can be serving it.
fn file_content(path: &Path, access: Access) -> Result<(), OpenError> {
    if !path.exists() {
        return Ok(());
    }
    let unreadable = |error| problem(path, format!("cannot be read: {error}"));
    let older = || problem(path, "has an older schema: run plimsoll migrate first");
    match file::inspect(path).map_err(unreadable)? {
        Content::Other => return Err(problem(path, "is not a SQLite database")),
        Content::Foreign => return Err(problem(path, "is a SQLite database, but not Plimsoll's")),
        Content::Newer(version) => return Err(problem(path, newer(&format!("version {version}")))),
        Content::Vacant | Content::Ours(_) => {}
    }
    if access == Access::ReadOnly {
        let is_empty = path.metadata().map_err(unreadable)?.len() == 0;
        return if is_empty { Err(older()) } else { Ok(()) };
    }
    let opened = OpenOptions::new().append(true).open(path);
    opened.map(drop).map_err(|error| problem(path, format!("cannot be written: {error}")))
}

async fn connect(path: &Path, access: Access, sizes: AnswerSizes, lock: Option<File>) -> Result<Store, Trouble> {
    let writer = match access {
        Access::ReadWrite => Some(open_writer(path).await?),
        Access::ReadOnly => None,
    };
    let reader = pool(options(path).read_only(true), READERS).await?;
    check_applied(&reader).await?;
    let lookout = Reader::embedded(uncounted_pool(options(path).read_only(true), 1).await?);
    let answers = match &writer {
        Some(writer) => Answers::load(writer, sizes).await?,
        None => Answers::none(sizes),
    };
    let answers_full = answers.fullness();
    let lane = LaneState::new(Link::File(path.to_owned()), answers, writer);
    let home = Home::File { path: path.to_owned(), folder: Mutex::default(), lock };
    Ok(started(Inner::new(Reader::embedded(reader), lookout, lane, None, answers_full, home)).await?)
}

pub(super) async fn started(inner: Inner) -> Result<Store, StoreError> {
    let store = Store(Arc::new(inner));
    let revision = store.revision().await?;
    store.announce(revision);
    Ok(store)
}

async fn open_writer(path: &Path) -> Result<DatabaseConnection, Trouble> {
    let writer = pool(for_writing(path).create_if_missing(true), 1).await?;
    check_owner(&writer).await?;
    migrate(&writer).await?;
    super::checkpoint::show_owner(&writer, path).await?;
    writer.execute_unprepared(UNDO_IN_MEMORY).await?;
    Ok(writer)
}

fn for_writing(path: &Path) -> SqliteConnectOptions {
    let options = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    options.pragma("wal_autocheckpoint", LONGEST_LOG)
}

/// Another connection that writes, to a file that was opened before. An embedded database has one at a time.
pub(super) async fn writer(path: &Path) -> Result<DatabaseConnection, DbErr> {
    let writer = pool(for_writing(path), 1).await?;
    writer.execute_unprepared(UNDO_IN_MEMORY).await?;
    Ok(writer)
}

/// The connection that folds the log. What it is told is no statement of anybody's.
pub(super) async fn folder(path: &Path) -> Result<DatabaseConnection, DbErr> {
    uncounted_pool(for_writing(path), 1).await
}

/// All steps together, or none: a file is never left between two versions.
async fn migrate(writer: &DatabaseConnection) -> Result<(), DbErr> {
    let mode = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
    let transaction = writer.begin_with_options(options).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
    options.disable_statement_logging()
}

/// A pool whose every statement is counted.
async fn pool(options: SqliteConnectOptions, size: u32) -> Result<DatabaseConnection, DbErr> {
    uncounted_pool(options, size).await.map(counted)
}

/// With every statement counted.
pub(super) fn counted(mut connection: DatabaseConnection) -> DatabaseConnection {
    connection.set_metric_callback(|_| metrics::counter!("plimsoll_database_statements_total").increment(1));
    connection
}

async fn uncounted_pool(options: SqliteConnectOptions, size: u32) -> Result<DatabaseConnection, DbErr> {
    // The URL only chooses the driver; everything else stands in the options.
    let mut pool = ConnectOptions::new("sqlite::memory:");
    pool.map_sqlx_sqlite_opts(move |_| options.clone());
    pool.max_connections(size).min_connections(1).acquire_timeout(TURN_TIMEOUT).test_before_acquire(false);
    pool.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>).sqlx_logging(false).record_stmt_in_spans(false);
    Database::connect(pool).await
}

/// The header may be older than the log file beside it, which `SQLite` has read by now.
async fn check_owner(db: &DatabaseConnection) -> Result<(), Trouble> {
    let application = scalar(db, "PRAGMA application_id").await?;
    let tables = scalar(db, "SELECT COUNT(*) FROM sqlite_master").await?;
    match (application, tables) {
        (0, 0) => Ok(()),
        (application, _) if application == i64::from(APPLICATION_ID) => check_versions(db, false).await,
        _ => Err(Trouble::Problem("is a SQLite database, but not Plimsoll's".to_owned())),
    }
}
