//! While Redis is not there: the process's own windows decide and the answer says so; and it comes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::server::{Redis, free_port};
use super::{
    Customer, Processes, degraded, hasty, is_allowed, is_degraded, metric, patient, processes, question, request, until,
};
use crate::harness::Answer;

/// Callers of one process, who ask until they are told to stop.
struct Load {
    callers: JoinSet<Vec<(Instant, Duration, Answer)>>,
    is_over: Arc<AtomicBool>,
}

const CALLERS: usize = 8;

impl Load {
    fn of(processes: &Processes, customer: &Customer) -> Self {
        let (mut callers, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for _ in 0..CALLERS {
            let (asks, body, is_over) = (processes.all[0].admin().unjudged(), request(customer), Arc::clone(&is_over));
            callers.spawn(async move {
                let mut answers = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    let answer = asks.post("/v1/authorize", body.clone()).await;
                    answers.push((begun, begun.elapsed(), answer));
                }
                answers
            });
        }
        Self { callers, is_over }
    }

    async fn end(self) -> Vec<(Instant, Duration, Answer)> {
        self.is_over.store(true, Ordering::SeqCst);
        self.callers.join_all().await.concat()
    }
}

#[tokio::test]
async fn without_redis_the_process_starts_decides_by_its_own_windows_and_says_so() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let processes = processes(1, 1, |_, setup| hasty(setup, &url)).await;
    let (server, customer) = (&processes.all[0], &processes.customers[0]);
    server.anonymous().get("/livez").await.is(200);
    server.anonymous().get("/readyz").await.is(200);
    for left in (58..60).rev() {
        let answer = processes.authorize(0, customer).await;
        assert_eq!((answer.is(200).data()["decisions"][0]["remaining"].as_u64(), is_degraded(&answer)), (Some(left), true));
    }
    let seen = processes.seen(0, customer).await;
    assert_eq!((seen.is(200).data()["remaining"].as_u64(), is_degraded(&seen)), (Some(58), true));
    let seats = json!({"org": "acme", "limitKey": "seats", "current": 1});
    let admin = server.admin();
    assert!(!is_degraded(&admin.check(seats.clone()).await), "usage has nothing to do with it");
    let batch = |checks| admin.post("/v1/check/batch", json!({"checks": checks}));
    assert!(is_degraded(&batch(json!([seats, question(customer)])).await));
    assert!(!is_degraded(&batch(json!([seats])).await));
    let mut body = request(customer);
    body["check"] = json!([{"limitKey": "calls"}]);
    assert!(is_degraded(&admin.post("/v1/authorize", body).await));
    assert!(metric(server, "plimsoll_limiter_degraded_total").await.expect("a counter") >= 5.0);
    assert_eq!(metric(server, "plimsoll_limiter_servers_away").await, Some(1.0));
    assert!(server.stderr.text().contains(&format!("127.0.0.1:{port}")), "{}", server.stderr.text());
}

#[tokio::test]
async fn customers_are_told_in_a_header_and_their_bodies_stay_as_they_are() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let processes = processes(1, 1, |_, setup| hasty(setup, &url)).await;
    let (server, customer) = (&processes.all[0], &processes.customers[0]);
    let admin = server.admin();
    admin.create_override("acme", &json!({"limitKey": "calls", "mode": "set", "value": {"max": 1}})).await.is(201);
    let proxied = || {
        let asked = server.anonymous().request("GET", "/v1/forward-auth/api");
        asked.header("Authorization", format!("Bearer {}", customer.secret)).send()
    };
    let passed = proxied().await;
    assert_eq!((passed.is(200).header("X-Plimsoll-Degraded"), is_degraded(&passed)), (Some("limiter"), true));
    assert_eq!(passed.data()["headers"]["X-Plimsoll-Degraded"], json!(null), "it is not for customers");
    let relayed = [
        proxied().await,
        admin.post("/v1/authorize?enforce=true", request(customer)).await,
        admin.post("/v1/check?enforce=true", question(customer)).await,
    ];
    for refused in relayed {
        let wait: u64 = refused.is(429).header("Retry-After").expect("a header").parse().expect("seconds");
        let body = json!({"data": null, "error": "Rate limit exceeded", "meta": {"code": "rate_limit_exceeded", "bucket": "v1Api", "retryAfter": wait}});
        assert_eq!((&refused.body, refused.header("X-Plimsoll-Degraded")), (&body, Some("limiter")), "{}", refused.asked);
    }
}

#[tokio::test]
async fn a_redis_that_was_not_there_is_found_when_it_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let processes = processes(2, 1, |_, setup| patient(setup, &redis.url())).await;
    let customer = &processes.customers[0];
    assert!(is_degraded(&processes.authorize(0, customer).await));
    redis.again();
    processes.share().await;
    let answers = processes.rush(customer, 10).await;
    assert_eq!((super::allowed(&answers), degraded(&answers)), (60, 0), "what was counted meanwhile is not known to Redis");
}

