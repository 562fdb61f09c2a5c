//! What a process writes, kept for assertions and waited for without polling.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    is_closed: bool,
}

/// One stream of a process, line by line.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<(Mutex<Written>, Condvar)>);

impl Output {
    /// Keeps reading until the process closes the stream.
    pub(super) fn of(stream: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let writer = output.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                writer.change(|written| written.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            writer.change(|written| written.is_closed = true);
        });
        output
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// The first thing found in a line, or nothing when the stream ends or time is up before.
    pub(crate) fn wait_for<T>(&self, within: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        self.wait(within, |written| {
            found = written.lines.iter().find_map(|line| find(line));
            found.is_some() || written.is_closed
        });
        found
    }

    /// Whether the process closed the stream in time, which it does by ending.
    pub(super) fn wait_for_end(&self, within: Duration) -> bool {
        self.wait(within, |written| written.is_closed)
    }

    fn wait(&self, within: Duration, mut is_done: impl FnMut(&Written) -> bool) -> bool {
        let deadline = Instant::now() + within;
        let mut written = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_done(&written) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            written = self.0.1.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
