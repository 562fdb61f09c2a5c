//! What a process says of itself while its database is away.

use std::time::{Duration, Instant};

use serde_json::json;

use super::scene::{PROBE, Scene, eventually};
use crate::harness::{Plimsoll, Postgres};

/// For so long a process that hears nothing of its database is asked all the same.
const BOUND: Duration = Duration::from_secs(30);
/// The longest that it may take to hear of it again.
const RECOVERY: Duration = Duration::from_secs(2);

/// The value of a metric without labels.
async fn metric(server: &Plimsoll, name: &str) -> f64 {
    let text = server.anonymous().get("/metrics").await.is(200).text.clone();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

async fn age(server: &Plimsoll) -> f64 {
    metric(server, "plimsoll_snapshot_age_seconds").await
}

async fn is_up(server: &Plimsoll) -> bool {
    let up = metric(server, "plimsoll_database_up").await;
    assert!(up == 0.0 || up == 1.0, "{up}");
    up == 1.0
}

async fn readyz(server: &Plimsoll) -> (u16, String) {
    let answer = server.anonymous().get("/readyz").await;
    (answer.status, answer.text.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_an_outage_it_is_ready_until_what_it_knows_is_thirty_seconds_old() {
    let postgres = Postgres::start();
    let scene = Scene::start(&postgres, 1, 1_000).await;
    let server = &scene.servers[0];
    let old = || 1.0 + scene.slack().taking.as_secs_f64();
    assert!(is_up(server).await && age(server).await < old(), "it follows a database that is there");
    let begun = Instant::now();
    scene.proxy.silence(true);
    eventually("the database is found down", || async { !is_up(server).await }).await;
    let mut oldest = 0.0;
    eventually("it is not ready any more", || async {
        let (status, text) = readyz(server).await;
        assert!(status == 200 || begun.elapsed() >= BOUND - RECOVERY, "{text} after {:?}", begun.elapsed());
        status == 503
    })
    .await;
    let (status, text) = readyz(server).await;
    assert_eq!((status, text.as_str()), (503, "what is known is 30 seconds old\n"));
    oldest = age(server).await.max(oldest);
    assert!(oldest >= BOUND.as_secs_f64() && !is_up(server).await, "{oldest}");
    server.anonymous().get("/livez").await.is(200);
    server.admin().check(json!({"org": PROBE, "limitKey": "seats", "current": 1})).await.is(200);
    let back = Instant::now();
    scene.proxy.silence(false);
    eventually("it is ready again", || async { readyz(server).await.0 == 200 && is_up(server).await }).await;
    assert!(back.elapsed() <= RECOVERY + scene.slack().taking, "it took {:?}", back.elapsed());
    assert!(age(server).await < old(), "it follows again");
}
