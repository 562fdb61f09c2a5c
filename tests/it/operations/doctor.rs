//! `plimsoll doctor` on the files of real servers: busy, killed, downgraded, and harmed.

use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use super::load::{Load, product};
use crate::harness::{Plimsoll, Postgres, Setup, Stopped};

fn doctor(setup: &Setup) -> Stopped {
    Plimsoll::run(setup, ["doctor"])
}

#[track_caller]
pub(super) fn is_content(setup: &Setup) -> String {
    let seen = doctor(setup);
    assert_eq!(seen.status.code(), Some(0), "{}\n{}", seen.stdout, seen.stderr);
    assert!(!seen.stdout.contains("off ") && seen.stdout.ends_with(": content"), "{}", seen.stdout);
    seen.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_server_and_one_that_was_killed_have_nothing_off() {
    let server = Plimsoll::start().await;
    let key = product(&server).await;
    let load = Load::start(&server, &key, 8);
    load.acknowledged(200).await;
    for _ in 0..3 {
        let said = is_content(server.setup());
        assert!(said.contains(" counters, ") && said.contains(" reservations, ") && said.contains(" answers, "), "{said}");
    }
    let stopped = server.kill();
    load.stop().await;
    is_content(&stopped.setup);
    assert_eq!(Plimsoll::on(stopped.setup).await.terminate().status.code(), Some(0));
}

#[tokio::test]
async fn what_is_above_its_cap_after_a_downgrade_is_a_note() {
    let server = Plimsoll::start().await;
    let key = product(&server).await;
    let actor = server.bearer(&key);
    actor.post("/v1/consume", json!({"org": "org-0", "limitKey": "seats", "amount": 7})).await.is(200);
    server.admin().put_org("org-0", "free").await.is(200);
    let said = is_content(server.setup());
    let note = "note  usage org-0/seats//0: 7 is taken, above the cap of 5: nothing more is allowed, and nothing is lost\n";
    assert!(said.contains(note), "{said}");
}

#[tokio::test]
async fn what_is_off_is_named_on_a_line_of_its_own_and_in_the_exit_code() {
    let server = Plimsoll::start().await;
    let key = product(&server).await;
    server.bearer(&key).post("/v1/consume", json!({"org": "org-0", "limitKey": "seats"})).await.is(200);
    let stopped = server.terminate();
    let harmed = Database::connect(format!("sqlite://{}", stopped.setup.database().display())).await.expect("a database");
    let harm = "PRAGMA ignore_check_constraints = ON; UPDATE usage SET used = -1; UPDATE catalogue_revision SET value = 1";
    harmed.execute_unprepared(harm).await.expect("harmed");
    harmed.close().await.expect("closed");
    let seen = doctor(&stopped.setup);
    assert_eq!(seen.status.code(), Some(1));
    let used = "off   usage org-0/seats//0: it is not true that used BETWEEN 0 AND 9007199254740991\n";
    assert!(seen.stdout.contains(used), "{}", seen.stdout);
    assert!(seen.stdout.contains("is the newest line of the log, but not the revision of the catalogue\n"), "{}", seen.stdout);
    assert!(seen.stdout.ends_with(": not content"), "{}", seen.stdout);
    let findings = seen.stdout.lines().filter(|line| line.starts_with("off ")).count();
    assert_eq!(seen.stderr, format!("plimsoll: {findings} findings are off"));
}

#[test]
fn what_cannot_be_looked_at_has_an_exit_code_of_its_own() {
    let setup = Setup::new();
    let unseen = |named: &str, setup: &Setup| {
        let seen = doctor(setup);
        assert_eq!((seen.status.code(), seen.stdout.as_str()), (Some(2), ""), "{}", seen.stderr);
        assert!(seen.stderr.contains(named), "{}", seen.stderr);
    };
    unseen("does not exist", &setup);
    unseen("PLIMSOLL_DATABSE", &setup.clone().variable("PLIMSOLL_DATABSE", "x"));
    unseen("127.0.0.1:1/d cannot be used", &setup.clone().variable("PLIMSOLL_DATABASE_URL", "postgres://u:p@127.0.0.1:1/d"));
    setup.file("plimsoll.db", "a letter to grandmother");
    unseen("is not a SQLite database", &setup);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_leaves_a_serving_process_and_its_callers_alone() {
    let server = Plimsoll::start().await;
    let key = product(&server).await;
    let load = Load::start(&server, &key, 4);
    let before = load.count();
    for _ in 0..3 {
        is_content(server.setup());
    }
    load.acknowledged(before + 50).await;
    load.stop().await;
    assert_eq!(server.terminate().status.code(), Some(0));
}

#[tokio::test]
async fn what_cannot_be_on_a_server_is_named_too() {
    let postgres = Postgres::start();
    let server = Plimsoll::on(Setup::on_postgres(&postgres)).await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.post("/v1/reservations", json!({"org": "acme", "limitKey": "seats"})).await.is(201);
    let setup = server.terminate().setup;
    is_content(&setup);
    for harm in [
        "UPDATE usage SET holds = 0",
        "UPDATE usage SET used = 5",
        "DELETE FROM limit_key_use",
        "DELETE FROM change_log WHERE revision = 2",
        "INSERT INTO usage (org, limit_key, resource, window_start, window_end, used) VALUES ('a b', 'gone', '', 0, NULL, 1)",
        "INSERT INTO usage (org, limit_key, resource, window_start, window_end, used) VALUES ('acme', 'seats', '', 1, 7, 0)",
    ] {
        postgres.sql(harm);
    }
    let seen = doctor(&setup);
    assert_eq!(seen.status.code(), Some(1), "{}", seen.stderr);
    let said = seen.stdout;
    for named in [
        "usage acme/seats//0: fewer reservations are to be read of it than are held",
        "usage acme/seats//0: 6 is taken, above the cap of 1",
        "usage acme/seats//0: its limit key is not among those that were ever taken from",
        "change_log 3: follows a gap in the log",
        "usage a b/gone//0: its limit key does not exist",
        "usage a b/gone//0: its org is not 1 to 128 characters",
        "usage acme/seats//1: its window is none of the calendar's",
    ] {
        assert!(said.contains(named), "{named}:\n{said}");
    }
}
