//! How a server of a test is set up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

/// The admin key that every server accepts, unless a test says otherwise.
pub(crate) const ADMIN_KEY: &str = "plm_00000000000000000000000000000000000000000000000000000000000000aa";

/// Settings, a folder of its own and a database in it.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    variables: Vec<(String, OsString)>,
    flags: Vec<OsString>,
    serving: &'static str,
    program: PathBuf,
    through: Vec<OsString>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let folder = Arc::new(TempDir::new().expect("a temporary folder"));
        let file = folder.path().join("plimsoll.db");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_plimsoll"));
        let (variables, flags, through) = (Vec::new(), Vec::new(), Vec::new());
        let setup = Self { folder, variables, flags, serving: "serve", program, through };
        setup
            .variable("PLIMSOLL_LISTEN", "127.0.0.1:0")
            .variable("PLIMSOLL_DATABASE_URL", format!("sqlite://{}?mode=rwc", file.display()))
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

    /// The database, when the settings leave it where it is by default.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("plimsoll.db")
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
