//! Which database a test runs on. It is decided here and nowhere else: what stands in the module `on_postgres` runs on PostgreSQL,
//! everything else on the embedded database, unless a test names its own.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::postgres::{DATABASE, Postgres};

/// The module whose tests run on PostgreSQL.
const MODULE: &str = "on_postgres::";

/// An empty database on PostgreSQL.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) url: String,
    /// Where all that is written stands.
    pub(super) folder: PathBuf,
}

impl Shared {
    /// A new one, if the running test is to be run on PostgreSQL.
    pub(super) fn of_this_test() -> Option<Self> {
        is_on_postgres().then(Self::new)
    }

    /// One of a cluster that a test has started.
    pub(super) fn of(postgres: &Postgres) -> Self {
        Self { url: postgres.url(), folder: postgres.folder().to_owned() }
    }

    /// All tests of a process share a cluster, which ends with the process; each setup has a database of its own.
    fn new() -> Self {
        static CLUSTER: OnceLock<Postgres> = OnceLock::new();
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let cluster = CLUSTER.get_or_init(Postgres::start);
        let url = match MADE.fetch_add(1, Ordering::SeqCst) {
            0 => cluster.url(),
            number => cluster.database(&format!("{DATABASE}_{number}")),
        };
        Self { url, folder: cluster.folder().to_owned() }
    }
}

/// By the name of the test. The runner tells it; without it, a test's thread has its name.
fn is_on_postgres() -> bool {
    let told = std::env::var_os("NEXTEST_TEST_NAME").map(|name| name.to_string_lossy().into_owned());
    let name = told.or_else(|| std::thread::current().name().map(str::to_owned));
    name.is_some_and(|name| name.starts_with(MODULE))
}
