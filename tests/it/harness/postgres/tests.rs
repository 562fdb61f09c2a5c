//! The PostgreSQL that other tests stand on does what they ask of it.

use std::path::Path;
use std::process::{Child, Stdio};

use super::faults::until;
use super::{DATABASE, Postgres};

/// A client with a password over the network.
fn client(postgres: &Postgres, url: &str, statements: &str) -> Child {
    let mut command = postgres.installed.command("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c", statements]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql")
}

fn said(postgres: &Postgres, url: &str, statements: &str) -> Result<String, String> {
    let output = client(postgres, url, statements).wait_with_output().expect("an exit status");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A client that has begun a transaction and does nothing more, until its input ends.
struct Idle(Child);

impl Idle {
    fn on(postgres: &Postgres, application: &str) -> Self {
        let mut command = postgres.installed.command("psql");
        command.args(["-X", "-q", &postgres.url()]).env("PGAPPNAME", application).stdin(Stdio::piped());
        let mut child = command.spawn().expect("psql");
        std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), b"BEGIN;\n").expect("psql reads");
        Self(child)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_running(pid: rustix::process::Pid, folder: &Path) -> bool {
    std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd.starts_with(folder))
}

#[test]
fn clients_enter_with_the_password_and_not_without() {
    let postgres = Postgres::start();
    let url = postgres.url();
    assert_eq!(said(&postgres, &url, "SELECT current_user, current_database()").as_deref(), Ok("plimsoll|plimsoll"));
    let refused = said(&postgres, &url.replace("load-line", "another"), "SELECT 1").expect_err("a wrong password");
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert_eq!(postgres.sql("SELECT 1, 'a b' UNION ALL SELECT 2, NULL ORDER BY 1"), [["1", "a b"], ["2", ""]]);
    assert!(postgres.sql("SELECT 1 WHERE false").is_empty());
    assert!(postgres.try_sql(DATABASE, "SELECT nothing").expect_err("no such column").0.contains("nothing"));
    let other = postgres.database("other");
    assert_eq!(said(&postgres, &other, "CREATE TABLE t (); SELECT current_database()").as_deref(), Ok("other"));
    assert_eq!(postgres.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'plimsoll'"), [["f"]]);
}

#[test]
fn text_is_ordered_as_people_do_unless_a_statement_says_otherwise() {
    let postgres = Postgres::start();
    let query = |collate: &str| postgres.sql(&format!("SELECT t {collate} FROM (VALUES ('B'), ('a')) v(t) ORDER BY 1"));
    assert_eq!(query(""), [["a"], ["B"]]);
    assert_eq!(query("COLLATE \"C\""), [["B"], ["a"]]);
}

#[test]
fn what_was_committed_is_there_after_a_crash_at_the_same_address() {
    for postgres in [Postgres::start(), Postgres::durable()] {
        postgres.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
        let url = postgres.url();
        postgres.stop_immediate();
        assert!(postgres.processes().is_empty());
        assert!(said(&postgres, &url, "SELECT 1").expect_err("nobody listens").contains("refused"));
        postgres.start_again();
        assert_eq!((postgres.url(), postgres.number("SELECT n FROM t")), (url, 7));
        assert!(postgres.log().contains("not properly shut down"), "it was a crash");
        postgres.stop_fast();
        postgres.start_again();
        assert_eq!(postgres.number("SELECT n FROM t"), 7);
    }
}

#[test]
fn only_a_durable_one_waits_for_the_disk() {
    let shown = |postgres: &Postgres| postgres.sql("SELECT current_setting('fsync'), current_setting('synchronous_commit')");
    assert_eq!(shown(&Postgres::start()), [["off", "on"]]);
    assert_eq!(shown(&Postgres::durable()), [["on", "on"]]);
    let shipped = Postgres::with(super::Options::usual_size);
    assert_eq!(shown(&shipped), [["on", "on"]]);
    assert_eq!(
        shipped.sql("SELECT current_setting('wal_segment_size'), current_setting('shared_buffers')"),
        [["16MB", "128MB"]]
    );
    let small = Postgres::with(|options| options.setting("max_connections", "17"));
    assert_eq!(small.sql("SHOW max_connections"), [["17"]]);
    small.set("statement_timeout", "1234ms");
    until("the setting holds", || small.sql("SHOW statement_timeout") == [["1234ms"]]);
}

#[test]
fn a_frozen_one_answers_nobody_until_it_thaws() {
    let postgres = Postgres::start();
    let begun = std::time::Instant::now();
    let mut waiting = client(&postgres, &postgres.url(), "SELECT pg_sleep(0.3), 'awake'");
    until("it is asked", || postgres.connections() == 1);
    postgres.freeze();
    until("its sleep would be over", || begun.elapsed() > std::time::Duration::from_millis(600));
    assert!(waiting.try_wait().expect("a child").is_none(), "it was answered by a frozen PostgreSQL");
    let mut knocking = client(&postgres, &postgres.url(), "SELECT 1");
    assert!(knocking.try_wait().expect("a child").is_none());
    postgres.thaw();
    assert!(waiting.wait().expect("an exit status").success());
    assert!(knocking.wait().expect("an exit status").success());
}

#[test]
fn backends_are_counted_and_terminated_by_their_application() {
    let postgres = Postgres::start();
    let _one = Idle::on(&postgres, "one");
    let _another = Idle::on(&postgres, "another");
    until("both are in a transaction", || postgres.idle_in_transaction() == 2);
    assert_eq!(postgres.connections(), 2);
    assert_eq!(postgres.terminate_backends(Some("one")), 1);
    until("one is gone", || postgres.connections() == 1);
    assert_eq!(postgres.terminate_backends(None), 1);
    until("all are gone", || postgres.connections() == 0 && postgres.idle_in_transaction() == 0);
    assert_eq!(postgres.deadlocks(), 0);
}

#[test]
fn a_promoted_standby_has_all_that_was_acknowledged_by_the_destroyed_primary() {
    let primary = Postgres::durable();
    primary.sql("CREATE TABLE t (n int)");
    let standby = primary.standby();
    for n in 0..20 {
        primary.sql(&format!("INSERT INTO t VALUES ({n})"));
    }
    let folder = primary.folder().to_owned();
    primary.destroy();
    assert!(!folder.exists());
    standby.promote();
    assert_eq!(standby.number("SELECT count(*) FROM t"), 20);
    assert_eq!(said(&standby, &standby.url(), "CREATE TABLE of_ours (); SELECT 'written'").as_deref(), Ok("written"));
}

#[test]
fn one_that_speaks_tls_speaks_nothing_else() {
    let postgres = Postgres::with(super::Options::tls);
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(said(&postgres, &postgres.url(), query).as_deref(), Ok("t"));
    let plain = postgres.url().replace("verify-full", "disable");
    assert!(said(&postgres, &plain, query).expect_err("no encryption").contains("no encryption"));
    let elsewhere = Postgres::with(super::Options::tls);
    let other = elsewhere.root_certificate().display().to_string();
    let distrusted = postgres.url().replace(&postgres.root_certificate().display().to_string(), &other);
    assert!(said(&postgres, &distrusted, query).expect_err("not vouched for").contains("certificate verify failed"));
}

#[test]
fn it_ends_with_all_its_files_also_when_it_is_frozen() {
    let postgres = Postgres::start();
    let (folder, processes) = (postgres.folder().to_owned(), postgres.processes());
    assert!(processes.len() > 1);
    postgres.freeze();
    drop(postgres);
    assert!(!processes.into_iter().any(|pid| is_running(pid, &folder)), "a process goes on");
    assert!(!folder.exists());
}

#[test]
fn it_ends_when_the_test_is_killed() {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", "harness::postgres::tests::it_ends_when_the_test_is_killed", "--nocapture"]);
    // The second time it is the one to be killed.
    if std::env::var_os(KILLED).is_some() {
        let postgres = Postgres::start();
        println!("{}", postgres.folder().display());
        return until("it is killed", || false);
    }
    let mut child = command.env(KILLED, "yes").stdout(Stdio::piped()).spawn().expect("this program");
    let output = super::Output::of(child.stdout.take().expect("a pipe"));
    let folder = output.wait_for(super::DEADLINE, |line| line.starts_with('/').then(|| line.to_owned()));
    let folder = std::path::PathBuf::from(folder.expect("the folder of the other"));
    let processes = super::watch::processes(&folder.join("data"));
    assert!(processes.len() > 1);
    child.kill().expect("a running test");
    child.wait().expect("an exit status");
    until("its files are gone", || !folder.exists());
    assert!(!processes.into_iter().any(|pid| is_running(pid, &folder)), "a process goes on");
}

/// Tells the test that it is the one to be killed.
const KILLED: &str = "POSTGRES_TEST_TO_BE_KILLED";
