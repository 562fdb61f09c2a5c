//! A real PostgreSQL, started for one test: in a folder of its own, on a loopback port of its own, and gone with the test whatever
//! becomes of it.
//!
//! ```ignore
//! let postgres = Postgres::start();                                          // fast: does not wait for the disk
//! let postgres = Postgres::with(|options| options.durable().tls());          // waits for the disk, speaks TLS only
//! let server = Plimsoll::on(Setup::on_postgres(&postgres)).await;
//! assert_eq!(postgres.sql("SELECT 1, 'a'"), [["1", "a"]]);
//! postgres.stop_immediate();
//! postgres.start_again();
//! ```
//!
//! Its methods block: a test that needs its own tasks to go on meanwhile runs on several threads.

mod faults;
mod installed;
mod options;
mod port;
mod standby;
mod template;
#[cfg(test)]
mod tests;
mod watch;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::output::Output;
pub(crate) use faults::until;
use installed::Installed;
pub(crate) use options::Options;
use port::Port;
use watch::Watch;

/// The longest that a start may take on a busy machine, also one that repeats a long log.
const DEADLINE: Duration = Duration::from_secs(60);
/// Ports that are tried, when others take them between the look and the start.
const ATTEMPTS: usize = 20;
/// The role that owns what it makes, and may do nothing else.
pub(crate) const USER: &str = "plimsoll";
/// Its password.
pub(crate) const PASSWORD: &str = "load-line";
/// The empty database that is there from the start.
pub(crate) const DATABASE: &str = "plimsoll";

/// A PostgreSQL.
pub(crate) struct Postgres {
    // The order is that in which they go: first the processes and the files, then the locks.
    watch: Watch,
    running: Mutex<Option<Running>>,
    installed: Installed,
    options: Options,
    folder: TempDir,
    port: Port,
    /// What each start has logged.
    logs: Mutex<Vec<Output>>,
}

struct Running {
    postmaster: Child,
}

