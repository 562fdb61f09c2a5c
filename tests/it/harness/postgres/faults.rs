//! What goes wrong with a PostgreSQL, on purpose, and what can be seen of it from inside.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::watch::{is_stopped, processes, signal};
use super::{DATABASE, Postgres, USER, lock};

/// The longest that processes may take to stop or to end.
const DEADLINE: Duration = Duration::from_secs(30);

impl Postgres {
    /// Ends all of it at once, as a crash would: nothing is written any more. Returns when it has ended.
    pub(crate) fn stop_immediate(&self) {
        self.end(Signal::QUIT);
    }

    /// Ends all of it in order: connections are cut, everything is written.
    pub(crate) fn stop_fast(&self) {
        self.end(Signal::INT);
    }

    /// Starts it again on its data and its port. Returns when it accepts connections.
    pub(crate) fn start_again(&self) {
        assert!(lock(&self.running).is_none(), "PostgreSQL is running");
        assert!(self.run(), "somebody has taken the port of a PostgreSQL that was away");
    }

    /// Stops it for good, with all its data.
    pub(crate) fn destroy(self) {
        drop(self);
    }

    /// Lets no process of it go on. Connections stay, new ones are accepted by the system and not answered.
    pub(crate) fn freeze(&self) {
        let postmaster = self.postmaster();
        signal(postmaster, Signal::STOP);
        until("PostgreSQL is frozen", || {
            let running: Vec<Pid> = self.processes().into_iter().filter(|pid| !is_stopped(*pid)).collect();
            running.iter().for_each(|pid| signal(*pid, Signal::STOP));
            running.is_empty()
        });
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.processes().into_iter().for_each(|pid| signal(pid, Signal::CONT));
    }

    /// Ends the connections of clients, all or those of one application name, and says how many.
    pub(crate) fn terminate_backends(&self, application: Option<&str>) -> usize {
        let of = application.map(|name| format!(" AND application_name = '{name}'")).unwrap_or_default();
        let ended = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {}{of}", clients());
        usize::try_from(self.number(&format!("SELECT count(*) FROM ({ended}) ended"))).expect("a count")
    }

    /// How many connections of clients sit in a transaction and do nothing.
    pub(crate) fn idle_in_transaction(&self) -> usize {
        self.count_connections("state LIKE 'idle in transaction%'")
    }

    /// How many connections of clients there are.
    pub(crate) fn connections(&self) -> usize {
        self.count_connections("true")
    }

    /// How many deadlocks it has broken in the database that is there from the start.
    pub(crate) fn deadlocks(&self) -> usize {
        let query = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{DATABASE}'");
        usize::try_from(self.number(&query)).expect("a count")
    }

    /// The processes of it.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        processes(&self.data())
    }

    fn count_connections(&self, condition: &str) -> usize {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE {} AND {condition}", clients());
        usize::try_from(self.number(&query)).expect("a count")
    }

    fn postmaster(&self) -> Pid {
        let running = lock(&self.running);
        Pid::from_child(&running.as_ref().expect("PostgreSQL runs").postmaster)
    }

    fn end(&self, how: Signal) {
        self.thaw();
        signal(self.postmaster(), how);
        let mut running = lock(&self.running).take().expect("PostgreSQL runs");
        running.postmaster.wait().expect("an exit status");
        until("PostgreSQL has ended", || self.processes().is_empty());
    }
}

/// Connections of the role, which the test's own are not.
fn clients() -> String {
    format!("backend_type = 'client backend' AND usename = '{USER}'")
}

/// Looks again and again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
