//! A real Redis, started for one test in a folder of its own: gone, with all that it wrote, when the test lets go of it.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a port is tried that somebody else has taken meanwhile.
const TRIES: usize = 20;

/// A server that may be killed and started again at its port.
pub(crate) struct Redis {
    child: Option<Child>,
    folder: TempDir,
    arguments: Vec<String>,
    password: Option<String>,
    pub(crate) port: u16,
}

impl Redis {
    /// An empty one.
    pub(crate) fn start() -> Self {
        Self::with(|_, _| Vec::new())
    }

    /// One with more settings, which may depend on its folder and its port.
    pub(crate) fn with(more: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        for _ in 0..TRIES {
            let folder = TempDir::new().expect("a temporary folder");
            let port = free_port();
            let mut arguments = words(&format!("--port {port} --bind 127.0.0.1 --save --appendonly no --daemonize no"));
            // The empty word is a setting of its own: nothing is written to disk.
            let save = arguments.iter().position(|word| word == "--save").expect("a setting") + 1;
            arguments.insert(save, String::new());
            arguments.extend(more(folder.path(), port));
            let password = arguments.iter().position(|word| word == "--requirepass").map(|at| arguments[at + 1].clone());
            let mut redis = Self { child: None, folder, arguments, password, port };
            if redis.begin() {
                return redis;
            }
        }
        panic!("no port was free")
    }

    /// Starts it again at its port, with nothing in it.
    pub(crate) fn again(&mut self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        while !self.begin() {
            assert!(Instant::now() < deadline, "its port is taken: {}", self.log());
        }
    }

    /// Whether it has started: somebody else may have its port.
    fn begin(&mut self) -> bool {
        let log = File::create(self.folder.path().join("log")).expect("a writable folder");
        let mut command = Command::new("redis-server");
        command.args(&self.arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        self.child = Some(command.spawn().expect("redis-server, of Debian's package"));
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains("Ready to accept connections") || TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let child = self.child.as_mut().expect("a child");
            if child.try_wait().expect("a child").is_some() {
                assert!(self.log().contains("Address already in use"), "Redis did not start:\n{}", self.log());
                return false;
            }
            assert!(Instant::now() < deadline, "Redis does not start:\n{}", self.log());
            std::thread::yield_now();
        }
        true
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it was started with.
    pub(crate) fn setting(&self, name: &str) -> String {
        let at = self.arguments.iter().position(|word| word == name).expect("a setting");
        self.arguments[at + 1].clone()
    }

    /// The setting that leads to it.
    pub(crate) fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself. One that was stopped ends all the same.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("a running server").id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(pid).status().expect("kill");
        assert!(sent.success(), "SIG{name} was not sent");
    }

    /// What it answers to a command, as `redis-cli` writes it.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string()]).args(command);
        if let Some(password) = &self.password {
            cli.env("REDISCLI_AUTH", password);
        }
        let output = cli.stdin(Stdio::null()).output().expect("redis-cli, of Debian's package");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("Redis said:\n{}", self.log());
        }
    }
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The text form of a certificate or a key.
pub(crate) fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
