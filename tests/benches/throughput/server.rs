//! A server in a process of its own, from its start until it is told to stop.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::place::Place;

/// A server that has not said where it listens by then never will.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of the log that are shown when the start fails.
const LAST_LINES: usize = 20;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) started_in: Duration,
    child: Child,
    /// Removed when the server is gone.
    pub(crate) place: Option<Place>,
}

impl Server {
    /// Starts the command and waits until its standard error names the address that it listens on.
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or("the server has no standard error")?;
        let (sender, heard) = channel();
        thread::spawn(move || listen(stderr, &sender));
        match heard.recv_timeout(PATIENCE) {
            Ok(Ok(address)) => Ok(Self { address, started_in: begun.elapsed(), child, place: None }),
            Ok(Err(lines)) => Err(format!("{command:?} ended before it listened:\n{lines}").into()),
            Err(_) => {
                child.kill()?;
                child.wait()?;
                Err(format!("{command:?} did not listen within {PATIENCE:?}").into())
            }
        }
    }

    /// The same, on this database.
    pub(crate) fn keeping(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// What the process has in memory, in KiB.
    pub(crate) fn resident_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server stopped with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have stopped already: there is nothing else to do about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reports the address, or the last lines when there was none, and then keeps the pipe empty.
fn listen(stderr: ChildStderr, sender: &Sender<Result<SocketAddr, String>>) {
    let mut last = VecDeque::new();
    let mut has_listened = false;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if has_listened {
            continue;
        }
        if let Some(address) = address_in(&line) {
            has_listened = sender.send(Ok(address)).is_ok();
        }
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    // Nobody listens any more if the address was reported: then this is no news.
    let _ = sender.send(Err(last.into_iter().collect::<Vec<_>>().join("\n")));
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}
