//! What is told beside an answer, when another process was faster and it is judged again.

use serde_json::json;

use super::{patient, watchful};
use crate::crash::{set_up, take_once, taking};
use crate::harness::{Actor, Plimsoll};

/// The figure of a metric, 0 when it is not there yet.
async fn figure(server: &Plimsoll, metric: &str) -> u64 {
    let metrics = server.anonymous().get("/metrics").await;
    let line = metrics.text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map_or(0, |figure| figure.parse().expect("a number"))
}

async fn take(actor: &Actor, key: &str, amount: u64) {
    let taken = take_once(actor, key, &taking("acme", "seats", amount)).await;
    assert_eq!(taken.is(200).data()["allowed"], json!(true), "{}", taken.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_was_overtaken_leaves_no_receipt_and_is_not_counted() {
    let postgres = watchful();
    let mut servers = Plimsoll::all(vec![patient(&postgres); 2]).await;
    let revision = set_up(&servers[0].admin(), 2, ["acme"]).await;
    let (one, other) = (servers[0].admin(), servers[1].admin().at_least(revision));
    take(&one, "both", 2).await;
    // The first process goes on to know that it is full.
    other.post("/v1/release", taking("acme", "seats", 2)).await.is(200);
    take(&one, "again", 1).await;
    assert_eq!(figure(&servers[0], "plimsoll_ledger_overtaken_total").await, 1, "it was judged again");
    let decided = |outcome: &str| format!("plimsoll_decisions_total{{kind=\"count\",outcome=\"{outcome}\"}}");
    assert_eq!(figure(&servers[0], &decided("allowed")).await, 2);
    assert_eq!(figure(&servers[0], &decided("limit_reached")).await, 0);
    let refused = take_once(&one, "too-many", &taking("acme", "seats", 2)).await;
    assert_eq!(refused.is(200).data()["allowed"], json!(false), "{}", refused.text);
    assert_eq!(take_once(&one, "too-many", &taking("acme", "seats", 2)).await.text, refused.text);
    assert_eq!(figure(&servers[0], &decided("limit_reached")).await, 1, "a repetition decides nothing");
    // What is noted is written before it ends.
    servers.remove(0).terminate();
    assert_eq!(postgres.sql("SELECT id FROM decision"), [[refused.text_at("/data/decisionId")]]);
}
