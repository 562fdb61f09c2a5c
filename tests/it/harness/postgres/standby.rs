//! A second PostgreSQL that follows the first.

use std::process::Stdio;

use super::Postgres;
use super::faults::until;

/// How it calls itself.
const NAME: &str = "standby";

impl Postgres {
    /// Starts a second one that has everything of this one. From then on nothing is acknowledged here that is not on the other's disk.
    pub(crate) fn standby(&self) -> Self {
        let source =
            format!("host={} port={} user=postgres application_name={NAME}", self.folder.path().display(), self.port.number);
        let standby = Self::on(self.options.clone(), self.installed.clone(), |installed, data, _| {
            let mut command = installed.command("pg_basebackup");
            command.args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--no-sync",
                "-d",
                &source,
                "-D",
            ]);
            let output = command.arg(data).stderr(Stdio::piped()).output().expect("pg_basebackup");
            assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        });
        self.set("synchronous_standby_names", NAME);
        let query = format!("SELECT sync_state FROM pg_stat_replication WHERE application_name = '{NAME}'");
        until("the standby is synchronous", || self.sql(&query) == [["sync"]]);
        standby
    }

    /// Makes a standby the one that is written to. Returns when it can be.
    pub(crate) fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote(true, 30)"), [["t"]], "the standby is promoted");
    }
}
