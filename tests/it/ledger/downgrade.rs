//! Downgrades: what is over the cap stays and is shown, and blocks only what is new.

use serde_json::{Value, json};

use super::plan::{BOTS, KEYS, catalogue, written};
use crate::harness::{Actor, Plimsoll};

const ORG: &str = "acme";

async fn start(tier: &str) -> (Plimsoll, Actor) {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_catalog(&catalogue()).await.is(200);
    admin.put_org(ORG, tier).await.is(201);
    (server, admin)
}

fn bots(amount: u64) -> Value {
    json!({"org": ORG, "limitKey": KEYS[BOTS].name, "amount": amount})
}

/// What usage, entitlements and a check say of it, which must be the same: used, held, cap, what remains, and whether it is over.
async fn shown(admin: &Actor) -> (u64, u64, Option<u64>, Option<u64>, bool) {
    let usage = admin.get(&format!("/v1/orgs/{ORG}/usage?limitKey=bots")).await;
    let [item] = usage.is(200).items() else { panic!("one is listed: {}", usage.text) };
    let number = |name: &str| item[name].as_u64();
    let (used, held) = (number("used").expect("a number"), number("held").expect("a number"));

    let entitlements = admin.get(&format!("/v1/orgs/{ORG}/entitlements")).await;
    let all = entitlements.is(200).data()["entitlements"].as_array().expect("a list");
    let entitlement = all.iter().find(|one| one["limitKey"] == "bots").expect("the limit key");
    let asked = admin.check(bots(1)).await;
    for name in ["held", "remaining", "current", "source"] {
        assert_eq!((&entitlement[name], &asked.is(200).data()[name]), (&item[name], &item[name]), "{name}");
    }
    for name in ["max", "unlimited"] {
        assert_eq!(asked.data()[name], item[name], "{name}");
    }
    assert_eq!(entitlement["value"], written(number("max")));
    assert_eq!(number("current"), Some(used + held));
    let has_room = number("remaining").is_none_or(|remaining| remaining > 0);
    assert_eq!(asked.data()["allowed"], json!(has_room), "{}", asked.text);
    (used, held, number("max"), number("remaining"), item["over"] == json!(true))
}

async fn take(admin: &Actor, amount: u64) -> bool {
    admin.post("/v1/consume", bots(amount)).await.is(200).data()["allowed"] == json!(true)
}

async fn give_back(admin: &Actor, amount: u64) {
    admin.post("/v1/release", bots(amount)).await.is(200);
}

#[tokio::test]
async fn what_is_over_the_cap_after_a_downgrade_stays_and_blocks_only_what_is_new() {
    let (_server, admin) = start("large").await;
    assert!(take(&admin, 20).await);
    assert_eq!(shown(&admin).await, (20, 0, Some(25), Some(5), false));
    admin.put_org(ORG, "small").await.is(200);
    assert_eq!(shown(&admin).await, (20, 0, Some(4), Some(0), true));
    assert!(!take(&admin, 1).await);
    // What it is not about goes on, but not together with it.
    let items = json!([{"limitKey": "calls"}, {"limitKey": "bots"}]);
    let both = admin.post("/v1/consume/batch", json!({"org": ORG, "items": items})).await;
    assert_eq!(both.is(200).data()["allowed"], json!(false));
    let refused: Vec<&Value> = both.data()["results"].as_array().expect("results").iter().map(|one| &one["allowed"]).collect();
    assert_eq!(refused, [&json!(true), &json!(false)]);
    let alone = admin.post("/v1/consume", json!({"org": ORG, "limitKey": "calls"})).await;
    assert_eq!((&alone.data()["allowed"], &alone.data()["current"]), (&json!(true), &json!(1)));

    give_back(&admin, 10).await;
    assert_eq!(shown(&admin).await, (10, 0, Some(4), Some(0), true));
    assert!(!take(&admin, 1).await);
    give_back(&admin, 6).await;
    assert_eq!(shown(&admin).await, (4, 0, Some(4), Some(0), false));
    assert!(!take(&admin, 1).await);
    give_back(&admin, 1).await;
    assert!(!take(&admin, 2).await);
    assert!(take(&admin, 1).await);
    // Back on the larger tier, all of it has room again.
    admin.put_org(ORG, "large").await.is(200);
    assert_eq!(shown(&admin).await, (4, 0, Some(25), Some(21), false));
}

#[tokio::test]
async fn what_is_unlimited_is_still_counted() {
    let (_server, admin) = start("open").await;
    assert!(take(&admin, 100).await && take(&admin, 1).await);
    assert_eq!(shown(&admin).await, (101, 0, None, None, false));
    admin.put_org(ORG, "small").await.is(200);
    assert_eq!(shown(&admin).await, (101, 0, Some(4), Some(0), true));
    let set = json!({"limitKey": "bots", "mode": "set", "value": written(None)});
    admin.create_override(ORG, &set).await.is(201);
    assert!(take(&admin, 1).await);
    assert_eq!(shown(&admin).await, (102, 0, None, None, false));
}

#[tokio::test]
async fn a_cap_may_be_lowered_below_what_is_used_and_held_and_the_hold_can_still_be_confirmed() {
    let (_server, admin) = start("medium").await;
    admin.put_value("medium", "bots", json!({"max": 9})).await.is(201);
    assert!(take(&admin, 4).await);
    let hold = |amount| admin.post("/v1/reservations", bots(amount));
    let (first, second) = (hold(3).await, hold(2).await);
    assert_eq!(shown(&admin).await, (4, 5, Some(9), Some(0), false));
    // By a tier's value, by an override and by another tier.
    admin.put_value("medium", "bots", json!({"max": 8})).await.is(200);
    assert_eq!(shown(&admin).await, (4, 5, Some(8), Some(0), true));
    let set = json!({"limitKey": "bots", "mode": "set", "value": {"max": 3}});
    admin.create_override(ORG, &set).await.is(201);
    assert_eq!(shown(&admin).await, (4, 5, Some(3), Some(0), true));
    assert_eq!(hold(1).await.is(200).data()["allowed"], json!(false));
    // What was promised is kept.
    admin.post(&format!("/v1/reservations/{}/confirm", first.is(201).text_at("/data/id")), json!({})).await.is(200);
    assert_eq!(shown(&admin).await, (7, 2, Some(3), Some(0), true));
    admin.post(&format!("/v1/reservations/{}/release", second.is(201).text_at("/data/id")), json!({})).await.is(200);
    assert_eq!(shown(&admin).await, (7, 0, Some(3), Some(0), true));
    // The owner's true count is recorded, above the cap as well.
    let path = format!("/v1/orgs/{ORG}/usage/bots");
    admin.put(&path, json!({"current": 11})).await.is(200);
    assert_eq!(shown(&admin).await, (11, 0, Some(3), Some(0), true));
    admin.put(&path, json!({"current": 2})).await.is(200);
    assert_eq!(shown(&admin).await, (2, 0, Some(3), Some(1), false));
    assert!(take(&admin, 1).await && !take(&admin, 1).await);
}
