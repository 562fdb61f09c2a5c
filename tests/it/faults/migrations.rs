//! The schema: made once however many processes start, whole or not at all, and never worked on by a program that does not know it.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use migration::SCHEMA_VERSION;

use crate::crash::{current, set_up, taking};
use crate::harness::postgres::until;
use crate::harness::{Plimsoll, Postgres, Proxy, Setup};

const PROCESSES: usize = 6;
/// Every so many statements a start is cut off.
const STRIDE: usize = 7;
/// One of the later steps.
const LATE: &str = "CREATE TABLE \"answer\"";
const TABLES: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";

/// A command of the program that runs beside the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn migrate(setup: &Setup) -> Self {
        Self(setup.command(["migrate"]).spawn().expect("the program"))
    }

    fn succeeds(mut self) -> bool {
        self.0.wait().expect("an exit status").success()
    }
}

/// A way to the database, whether it has seen a late step, and what holds that step back for as long as it is kept.
fn held_way(postgres: &Postgres) -> (Proxy, Arc<AtomicBool>, mpsc::Sender<()>) {
    let (proxy, is_late) = (Proxy::to(postgres.address()), Arc::new(AtomicBool::new(false)));
    let (seen, (hold, held)) = (Arc::clone(&is_late), mpsc::channel());
    // It only looks, and waits.
    proxy.lose(1, move |text| {
        if text.contains(LATE) {
            seen.store(true, Ordering::SeqCst);
            held.recv().ok();
        }
        false
    });
    (proxy, is_late, hold)
}

fn through(postgres: &Postgres, proxy: &Proxy) -> Setup {
    Setup::on_postgres(postgres).at_database(&postgres.url_through(proxy.address()))
}

#[tokio::test]
async fn six_processes_at_once_on_an_empty_schema_make_it_once_and_all_serve() {
    let postgres = Postgres::start();
    let servers = Plimsoll::all(vec![Setup::on_postgres(&postgres); PROCESSES]).await;
    set_up(&servers[0].admin(), 1_000, ["acme"]).await;
    for (server, taken) in servers.iter().zip(1..) {
        server.anonymous().get("/readyz").await.is(200);
        let consumed = server.admin().request("POST", "/v1/consume").header("Plimsoll-At-Least", "5");
        consumed.json(&taking("acme", "seats", 1)).send().await.is(200);
        assert_eq!(current(&servers[0].admin(), "acme", "seats").await, taken);
    }
    let steps = postgres.sql("SELECT count(*), count(DISTINCT version) FROM seaql_migrations");
    let all = SCHEMA_VERSION.to_string();
    assert_eq!(steps, [[all.clone(), all]], "every step once");
    assert!(!postgres.log().contains("ERROR"), "{}", postgres.log());
}

#[test]
fn wherever_a_migration_is_cut_off_it_leaves_nothing_and_the_next_start_goes_on() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    let setup = through(&postgres, &proxy);
    let mut cuts = 0;
    loop {
        let passed = AtomicUsize::new(0);
        let last = cuts * STRIDE;
        proxy.lose(1, move |_| passed.fetch_add(1, Ordering::SeqCst) == last);
        let ended = Plimsoll::run(&setup, ["migrate"]);
        if proxy.sprung() == cuts {
            assert!(ended.status.success(), "{}", ended.stderr);
            break;
        }
        cuts += 1;
        if postgres.number(TABLES) > 0 {
            // It was done, and cut off after that.
            assert_eq!(postgres.number("SELECT count(*) FROM seaql_migrations"), i64::from(SCHEMA_VERSION));
            continue;
        }
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("The database 127.0.0.1:"), "{}", ended.stderr);
    }
    assert!(cuts >= 5, "it was cut off only {cuts} times");
    assert!(postgres.number(TABLES) > 10);
}

#[test]
fn a_migration_whose_commit_is_not_answered_is_found_done_by_the_next_start() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    proxy.swallow(1, |text| text == "COMMIT");
    let setup = through(&postgres, &proxy);
    assert_eq!(Plimsoll::run(&setup, ["migrate"]).status.code(), Some(1));
    assert_eq!(proxy.sprung(), 1);
    until("the schema is there", || postgres.number(TABLES) > 10);
    let ended = Plimsoll::run(&setup, ["migrate"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_process_is_killed_while_it_migrates_and_one_that_waits_goes_on() {
    let postgres = Postgres::start();
    let (proxy, is_late, hold) = held_way(&postgres);
    let first = Running::migrate(&through(&postgres, &proxy));
    until("it is in the middle", || is_late.load(Ordering::SeqCst));
    let second = Running::migrate(&Setup::on_postgres(&postgres));
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'plimsoll schema' AND wait_event = 'advisory'";
    until("another waits", || postgres.number(waiting) == 1);
    drop((first, hold));
    assert!(second.succeeds(), "the one that waited");
    assert_eq!(postgres.number("SELECT count(*) FROM seaql_migrations"), i64::from(SCHEMA_VERSION));
}

#[test]
fn the_connection_of_a_migration_is_ended_and_the_next_start_goes_on() {
    let postgres = Postgres::start();
    let (proxy, is_late, hold) = held_way(&postgres);
    let first = Running::migrate(&through(&postgres, &proxy));
    until("it is in the middle", || is_late.load(Ordering::SeqCst));
    assert_eq!(postgres.terminate_backends(Some("plimsoll schema")), 1);
    drop(hold);
    assert!(!first.succeeds(), "it was in the middle");
    assert_eq!(postgres.number(TABLES), 0);
    assert!(Running::migrate(&Setup::on_postgres(&postgres)).succeeds());
}

#[tokio::test]
async fn an_older_program_refuses_to_start_on_a_newer_schema_and_one_that_runs_goes_on() {
    let postgres = Postgres::start();
    let setup = Setup::on_postgres(&postgres);
    let server = Plimsoll::on(setup.clone()).await;
    set_up(&server.admin(), 1_000, ["acme"]).await;
    postgres.sql("INSERT INTO seaql_migrations VALUES ('m9999_of_a_newer_program', 0)");
    let before = postgres.sql("SELECT count(*), max(applied_at) FROM seaql_migrations");
    for refused in [Plimsoll::refused(setup.clone()), Plimsoll::run(&setup, ["migrate"])] {
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        let knows = format!("than this program knows (version {SCHEMA_VERSION}): use a newer plimsoll");
        let sentence = format!("has a newer schema (m9999_of_a_newer_program) {knows}");
        assert!(refused.stderr.contains(&sentence), "{}", refused.stderr);
        assert!(!refused.stderr.contains(crate::harness::postgres::PASSWORD), "{}", refused.stderr);
    }
    assert_eq!(postgres.sql("SELECT count(*), max(applied_at) FROM seaql_migrations"), before);
    server.admin().post("/v1/consume", taking("acme", "seats", 1)).await.is(200);
}
