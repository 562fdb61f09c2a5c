//! Webhooks: endpoints that events are pushed to.

mod crash;
mod failures;
mod guard;
mod resource;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll, Received, Receiver, Setup};

/// The longest that something may take to be so.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server that may reach this machine, waits a second for an answer, and tries again after a second.
fn setup() -> Setup {
    Setup::new()
        .variable("PLIMSOLL_WEBHOOK_ALLOW_PRIVATE", "127.0.0.0/8")
        .variable("PLIMSOLL_WEBHOOK_TIMEOUT_SECONDS", "1")
        .variable("PLIMSOLL_WEBHOOK_RETRY_SECONDS", "1,1,1,1,1,1,1,1")
}

/// A server with some orgs.
async fn planned(setup: Setup) -> (Plimsoll, Actor) {
    let server = Plimsoll::on(setup).await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    for org in ["acme", "globex", "initech"] {
        admin.put_org(org, "free").await.is(201);
    }
    (server, admin)
}

/// A webhook, and its id.
async fn made(admin: &Actor, body: Value) -> String {
    admin.post("/v1/admin/webhooks", body).await.is(201).text_at("/data/id").to_owned()
}

/// An event of an org.
async fn ban(admin: &Actor, org: &str) {
    admin.post(&format!("/v1/admin/orgs/{org}/ban"), json!({})).await.is(200);
}

/// Another one.
async fn unban(admin: &Actor, org: &str) {
    admin.post(&format!("/v1/admin/orgs/{org}/unban"), json!({})).await.is(200);
}

/// What a webhook was told, newest first.
async fn deliveries(admin: &Actor, id: &str, query: &str) -> Vec<Value> {
    admin.get(&format!("/v1/admin/webhooks/{id}/deliveries?{query}")).await.is(200).items().to_vec()
}

/// Waits until this is true of what is answered.
async fn until(admin: &Actor, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let data = admin.get(path).await.is(200).data().clone();
        if is_so(&data) {
            return data;
        }
        assert!(begun.elapsed() < DEADLINE, "{path}: {data}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The places in the feed of what was received of an org, each the first time that it came.
fn first_times(received: &[Received], org: &str) -> Vec<u64> {
    let mut seen = Vec::new();
    for message in received.iter().filter(|message| message.org() == org) {
        if !seen.contains(&message.sequence()) {
            seen.push(message.sequence());
        }
    }
    seen
}

#[tokio::test]
async fn an_endpoint_is_told_of_what_happens_as_standard_webhooks_has_it() {
    let receiver = Receiver::start().await;
    let (_server, admin) = planned(setup()).await;
    ban(&admin, "globex").await;
    let id = made(&admin, json!({"url": receiver.url("/hooks?a=b"), "description": "Billing"})).await;
    ban(&admin, "acme").await;
    unban(&admin, "acme").await;
    admin.post("/v1/admin/users/jane/ban", json!({})).await.is(200);
    let received = receiver.wait_for(3).await;
    let feed = admin.get("/v1/admin/events?after=1").await.is(200).items().to_vec();
    assert_eq!((received.len(), feed.len()), (3, 3), "what happened before is not told");
    for event in &feed {
        let message = received.iter().find(|message| message.id() == event["id"]).expect("a message of the event");
        assert_eq!(message.path, "/hooks?a=b");
        assert_eq!(message.headers["content-type"], "application/json");
        let expected = json!({
            "type": event["type"], "timestamp": event["at"], "id": event["id"], "sequence": event["sequence"],
            "org": event["org"], "data": event["data"],
        });
        assert_eq!(message.body, expected);
        let sent: i64 = message.headers["webhook-timestamp"].parse().expect("seconds");
        assert!((sent - plimsoll::clock::now().get() / 1000).abs() < 60);
        assert!(message.headers["webhook-signature"].starts_with("v1,"));
    }
    assert_eq!(first_times(&received, "acme"), [2, 3]);
    let path = format!("/v1/admin/webhooks/{id}/deliveries?state=delivered");
    let told = until(&admin, &path, |told| told.as_array().map(Vec::len) == Some(3)).await;
    assert!(told.as_array().expect("a list").iter().all(|one| one["lastStatus"] == 204 && one["attempts"] == 1), "{told}");
}

#[tokio::test]
async fn an_endpoint_is_told_of_the_types_and_the_org_that_it_wants() {
    let receiver = Receiver::start().await;
    let (_server, admin) = planned(setup()).await;
    made(&admin, json!({"url": receiver.url("/"), "types": ["org.banned"], "org": "acme"})).await;
    let all = made(&admin, json!({"url": receiver.url("/all")})).await;
    for org in ["globex", "acme"] {
        ban(&admin, org).await;
        unban(&admin, org).await;
    }
    admin.post("/v1/admin/users/jane/ban", json!({})).await.is(200);
    let received = receiver.wait_for(6).await;
    let some: Vec<&Received> = received.iter().filter(|message| message.path == "/").collect();
    assert_eq!((some.len(), some[0].kind(), some[0].org()), (1, "org.banned", "acme"));
    admin.post(&format!("/v1/admin/webhooks/{all}/test"), json!({})).await.is(200);
    let received = receiver.wait_for(7).await;
    assert_eq!((received[6].path.as_str(), received[6].kind()), ("/all", "webhook.tested"), "only the one that is tested");
    assert_eq!(received[6].body["data"], json!({"webhook": all}));
}
