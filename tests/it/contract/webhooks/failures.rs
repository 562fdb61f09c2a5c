//! Endpoints that fail, hang, redirect, and are gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ban, deliveries, first_times, made, planned, setup, unban, until};
use crate::harness::{Reaction, Receiver};

#[tokio::test]
async fn what_an_org_is_not_taken_for_holds_back_that_org_and_no_other() {
    let mut failures = 0;
    let receiver = Receiver::that(move |message| {
        failures += usize::from(message.org() == "acme");
        Reaction::Status(if message.org() == "acme" && failures <= 2 { 500 } else { 200 })
    })
    .await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    for org in ["acme", "globex", "acme", "globex"] {
        ban(&admin, org).await;
        unban(&admin, org).await;
    }
    let received = receiver.until("not everything", |received| received.len() == 8 + 2).await;
    let (acme, globex) = (first_times(&received, "acme"), first_times(&received, "globex"));
    assert_eq!((acme.len(), globex.len()), (4, 4));
    assert!(acme.is_sorted() && globex.is_sorted(), "{acme:?} {globex:?}");
    let times = |org: &str| received.iter().filter(|one| one.org() == org).map(|one| one.at).collect::<Vec<_>>();
    assert!(times("globex")[3] < times("acme")[2], "the other org has not waited");
    let told = until(&admin, &format!("/v1/admin/webhooks/{id}/deliveries?state=delivered&limit=8"), |told| {
        told.as_array().map(Vec::len) == Some(8)
    })
    .await;
    let first = told.as_array().expect("a list").iter().find(|one| one["sequence"] == acme[0]).expect("the first");
    assert_eq!((&first["attempts"], &first["lastStatus"]), (&json!(3), &json!(200)));
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_nobody_else() {
    let (hangs, takes) = (Receiver::that(|_| Reaction::Hang).await, Receiver::start().await);
    let (_server, admin) = planned(setup()).await;
    let hanging = made(&admin, json!({"url": hangs.url("/")})).await;
    made(&admin, json!({"url": takes.url("/")})).await;
    for org in ["acme", "globex", "initech"] {
        ban(&admin, org).await;
    }
    hangs.wait_for(3).await;
    for _ in 0..4 {
        let begun = Instant::now();
        unban(&admin, "acme").await;
        ban(&admin, "acme").await;
        assert!(begun.elapsed() < Duration::from_secs(1), "no request waits for an endpoint");
    }
    let received = takes.wait_for(3 + 8).await;
    let last = received.last().expect("the last").at;
    assert_eq!(first_times(&received, "acme").len(), 9);
    let waited = received.iter().map(|message| message.at).min().map(|first| last.duration_since(first));
    assert!(waited < Some(Duration::from_secs(10)), "{waited:?}");
    let path = format!("/v1/admin/webhooks/{hanging}/deliveries?state=pending&org=initech");
    let told = until(&admin, &path, |told| told[0]["attempts"].as_u64() >= Some(1)).await;
    assert_eq!((&told[0]["lastStatus"], &told[0]["lastError"]), (&Value::Null, &json!("no answer in time")));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_taken_for_success() {
    let elsewhere = Receiver::start().await;
    let place = elsewhere.url("/elsewhere");
    let receiver = Receiver::that(move |_| Reaction::Redirect(place.clone())).await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    ban(&admin, "acme").await;
    receiver.wait_for(2).await;
    let told = deliveries(&admin, &id, "").await;
    assert_eq!((&told[0]["state"], &told[0]["lastStatus"]), (&json!("pending"), &json!(302)));
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn who_is_gone_is_told_nothing_more_until_an_admin_says_so() {
    let receiver = Receiver::that(|_| Reaction::Status(410)).await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    let path = format!("/v1/admin/webhooks/{id}");
    ban(&admin, "acme").await;
    let webhook = until(&admin, &path, |webhook| webhook["enabled"] == false).await;
    assert_eq!(webhook["disabledBecause"], "gone");
    unban(&admin, "acme").await;
    let found = admin.get("/v1/admin/events?type=webhook.disabled").await.is(200).items().to_vec();
    assert_eq!(found[0]["data"], json!({"webhook": id, "reason": "gone"}));
    let audit = admin.get(&format!("/v1/admin/audit?object=webhook&objectId={id}")).await;
    assert_eq!(
        (&audit.is(200).items()[0]["action"], &audit.items()[0]["actor"]["kind"]),
        (&json!("disable"), &json!("service"))
    );
    assert_eq!(receiver.received().len(), 1);
    receiver.becomes(|_| Reaction::Status(200));
    admin.post(&format!("{path}/enable"), json!({})).await.is(200);
    let received = receiver.wait_for(4).await;
    assert_eq!(first_times(&received, "acme").len(), 2, "it goes on where it was");
    assert_eq!(received.iter().filter(|message| message.kind() == "webhook.disabled").count(), 1);
}

#[tokio::test]
async fn who_only_fails_for_as_long_as_a_delivery_is_tried_is_disabled() {
    let works = Receiver::that(|message| Reaction::Status(if message.org() == "acme" { 400 } else { 200 })).await;
    let fails = Receiver::that(|_| Reaction::Status(503)).await;
    let (_server, admin) = planned(setup().variable("PLIMSOLL_WEBHOOK_RETRY_SECONDS", "1,1")).await;
    let working = made(&admin, json!({"url": works.url("/")})).await;
    let failing = made(&admin, json!({"url": fails.url("/")})).await;
    ban(&admin, "acme").await;
    let path = |query: &str| format!("/v1/admin/webhooks/{working}/deliveries?{query}");
    until(&admin, &path("org=acme"), |told| told[0]["attempts"].as_u64() >= Some(1)).await;
    ban(&admin, "globex").await;
    until(&admin, &path("org=globex&state=delivered"), |told| told[0].is_object()).await;
    let webhook = until(&admin, &format!("/v1/admin/webhooks/{failing}"), |webhook| webhook["enabled"] == false).await;
    assert_eq!(webhook["disabledBecause"], "failing");
    let told = until(&admin, &path("state=failed"), |told| told[0].is_object()).await;
    assert_eq!((&told[0]["org"], &told[0]["attempts"], &told[0]["lastStatus"]), (&json!("acme"), &json!(3), &json!(400)));
    let still = admin.get(&format!("/v1/admin/webhooks/{working}")).await;
    assert_eq!(still.is(200).data()["enabled"], true, "it has taken something meanwhile");
    let metrics = admin.get("/metrics").await.text;
    for outcome in ["delivered", "failed", "given_up"] {
        let line = format!("plimsoll_webhook_deliveries_total{{outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(metrics.contains("plimsoll_webhook_backlog_age_seconds"), "{metrics}");
}

#[tokio::test]
async fn something_is_sent_once_more_by_hand() {
    let receiver = Receiver::start().await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    ban(&admin, "acme").await;
    receiver.wait_for(1).await;
    let path = format!("/v1/admin/webhooks/{id}/deliveries");
    let told = until(&admin, &format!("{path}?state=delivered"), |told| told[0].is_object()).await;
    let delivery = told[0]["id"].as_str().expect("an id").to_owned();
    let again = admin.post(&format!("{path}/{delivery}/redeliver"), json!({})).await;
    assert_eq!((&again.is(200).data()["manual"], &again.data()["state"]), (&json!(true), &json!("pending")));
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].text), (received[1].id(), &received[1].text), "the same message");
    until(&admin, &format!("{path}?state=delivered"), |told| told.as_array().map(Vec::len) == Some(2)).await;
    admin.post(&format!("{path}/whd_nothing/redeliver"), json!({})).await.fails(404, "not_found");
    admin.post(&format!("/v1/admin/webhooks/{id}/disable"), json!({})).await.is(200);
    admin.post(&format!("{path}/{delivery}/redeliver"), json!({})).await.fails(409, "state_conflict");
}

#[tokio::test]
async fn what_waits_is_tried_at_once_when_an_admin_says_so_and_in_its_order() {
    let receiver = Receiver::that(|_| Reaction::Status(500)).await;
    let (_server, admin) = planned(setup().variable("PLIMSOLL_WEBHOOK_RETRY_SECONDS", "3600")).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    ban(&admin, "acme").await;
    unban(&admin, "acme").await;
    receiver.wait_for(1).await;
    receiver.becomes(|_| Reaction::Status(200));
    let path = format!("/v1/admin/webhooks/{id}/deliveries");
    let told = until(&admin, &path, |told| told[1]["attempts"] == 1).await;
    admin.post(&format!("{path}/{}/redeliver", told[1]["id"].as_str().expect("an id")), json!({})).await.is(200);
    let received = receiver.wait_for(3).await;
    let counts: BTreeMap<u64, usize> = received.iter().fold(BTreeMap::new(), |mut counts, message| {
        *counts.entry(message.sequence()).or_default() += 1;
        counts
    });
    assert_eq!(counts, BTreeMap::from([(1, 2), (2, 1)]));
}
