//! The stream of events: server-sent, resumed, bounded, ended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{DEADLINE, planned};
use crate::harness::{ADMIN_KEY, Actor, Plimsoll};

/// A consumer of server-sent events.
struct Consumer {
    response: reqwest::Response,
    unread: String,
}

impl Consumer {
    async fn of(server: &Plimsoll, query: &str, last_seen: Option<u64>) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = server.url(&format!("/v1/admin/events/stream?{query}"));
        let mut request = client.get(url).bearer_auth(ADMIN_KEY);
        if let Some(last) = last_seen {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: String::new() }
    }

    /// The next event with its id; nothing when the stream ends.
    async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(id), Some(kind), Some(data)) = (field("id:"), field("event:"), field("data:")) {
                    let event: Value = serde_json::from_str(data).expect("JSON");
                    assert_eq!(event["type"], kind);
                    assert_eq!(event["sequence"].to_string(), id);
                    return Some((id.parse().expect("a number"), event));
                }
            }
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("something within the time").ok()??;
            self.unread.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

async fn ban(admin: &Actor, times: usize) {
    for _ in 0..times {
        admin.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
        admin.post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
    }
}

#[tokio::test]
async fn a_consumer_that_was_away_resumes_without_a_gap_or_a_repetition() {
    let (server, admin) = planned().await;
    let mut seen: Vec<u64> = Vec::new();
    for count in [3, 7, 6] {
        let mut consumer = Consumer::of(&server, "", seen.last().copied().or(Some(0))).await;
        // What happened while it was away, and what happens while it is there.
        ban(&admin, 2).await;
        for _ in 0..count {
            seen.push(consumer.next().await.expect("an event").0);
        }
        drop(consumer);
        ban(&admin, 1).await;
    }
    let told: Vec<u64> = super::events(&admin, "").await.iter().filter_map(|event| event["sequence"].as_u64()).collect();
    assert_eq!(seen, told[..16]);
}

#[tokio::test]
async fn a_stream_begins_with_what_happens_from_now_on_and_is_filtered() {
    let (server, admin) = planned().await;
    ban(&admin, 1).await;
    let mut all = Consumer::of(&server, "", None).await;
    let mut some = Consumer::of(&server, "type=org.unbanned&org=acme", None).await;
    ban(&admin, 1).await;
    assert_eq!(all.next().await.expect("an event").1["type"], "org.banned");
    assert_eq!(all.next().await.expect("an event").1["type"], "org.unbanned");
    let (id, event) = some.next().await.expect("an event");
    assert_eq!((event["type"].as_str(), event["org"].as_str()), (Some("org.unbanned"), Some("acme")));
    assert!(id >= 4, "{id}");
}

#[tokio::test]
async fn a_stream_ends_when_its_time_is_over_and_when_the_process_stops() {
    let (server, admin) = planned().await;
    let mut short = Consumer::of(&server, "maxSeconds=1", None).await;
    let begun = Instant::now();
    assert!(short.next().await.is_none());
    assert!(begun.elapsed() >= Duration::from_millis(500));
    let mut long = Consumer::of(&server, "", Some(0)).await;
    ban(&admin, 1).await;
    assert_eq!(long.next().await.expect("an event").1["type"], "org.banned");
    let stopping = tokio::task::spawn_blocking(move || server.terminate());
    while long.next().await.is_some() {}
    let stopped = stopping.await.expect("stopped");
    assert!(stopped.status.success(), "{}", stopped.stderr);
}

#[tokio::test]
async fn one_stream_too_many_is_refused_until_another_ends() {
    let (server, admin) = planned().await;
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(Consumer::of(&server, "", None).await);
    }
    let path = "/v1/admin/events/stream?maxSeconds=1";
    let refused = admin.get(path).await;
    assert_eq!(refused.fails(429, "rate_limit_exceeded").body["meta"]["bucket"], "eventStreams");
    open.clear();
    let begun = Instant::now();
    while admin.get(path).await.status == 429 {
        assert!(begun.elapsed() < DEADLINE, "there is no room again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_names_no_place_in_the_feed_is_refused() {
    let (_server, admin) = planned().await;
    let request = admin.request("GET", "/v1/admin/events/stream").header("Last-Event-ID", "evt_1");
    assert_eq!(request.send().await.fails(400, "invalid_params").issues(), ["Last-Event-ID"]);
    for (query, path) in [("after=-1", "after"), ("type=nothing", "type"), ("maxSeconds=0", "maxSeconds")] {
        let answer = admin.get(&format!("/v1/admin/events/stream?{query}")).await;
        assert_eq!(answer.fails(400, "invalid_query").issues(), [path]);
    }
}
