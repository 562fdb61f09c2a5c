//! Passwords: what happens when they are wrong, and that nobody ever reads them.

use super::server::{Redis, words};
use super::{hasty, is_degraded, patient, processes, until};
use crate::harness::{Plimsoll, Setup};

const PASSWORD: &str = "hunter2hunter2hunter2";

fn guarded() -> Redis {
    Redis::with(|_, _| vec!["--requirepass".to_owned(), PASSWORD.to_owned()])
}

#[tokio::test]
async fn a_password_opens_and_is_in_no_log() {
    let mut redis = guarded();
    let url = redis.url();
    assert!(url.contains(PASSWORD));
    let processes = processes(1, 1, |_, setup| patient(setup, &url).variable("PLIMSOLL_LOG", "trace")).await;
    processes.share().await;
    let customer = &processes.customers[0];
    assert!(!is_degraded(&processes.authorize(0, customer).await));
    // What it says of an outage and of its end is a part of it.
    redis.kill();
    until("an answer without Redis", async || is_degraded(&processes.authorize(0, customer).await)).await;
    redis.again();
    until("answers of Redis", async || !is_degraded(&processes.authorize(0, customer).await)).await;
    let server = processes.all.into_iter().next().expect("a process");
    let metrics = server.anonymous().get("/metrics").await.text;
    let stopped = server.terminate();
    assert!(stopped.stderr.contains("TRACE"), "it says what it can");
    assert!(!format!("{}{}{metrics}", stopped.stdout, stopped.stderr).contains(PASSWORD));
}

#[tokio::test]
async fn with_a_wrong_password_windows_are_the_processs_own_and_the_log_says_why() {
    let redis = guarded();
    let wrong = format!("redis://:wrong-{PASSWORD}@127.0.0.1:{}", redis.port);
    let without = format!("redis://127.0.0.1:{}", redis.port);
    for url in [wrong, without] {
        let processes = processes(1, 1, |_, setup| hasty(setup, &url).variable("PLIMSOLL_LOG", "trace")).await;
        let server = &processes.all[0];
        until("a word in the log", async || {
            let log = server.stderr.text().to_lowercase();
            log.contains("authenticat") || log.contains("noauth")
        })
        .await;
        assert!(is_degraded(&processes.authorize(0, &processes.customers[0]).await));
        assert!(!server.stderr.text().contains(PASSWORD), "{}", server.stderr.text());
    }
}

#[tokio::test]
async fn a_user_who_may_do_no_more_than_it_needs_is_enough() {
    let rights = "~plimsoll:* +ping +evalsha +script|load +cluster|slots +time +llen +lindex +ltrim +rpush +pexpire";
    let redis = Redis::with(|_, _| words(&format!("--user plimsoll on >{PASSWORD} {rights}")));
    let url = format!("redis://plimsoll:{PASSWORD}@127.0.0.1:{}", redis.port);
    let processes = processes(1, 1, |_, setup| patient(setup, &url)).await;
    processes.share().await;
    let customer = &processes.customers[0];
    for answer in [processes.authorize(0, customer).await, processes.seen(0, customer).await] {
        assert!(!is_degraded(&answer), "{}", processes.all[0].stderr.text());
    }
    assert_eq!(redis.ask(&["ACL", "WHOAMI"]), "default", "the one who looks on may do everything");
}

#[tokio::test]
async fn the_address_may_come_from_a_file() {
    let redis = guarded();
    let setup = Setup::new();
    let file = setup.file("redis-url", format!("{}\n", redis.url()));
    let server = Plimsoll::on(setup.variable("PLIMSOLL_REDIS_URL_FILE", file)).await;
    until("shared windows", async || super::metric(&server, "plimsoll_limiter_servers_away").await == Some(0.0)).await;
}

#[test]
fn an_address_that_is_none_stops_the_start_and_is_not_repeated() {
    for url in [format!("redis:/{PASSWORD}"), format!("redis://:{PASSWORD}@host:port"), format!("redis://:{PASSWORD}@a,b/1")] {
        let setup = Setup::new().variable("PLIMSOLL_LOG", "trace").variable("PLIMSOLL_REDIS_URL", &url);
        let help = Plimsoll::run(&setup, ["serve", "--help"]);
        let stopped = Plimsoll::refused(setup);
        assert!(!stopped.status.success() && stopped.stderr.contains("PLIMSOLL_REDIS_URL"), "{}", stopped.stderr);
        assert!(!format!("{}{}{}", help.stdout, stopped.stdout, stopped.stderr).contains(PASSWORD), "{}", stopped.stderr);
    }
}
