//! One running server: started when it listens, killed when the test lets go of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Answer;
use super::actor::{Actor, Wire};
use super::document::Document;
use super::output::Output;
use super::raw::{self, Held};
use super::setup::{ADMIN_KEY, Setup};

/// The longest that a start or a stop may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A child that never outlives its owner.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that has ended.
pub(crate) struct Stopped {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// To start again on the same data.
    pub(crate) setup: Setup,
}

/// A running server.
pub(crate) struct Plimsoll {
    child: Kept,
    setup: Setup,
    wire: Arc<Wire>,
    /// How long it took from its start until it listened.
    pub(crate) started_in: Duration,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

impl Plimsoll {
    /// Starts a server on an empty database.
    pub(crate) async fn start() -> Self {
        Self::with(|setup| setup).await
    }

    /// Starts a server with other settings than the usual.
    pub(crate) async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::on(change(Setup::new())).await
    }

    /// Starts a server with these settings, also again on the data of an earlier one.
    pub(crate) async fn on(setup: Setup) -> Self {
        Starting::begin(setup).finish().await
    }

    /// Starts several servers at once, such as several of one database.
    pub(crate) async fn all(setups: impl IntoIterator<Item = Setup>) -> Vec<Self> {
        let starting: Vec<Starting> = setups.into_iter().map(Starting::begin).collect();
        let mut started = Vec::new();
        for one in starting {
            started.push(one.finish().await);
        }
        started
    }

    /// Runs a server that must not start, and says how it ended.
    pub(crate) fn refused(setup: Setup) -> Stopped {
        run(setup.serve(), setup)
    }

    /// Runs another command of the program to its end.
    pub(crate) fn run<'a>(setup: &Setup, arguments: impl IntoIterator<Item = &'a str>) -> Stopped {
        run(setup.command(arguments), setup.clone())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.wire.address
    }

    /// The address as a link, with a path behind it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The process, for those who signal or measure it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What it was started with.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.setup.database()
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.setup.folder()
    }

    /// The document that its answers are held to.
    pub(crate) fn document(&self) -> &Document {
        &self.wire.document
    }

    /// A caller with the admin key of the settings.
    pub(crate) fn admin(&self) -> Actor {
        self.bearer(ADMIN_KEY)
    }

    /// A caller without a credential.
    pub(crate) fn anonymous(&self) -> Actor {
        Actor::new(&self.wire, None)
    }

    /// A caller with this bearer.
    pub(crate) fn bearer(&self, credential: &str) -> Actor {
        Actor::new(&self.wire, Some(credential))
    }

    /// A caller with a new API key: of a platform, or of an org that exists.
    pub(crate) async fn key(&self, scopes: &[&str], org: Option<&str>) -> Actor {
        let wanted = json!({"name": "a key of a test", "scopes": scopes, "org": org});
        let made = self.admin().create_key(&without_null(wanted)).await;
        made.is(201);
        self.bearer(made.text_at("/data/key")).known_as(made.text_at("/data/id"))
    }

    /// Sends bytes as they are and reads until the server closes the connection, so ask it to.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        raw::exchange(&self.wire, bytes.as_ref()).await
    }

    /// Sends a request's head, whose body of `length` bytes follows later.
    pub(crate) async fn begin(&self, head: &str, length: usize) -> Held {
        Held::begin(Arc::clone(&self.wire), head, length).await
    }

    /// Kills it as a crash would, and leaves its data.
    pub(crate) fn kill(self) -> Stopped {
        self.stopped(|child| child.kill().expect("a running server"))
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn terminate(self) -> Stopped {
        self.stopped(|child| signal(child.id(), "TERM"))
    }

    /// Sends it a signal and goes on.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    fn stopped(mut self, end: impl FnOnce(&mut Child)) -> Stopped {
        end(&mut self.child.0);
        assert!(self.stderr.wait_for_end(DEADLINE), "the server does not end:\n{}", self.stderr.text());
        assert!(self.stdout.wait_for_end(DEADLINE), "the server does not end");
        let status = self.child.0.wait().expect("an exit status");
        Stopped { status, stdout: self.stdout.text(), stderr: self.stderr.text(), setup: self.setup.clone() }
    }
}

/// A server that need not listen yet.
struct Starting {
    begun: Instant,
    child: Kept,
    setup: Setup,
    stdout: Output,
    stderr: Output,
}

impl Starting {
    fn begin(setup: Setup) -> Self {
        let begun = Instant::now();
        let mut child = Kept(setup.serve().spawn().expect("the program"));
        let stdout = Output::of(child.0.stdout.take().expect("a pipe"));
        let stderr = Output::of(child.0.stderr.take().expect("a pipe"));
        Self { begun, child, setup, stdout, stderr }
    }

    async fn finish(self) -> Plimsoll {
        let Self { begun, child, setup, stdout, stderr } = self;
        let address = stderr.wait_for(DEADLINE, listening_on);
        let address = address.unwrap_or_else(|| panic!("the server does not listen:\n{}", stderr.text()));
        let started_in = begun.elapsed();
        let wire = Arc::new(Wire::to(address).await);
        Plimsoll { child, setup, wire, started_in, stdout, stderr }
    }
}

impl Drop for Plimsoll {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.stderr.text());
        }
    }
}

fn listening_on(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on http://")?.1;
    // In a JSON log there is more behind it.
    rest.split('"').next()?.trim().parse().ok()
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().expect("kill");
    assert!(sent.success(), "SIG{name} was not sent");
}

fn run(mut command: Command, setup: Setup) -> Stopped {
    let mut child = Kept(command.spawn().expect("the program"));
    let stdout = Output::of(child.0.stdout.take().expect("a pipe"));
    let stderr = Output::of(child.0.stderr.take().expect("a pipe"));
    let has_ended = stdout.wait_for_end(DEADLINE) && stderr.wait_for_end(DEADLINE);
    assert!(has_ended, "the program does not end:\n{}\n{}", stdout.text(), stderr.text());
    let status = child.0.wait().expect("an exit status");
    Stopped { status, stdout: stdout.text(), stderr: stderr.text(), setup }
}

fn without_null(mut object: serde_json::Value) -> serde_json::Value {
    object.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    object
}
