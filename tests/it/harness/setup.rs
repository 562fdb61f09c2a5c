//! How a server of a test is set up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::database::Shared;
use super::postgres::Postgres;

/// The admin key that every server accepts, unless a test says otherwise.
pub(crate) const ADMIN_KEY: &str = "plm_00000000000000000000000000000000000000000000000000000000000000aa";

/// Settings, a folder of its own and a database.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    variables: Vec<(String, OsString)>,
    flags: Vec<OsString>,
    serving: &'static str,
    program: PathBuf,
    through: Vec<OsString>,
    /// The database, when it is not in the folder.
    shared: Option<Shared>,
}

impl Setup {
    /// On an empty database: where the test stands in `on_postgres` one of PostgreSQL, else the embedded one.
    pub(crate) fn new() -> Self {
        Self::on_database(Shared::of_this_test())
    }

    /// On an empty embedded database wherever the test stands, because it looks into the file.
    pub(crate) fn embedded() -> Self {
        Self::on_database(None)
    }

    /// On the database that a PostgreSQL has from its start: as many setups as there are processes.
    pub(crate) fn on_postgres(postgres: &Postgres) -> Self {
        Self::on_database(Some(Shared::of(postgres)))
    }

    fn on_database(shared: Option<Shared>) -> Self {
        let folder = Arc::new(TempDir::new().expect("a temporary folder"));
        let file = format!("sqlite://{}?mode=rwc", folder.path().join("plimsoll.db").display());
        let url = shared.as_ref().map_or(file, |shared| shared.url.clone());
        let program = PathBuf::from(env!("CARGO_BIN_EXE_plimsoll"));
        let (variables, flags, through) = (Vec::new(), Vec::new(), Vec::new());
        let setup = Self { folder, variables, flags, serving: "serve", program, through, shared };
        setup
            .variable("PLIMSOLL_LISTEN", "127.0.0.1:0")
            .variable("PLIMSOLL_DATABASE_URL", url)
            .variable("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", ADMIN_KEY)
            .variable("PLIMSOLL_WORKERS", "2")
            .variable("PLIMSOLL_DRAIN_SECONDS", "0")
    }

    /// Sets a variable, or sets it otherwise.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Takes a variable away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Adds a flag of `serve`.
    pub(crate) fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Serves by another command than `serve`.
    pub(crate) fn serving_by(mut self, command: &'static str) -> Self {
        self.serving = command;
        self
    }

    /// Runs another build of the program.
    pub(crate) fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Serves through a command that, in the end, becomes the command that follows it.
    pub(crate) fn through<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.through.extend(words.into_iter().map(OsString::from));
        self
    }

    /// The server's own folder; it is removed with the last that knows of it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the embedded database, when the settings leave it where it is by default.
    #[track_caller]
    pub(crate) fn database(&self) -> PathBuf {
        assert!(self.shared.is_none(), "PostgreSQL has no such file: ask for `Setup::embedded()`");
        self.folder().join("plimsoll.db")
    }

    /// Where the database is, as the program is told.
    pub(crate) fn database_url(&self) -> &str {
        let value = self.variables.iter().find(|(name, _)| name == "PLIMSOLL_DATABASE_URL").map(|(_, value)| value);
        value.and_then(|value| value.to_str()).expect("the URL of a database")
    }

    /// Another way to the same database, such as a proxy, or another database.
    pub(crate) fn at_database(self, url: &str) -> Self {
        self.variable("PLIMSOLL_DATABASE_URL", url)
    }

    /// Every byte that was ever written into the database: its file and its log; of PostgreSQL its log.
    pub(crate) fn bytes_at_rest(&self) -> Vec<u8> {
        let folder = self.shared.as_ref().map_or(self.folder().to_owned(), |shared| shared.folder.join("data/pg_wal"));
        let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path());
        files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).expect("readable")).collect()
    }

    /// Writes a file into the folder and says where it is.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path
    }

    /// The program with these settings and nothing else in its environment that it would read.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut words = Vec::from([self.program.clone().into_os_string()]);
        words.extend(arguments.into_iter().map(OsString::from));
        self.run(words)
    }

    fn run(&self, words: Vec<OsString>) -> Command {
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().expect("a program"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLIMSOLL_")) {
            command.env_remove(name);
        }
        command.args(words).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn serve(&self) -> Command {
        let mut words = self.through.clone();
        words.extend([self.program.clone().into_os_string(), self.serving.into()]);
        words.extend(self.flags.iter().cloned());
        self.run(words)
    }
}