#[tokio::test]
async fn the_processs_own_windows_begin_with_what_it_let_pass() {
    let mut redis = Redis::start();
    let processes = processes(2, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let customer = &processes.customers[0];
    for number in [0, 0, 0, 1] {
        assert!(!is_degraded(&processes.authorize(number, customer).await));
    }
    redis.kill();
    until("an answer without Redis", async || is_degraded(&processes.seen(0, customer).await)).await;
    until("an answer without Redis", async || is_degraded(&processes.seen(1, customer).await)).await;
    assert_eq!(processes.seen(0, customer).await.data()["remaining"], 57);
    assert_eq!(processes.seen(1, customer).await.data()["remaining"], 59);
    let mut answers = Vec::new();
    for _ in 0..58 {
        answers.push(processes.authorize(0, customer).await);
    }
    assert_eq!((super::allowed(&answers), degraded(&answers)), (57, 58), "nobody goes free");
}

/// What was answered while Redis was not there: all of it, at full speed but for those whom it surprised.
fn hold(answers: &[(Instant, Duration, Answer)], from: Instant, to: Instant) {
    let meanwhile: Vec<_> = answers.iter().filter(|(begun, ..)| (from..to).contains(begun)).collect();
    assert!(meanwhile.iter().all(|(_, _, answer)| answer.is(200).data()["allowed"].is_boolean()));
    let slowest = meanwhile.iter().map(|(_, took, _)| *took).max().expect("answers");
    assert!(slowest < Duration::from_secs(3), "one took {slowest:?}");
    // Did each of them wait its 100 ms, there would be no more than this, and all of them slow.
    let slow = meanwhile.iter().filter(|(_, took, _)| *took >= Duration::from_millis(100)).count();
    assert!(slow * 4 < meanwhile.len(), "{slow} of {} waited", meanwhile.len());
    let told = meanwhile.iter().filter(|(_, _, answer)| is_degraded(answer)).count();
    assert!(told * 2 > meanwhile.len(), "{told} of {} say that Redis is away", meanwhile.len());
}

#[tokio::test]
async fn a_redis_that_hangs_or_dies_under_load_is_not_waited_for_and_comes_back_by_itself() {
    let mut redis = Redis::start();
    let processes = processes(1, 1, |_, setup| hasty(setup, &redis.url())).await;
    processes.share().await;
    let customer = &processes.customers[0];
    let is_shared = async || !is_degraded(&processes.seen(0, customer).await);
    let load = Load::of(&processes, customer);
    let mut outages = Vec::new();
    for dies in [false, true] {
        until("answers of Redis", is_shared).await;
        let from = Instant::now();
        if dies {
            redis.kill();
        } else {
            redis.signal("STOP");
        }
        until("an answer without Redis", async || is_degraded(&processes.seen(0, customer).await)).await;
        // Long enough that each caller would wait many times.
        until("time", async || from.elapsed() > Duration::from_secs(3)).await;
        processes.all[0].anonymous().get("/livez").await.is(200);
        outages.push((from, Instant::now()));
        if dies {
            redis.again();
        } else {
            redis.signal("CONT");
        }
        until("answers of Redis", is_shared).await;
    }
    let answers = load.end().await;
    for (from, to) in outages {
        hold(&answers, from, to);
    }
}

#[tokio::test]
async fn a_redis_that_hangs_again_and_again_is_left_alone() {
    const SHARED: &str = "sliding windows are shared through Redis";
    let redis = Redis::start();
    let processes = processes(1, 1, |_, setup| hasty(setup, &redis.url())).await;
    processes.share().await;
    let pass = async |millis| {
        let begun = Instant::now();
        until("time", async || begun.elapsed() > Duration::from_millis(millis)).await;
    };
    for _ in 0..12 {
        redis.signal("STOP");
        pass(800).await;
        redis.signal("CONT");
        pass(450).await;
    }
    let log = processes.all[0].stderr.text();
    // At the start, and then at most twice: it has to answer well for longer each time.
    let times = log.lines().filter(|line| line.contains(SHARED)).count();
    assert!((1..=3).contains(&times), "{times} times:\n{log}");
    processes.share().await;
    assert!(!is_degraded(&processes.authorize(0, &processes.customers[0]).await));
}

#[tokio::test]
async fn a_redis_that_refuses_to_count_is_asked_again_with_every_call() {
    let redis = Redis::start();
    let processes = processes(1, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let customer = &processes.customers[0];
    assert!(!is_degraded(&processes.authorize(0, customer).await));
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"]), "OK");
    let full = processes.authorize(0, customer).await;
    assert!(is_allowed(&full) && is_degraded(&full), "{}", full.text);
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    assert!(!is_degraded(&processes.authorize(0, customer).await));
    assert!(processes.all[0].stderr.text().contains("OOM"), "{}", processes.all[0].stderr.text());
}