/// What PostgreSQL said against a statement.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl Postgres {
    /// Starts one that does not wait for the disk.
    pub(crate) fn start() -> Self {
        Self::with(|options| options)
    }

    /// Starts one that is as durable as PostgreSQL is.
    pub(crate) fn durable() -> Self {
        Self::with(Options::durable)
    }

    /// Starts one with other settings than the usual.
    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let installed = Installed::newest();
        Self::on(change(Options::default()), installed, |installed, data, options| {
            template::copy(installed, data);
            if options.is_large {
                template::enlarge(installed, data);
            }
        })
    }

    /// Starts one on data that this makes at the path that it is given.
    fn on(options: Options, installed: Installed, make: impl FnOnce(&Installed, &Path, &Options)) -> Self {
        let folder = TempDir::with_prefix("plimsoll-postgres-").expect("a temporary folder");
        installed.give(folder.path());
        let watch = Watch::over(folder.path());
        make(&installed, &folder.path().join("data"), &options);
        let (running, logs) = (Mutex::default(), Mutex::default());
        let port = Port::reserve();
        let mut postgres = Self { watch, running, installed, options, folder, port, logs };
        if let Some(tls) = &postgres.options.tls {
            tls.write(&postgres.installed, postgres.folder.path());
        }
        for _ in 0..ATTEMPTS {
            postgres.configure();
            if postgres.run() {
                return postgres;
            }
            postgres.port = Port::reserve();
        }
        panic!("PostgreSQL does not start:\n{}", postgres.log());
    }

    /// Writes the files that say how it runs and who may connect.
    fn configure(&self) {
        fs::write(self.data().join("postgresql.conf"), self.options.text(self.folder.path(), self.port.number))
            .expect("a file");
        fs::write(self.data().join("pg_hba.conf"), self.options.who_may_connect()).expect("a file");
    }

    /// Starts the postmaster, and waits until it accepts connections. False when somebody else has the port.
    fn run(&self) -> bool {
        let mut command = self.installed.command("postgres");
        command.arg("-D").arg(self.data()).process_group(0).stderr(Stdio::piped());
        let mut postmaster = command.spawn().expect("PostgreSQL");
        let log = Output::of(postmaster.stderr.take().expect("a pipe"));
        lock(&self.logs).push(log.clone());
        let said = log.wait_for(DEADLINE, |line| {
            let is_ready = line.contains("database system is ready to accept");
            (is_ready || line.contains("could not bind")).then_some(is_ready)
        });
        match said {
            Some(true) => {
                *lock(&self.running) = Some(Running { postmaster });
                true
            }
            Some(false) => {
                postmaster.wait().expect("an exit status");
                false
            }
            None => panic!("PostgreSQL does not start:\n{}", self.log()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number))
    }

    /// The URL of the database that is there from the start, with a password and, if it speaks TLS, with all that verifies it.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.address(), DATABASE)
    }

    /// The same over another way to it, such as a proxy.
    pub(crate) fn url_through(&self, address: SocketAddr) -> String {
        self.url_at(address, DATABASE)
    }

    /// The URL of one of its databases over one of the ways to it.
    pub(crate) fn url_at(&self, address: SocketAddr, database: &str) -> String {
        let url = format!("postgres://{USER}:{PASSWORD}@{address}/{database}");
        if self.options.tls.is_none() {
            return url;
        }
        format!("{url}?sslmode=verify-full&sslrootcert={}", self.root_certificate().display())
    }

    /// The certificate that vouches for the server's, when it speaks TLS.
    pub(crate) fn root_certificate(&self) -> PathBuf {
        options::root_certificate(self.folder.path())
    }

    /// Makes an empty database of this name, owned by the role, and gives its URL.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql(&format!("CREATE DATABASE {name} OWNER {USER}"));
        self.url_at(self.address(), name)
    }

    /// Runs statements as the superuser, and gives the rows as text; a null is empty.
    #[track_caller]
    pub(crate) fn sql(&self, text: &str) -> Vec<Vec<String>> {
        self.sql_in(DATABASE, text)
    }

    /// The same in another database.
    #[track_caller]
    pub(crate) fn sql_in(&self, database: &str, text: &str) -> Vec<Vec<String>> {
        self.try_sql(database, text).unwrap_or_else(|refused| panic!("{text}: {}", refused.0))
    }

    /// The same where PostgreSQL may be away, or against it.
    pub(crate) fn try_sql(&self, database: &str, text: &str) -> Result<Vec<Vec<String>>, Refused> {
        let mut command = self.installed.command("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-F", "\u{1f}", "-R", "\u{1e}", "-U", "postgres", "-h"]);
        command.arg(self.folder.path()).arg("-p").arg(self.port.number.to_string()).args(["-d", database, "-c", text]);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("psql");
        if !output.status.success() {
            return Err(Refused(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(rows(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The one number that a query gives.
    #[track_caller]
    pub(crate) fn number(&self, query: &str) -> i64 {
        let rows = self.sql(query);
        rows.first().and_then(|row| row.first()?.parse().ok()).unwrap_or_else(|| panic!("{query} gives {rows:?}"))
    }

    /// Sets a setting of the server for all who are and will be connected, without a restart.
    pub(crate) fn set(&self, name: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
    }

    /// A client of the same version, to be given arguments.
    pub(crate) fn psql(&self) -> Command {
        self.program("psql")
    }

    /// Another program of the same version.
    pub(crate) fn program(&self, name: &str) -> Command {
        self.installed.command(name)
    }

    /// What it has logged since it was made.
    pub(crate) fn log(&self) -> String {
        lock(&self.logs).iter().map(Output::text).collect::<Vec<_>>().join("\n")
    }

    /// The folder with its data, and its socket beside that.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("PostgreSQL said:\n{}", self.log());
        }
        self.watch.end();
        if let Some(mut running) = lock(&self.running).take() {
            // It is gone: this only takes note.
            let _ = running.postmaster.wait();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\u{1e}').map(|row| row.split('\u{1f}').map(str::to_owned).collect()).collect()
}
