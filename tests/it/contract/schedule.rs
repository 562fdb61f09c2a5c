//! What changes by itself at a set time, by a clock that the test sets: the tier of an org, the value of a tier.

use std::time::{Duration, Instant};

use plimsoll::domain::time::UtcMillis;
use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll, Setup};
use crate::ledger::clock::SetClock;

/// The longest that an event may take to be told.
const DEADLINE: Duration = Duration::from_secs(20);
const START: &str = "2027-03-01T12:00:00Z";
/// When what is scheduled begins.
const BEGINS: &str = "2027-03-08T00:00:00Z";
const SEATS: &str = "/v1/admin/tiers/ultra/limits/seats/scheduled";

fn millis(time: &str) -> i64 {
    UtcMillis::parse(time).expect(time).get()
}

/// A server whose clock is set, with a plan.
pub(super) async fn planned(at: &str) -> (Plimsoll, Actor, SetClock) {
    let (clock, setup) = SetClock::new(Setup::new(), millis(at));
    let server = Plimsoll::on(setup).await;
    let admin = server.admin();
    let plan = json!({
        "limitKeys": {"seats": {"kind": "count", "default": {"max": 1}}, "sso": {"kind": "feature"}},
        "tiers": {
            "free": {"limits": {"seats": {"max": 2}}},
            "starter": {"limits": {"seats": {"max": 3}}},
            "ultra": {"limits": {"seats": {"max": 5}, "sso": {"enabled": true}}},
        },
    });
    admin.put_catalog(&plan).await.is(200);
    (server, admin, clock)
}

/// An org that tries `ultra` until `BEGINS`.
async fn on_trial(admin: &Actor) {
    let body = json!({"tier": "ultra", "scheduled": [{"startsAt": BEGINS, "tier": "free"}]});
    admin.put("/v1/admin/orgs/acme", body).await.is(201);
}

/// The cap, its tier and its source, as a question sees them.
async fn seen(admin: &Actor) -> (Value, String, String) {
    let answer = admin.check(json!({"org": "acme", "limitKey": "seats", "current": 0})).await;
    let data = answer.is(200).data();
    (data["max"].clone(), answer.text_at("/data/tier").to_owned(), answer.text_at("/data/source").to_owned())
}

fn at(max: u64, tier: &str) -> (Value, String, String) {
    (json!(max), tier.to_owned(), "tier".to_owned())
}

#[tokio::test]
async fn a_trial_ends_by_itself_at_its_very_moment_everywhere() {
    let (server, admin, clock) = planned(START).await;
    on_trial(&admin).await;
    let customer = admin.create_key(&json!({"name": "x", "org": "acme"})).await.is(201).text_at("/data/key").to_owned();
    clock.set(millis(BEGINS) - 1);
    assert_eq!(seen(&admin).await, at(5, "ultra"));
    let taken = admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 4})).await;
    assert_eq!((&taken.is(200).data()["allowed"], &taken.data()["remaining"]), (&json!(true), &json!(1)));
    clock.set(millis(BEGINS));
    assert_eq!(seen(&admin).await, at(2, "free"));
    for path in ["/v1/consume", "/v1/reservations"] {
        let refused = admin.post(path, json!({"org": "acme", "limitKey": "seats"})).await;
        let data = refused.is(200).data();
        assert_eq!((&data["allowed"], &data["max"], &data["current"]), (&json!(false), &json!(2), &json!(4)), "{path}");
    }
    let gate = json!({"apiKey": customer, "method": "GET", "check": [{"limitKey": "sso"}]});
    assert_eq!(admin.post("/v1/authorize", gate).await.text_at("/data/decision"), "feature_unavailable");
    let has = admin.get("/v1/orgs/acme/entitlements").await;
    assert_eq!((has.text_at("/data/tier"), &has.data()["entitlements"][0]["value"]), ("free", &json!({"max": 2})));
    let flag = admin.post("/ofrep/v1/evaluate/flags/sso", json!({"context": {"targetingKey": "acme"}})).await;
    assert_eq!(flag.body["value"], false);
    let over = admin.get("/v1/orgs/acme/usage").await;
    assert_eq!(over.is(200).items()[0]["over"], true);
    drop(server);
}

#[tokio::test]
async fn an_org_shows_the_tier_that_applies_the_one_it_was_given_and_what_is_scheduled() {
    let (_server, admin, clock) = planned(START).await;
    on_trial(&admin).await;
    let shown = async || {
        let org = admin.get("/v1/admin/orgs/acme").await;
        let data = org.is(200).data();
        (data["tier"].clone(), data["assignedTier"].clone(), data["scheduled"].clone())
    };
    let scheduled = json!([{"startsAt": BEGINS, "tier": "free"}]);
    assert_eq!(shown().await, (json!("ultra"), json!("ultra"), scheduled.clone()));
    let of = async |tier: &str| admin.get(&format!("/v1/admin/orgs?tier={tier}")).await.is(200).items().len();
    assert_eq!((of("ultra").await, of("free").await, of("starter").await), (1, 0, 0));
    clock.set(millis(BEGINS));
    assert_eq!(shown().await, (json!("free"), json!("ultra"), scheduled));
    assert_eq!((of("ultra").await, of("free").await, of("starter").await), (0, 1, 0));
    let hit = json!({"tier": "free", "limitKey": "seats", "value": {"max": 1}});
    assert_eq!(admin.post("/v1/admin/what-if/limit", hit).await.is(200).data()["appliesTo"], 1);
    // A ban keeps all of it; the same body again changes nothing; a tier that is given is given.
    admin.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let revision = admin.post("/v1/admin/orgs/acme/unban", json!({})).await.is(200).revision();
    let same = json!({"tier": "ultra", "scheduled": [{"startsAt": BEGINS, "tier": "free"}]});
    assert_eq!(admin.put("/v1/admin/orgs/acme", same).await.is(200).revision(), revision);
    admin.put_org("acme", "starter").await.is(200);
    assert_eq!(shown().await, (json!("starter"), json!("starter"), json!([])));
    assert_eq!(seen(&admin).await, at(3, "starter"));
}

#[tokio::test]
async fn several_changes_come_one_after_the_other() {
    let (_server, admin, clock) = planned(START).await;
    let later = "2027-04-01T00:00:00Z";
    let body =
        json!({"tier": "ultra", "scheduled": [{"startsAt": BEGINS, "tier": "free"}, {"startsAt": later, "tier": "starter"}]});
    admin.put("/v1/admin/orgs/acme", body).await.is(201);
    assert_eq!(seen(&admin).await, at(5, "ultra"));
    clock.set(millis(later) - 1);
    assert_eq!(seen(&admin).await, at(2, "free"));
    clock.set(millis(later));
    assert_eq!(seen(&admin).await, at(3, "starter"));
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_named_all_at_once() {
    let (_server, admin, _clock) = planned(START).await;
    let step = |starts_at: &str, tier: &str| json!({"startsAt": starts_at, "tier": tier});
    let many: Vec<Value> =
        (0..17).map(|day| step(&format!("2028-01-{:02}T00:00:00Z", day + 1), ["free", "ultra"][day % 2])).collect();
    let table = [
        (json!([step(START, "free")]), vec!["scheduled[0].startsAt"]),
        (json!([step(BEGINS, "none")]), vec!["scheduled[0].tier"]),
        (json!([step(BEGINS, "ultra")]), vec!["scheduled[0].tier"]),
        (json!([step(BEGINS, "free"), step("2028-01-01T00:00:00Z", "free")]), vec!["scheduled[1].tier"]),
        (json!([step(BEGINS, "free"), step(BEGINS, "starter")]), vec!["scheduled[1].startsAt"]),
        (
            json!([step("yesterday", "Free"), {"tier": "free"}]),
            vec!["scheduled[0].startsAt", "scheduled[0].tier", "scheduled[1].startsAt"],
        ),
        (
            json!([step("2020-01-01T00:00:00Z", "none"), step("2019-01-01T00:00:00Z", "free")]),
            vec!["scheduled[0].tier", "scheduled[1].startsAt"],
        ),
        (json!(many), vec!["scheduled"]),
        (json!([{"startsAt": BEGINS, "tier": "free", "more": 1}]), vec!["scheduled[0].more"]),
    ];
    for (scheduled, paths) in table {
        let answer = admin.put("/v1/admin/orgs/acme", json!({"tier": "ultra", "scheduled": scheduled})).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), paths, "{}", answer.text);
    }
    admin.get("/v1/admin/orgs/acme").await.fails(404, "not_found");
    let value = |starts_at: &str, value: Value| json!({"startsAt": starts_at, "value": value});
    let table = [
        (json!([value(START, json!({"max": 1}))]), vec!["scheduled[0].startsAt"]),
        (json!([value(BEGINS, json!({"days": 1}))]), vec!["scheduled[0].value"]),
        (json!([value(BEGINS, json!({"max": 1})), value(BEGINS, json!({"max": 2}))]), vec!["scheduled[1].startsAt"]),
        (json!([value(BEGINS, json!(null))]), vec!["scheduled[0].value"]),
    ];
    for (scheduled, paths) in table {
        let answer = admin.put(SEATS, json!({"scheduled": scheduled})).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), paths, "{}", answer.text);
    }
    let one = json!({"scheduled": [value(BEGINS, json!({"enabled": false}))]});
    admin.put("/v1/admin/tiers/free/limits/sso/scheduled", one.clone()).await.fails(404, "not_found");
    admin.put("/v1/admin/tiers/none/limits/sso/scheduled", one.clone()).await.fails(404, "not_found");
    admin.post("/v1/admin/limit-keys/sso/archive", json!({})).await.is(200);
    admin.put("/v1/admin/tiers/ultra/limits/sso/scheduled", one).await.fails(410, "gone");
}

#[tokio::test]
async fn a_tier_that_an_org_is_to_have_is_in_use() {
    let (_server, admin, clock) = planned(START).await;
    on_trial(&admin).await;
    let refused = admin.delete("/v1/admin/tiers/free").await;
    assert!(refused.fails(409, "state_conflict").text.contains("acme"), "{}", refused.text);
    let pruned = json!({"limitKeys": {"seats": {"kind": "count"}}, "tiers": {"ultra": {}}});
    let refused = admin.put("/v1/admin/catalog?prune=true", pruned).await;
    assert_eq!(refused.fails(409, "state_conflict").issues(), ["tiers.free"]);
    clock.set(millis(BEGINS));
    admin.delete("/v1/admin/tiers/free").await.fails(409, "state_conflict");
    admin.delete("/v1/admin/tiers/ultra").await.fails(409, "state_conflict");
    admin.put_org("acme", "starter").await.is(200);
    admin.delete("/v1/admin/tiers/free").await.is(200);
    admin.delete("/v1/admin/tiers/ultra").await.is(200);
    admin.delete("/v1/admin/orgs/acme").await.is(200);
    admin.delete("/v1/admin/tiers/starter").await.is(200);
}

#[tokio::test]
async fn a_tier_s_value_changes_by_itself_at_its_very_moment() {
    let (_server, admin, clock) = planned(START).await;
    admin.put_org("acme", "ultra").await.is(201);
    let later = "2027-04-01T00:00:00Z";
    let scheduled = json!([{"startsAt": BEGINS, "value": {"max": 9}}, {"startsAt": later, "value": {"unlimited": true}}]);
    let put = admin.put(SEATS, json!({"scheduled": scheduled})).await;
    let data = put.is(200).data();
    assert_eq!(
        (&data["value"], &data["assignedValue"], &data["scheduled"]),
        (&json!({"max": 5}), &json!({"max": 5}), &scheduled)
    );
    assert_eq!(admin.get(SEATS).await.data(), put.data());
    assert_eq!(seen(&admin).await, at(5, "ultra"));
    clock.set(millis(BEGINS));
    assert_eq!(seen(&admin).await, at(9, "ultra"));
    let now = admin.get(SEATS).await;
    assert_eq!((&now.data()["value"], &now.data()["assignedValue"]), (&json!({"max": 9}), &json!({"max": 5})));
    // What has begun stays when the rest is taken back, and what is to come stays when the value is set.
    let back = admin.delete(SEATS).await;
    assert_eq!(back.is(200).data()["scheduled"], json!([{"startsAt": BEGINS, "value": {"max": 9}}]));
    assert_eq!(seen(&admin).await, at(9, "ultra"));
    admin.put(SEATS, json!({"scheduled": scheduled})).await.is(200);
    admin.put_value("ultra", "seats", json!({"max": 7})).await.is(200);
    assert_eq!(seen(&admin).await, at(7, "ultra"));
    clock.set(millis(later));
    assert_eq!(seen(&admin).await, (Value::Null, "ultra".to_owned(), "tier".to_owned()));
    admin.delete("/v1/admin/tiers/ultra/limits/seats").await.is(200);
    assert_eq!(seen(&admin).await, (json!(1), "ultra".to_owned(), "default".to_owned()));
    admin.get(SEATS).await.fails(404, "not_found");
}

#[tokio::test]
async fn what_is_scheduled_is_a_part_of_the_document_also_when_it_has_begun() {
    let (_server, admin, clock) = planned(START).await;
    let scheduled = json!([{"startsAt": BEGINS, "value": {"max": 9}}]);
    let before = admin.get("/v1/admin/catalog").await;
    let put = admin.put(SEATS, json!({"scheduled": scheduled})).await;
    let read = admin.get("/v1/admin/catalog").await;
    assert_eq!(read.is(200).etag(), put.etag());
    assert_eq!(read.data()["tiers"]["ultra"]["limits"]["seats"], json!({"max": 5, "scheduled": scheduled}));
    for time in [START, BEGINS, "2028-01-01T00:00:00Z"] {
        clock.set(millis(time));
        let again = admin.put("/v1/admin/catalog?prune=true", read.data().clone()).await;
        assert_eq!((&again.is(200).data()["changes"], again.revision()), (&json!([]), put.revision()), "at {time}");
        assert_eq!(admin.get("/v1/admin/catalog").await.text, read.text, "at {time}");
    }
    // A document says all of a value that it names.
    let named = admin.put_catalog(&json!({"tiers": {"ultra": {"limits": {"seats": {"max": 5}}}}})).await;
    let change = json!({
        "action": "update", "path": "tiers.ultra.limits.seats", "before": {"max": 5, "scheduled": scheduled}, "after": {"max": 5},
    });
    assert_eq!(named.is(200).data()["changes"], json!([change]));
    assert_eq!(admin.get("/v1/admin/catalog").await.text, before.text);
    // Another kind takes what is scheduled with it, and every wrong value is named.
    let other = |to: Value| {
        let limit = json!({"enabled": true, "scheduled": [{"startsAt": BEGINS, "value": to}]});
        let limits = |limit: Value| json!({"name": "x", "limits": {"seats": limit}});
        let tiers = json!({"free": limits(json!({"enabled": false})), "starter": limits(json!({"enabled": false})), "ultra": limits(limit)});
        json!({"limitKeys": {"seats": {"kind": "feature"}}, "tiers": tiers})
    };
    admin.put_catalog(read.data()).await.is(200);
    let wrong = admin.put_catalog(&other(json!({"max": 9}))).await;
    assert_eq!(wrong.fails(400, "invalid_body").issues(), ["tiers.ultra.limits.seats.scheduled[0].value"]);
    admin.put_catalog(&other(json!({"enabled": false}))).await.is(200);
    let shown = admin.get(SEATS).await;
    assert_eq!(
        (&shown.data()["value"], &shown.data()["assignedValue"]),
        (&json!({"enabled": false}), &json!({"enabled": true}))
    );
}

#[tokio::test]
async fn a_tier_that_begins_is_told_once_with_its_moment() {
    let (_server, admin, clock) = planned(START).await;
    let later = "2027-04-01T00:00:00Z";
    let body =
        json!({"tier": "ultra", "scheduled": [{"startsAt": BEGINS, "tier": "free"}, {"startsAt": later, "tier": "starter"}]});
    admin.put("/v1/admin/orgs/acme", body).await.is(201);
    clock.set(millis(BEGINS));
    wait_for(&admin, 1).await;
    // Given again, with what is to come only: what was told is not told again.
    let rest = json!({"tier": "free", "scheduled": [{"startsAt": later, "tier": "starter"}]});
    admin.put("/v1/admin/orgs/acme", rest).await.is(200);
    clock.set(millis(later));
    // Whether or not it was told of yet, it is told before what an admin does next.
    admin.put_org("acme", "ultra").await.is(200);
    let told = wait_for(&admin, 3).await;
    let expected = [
        json!({"from": "ultra", "to": "free", "startsAt": BEGINS}),
        json!({"from": "free", "to": "starter", "startsAt": later}),
        json!({"from": "starter", "to": "ultra"}),
    ];
    assert_eq!(told.iter().map(|event| event["data"].clone()).collect::<Vec<_>>(), expected);
    assert!(told.iter().all(|event| event["org"] == "acme"));
}

/// Waits until so many changes of tiers are told.
async fn wait_for(admin: &Actor, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = admin.get("/v1/admin/events?type=org.tier_changed").await.is(200).items().to_vec();
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{count} are not told: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_explanation_names_what_is_scheduled_and_how_long_to_wait_for_it() {
    let (_server, admin, clock) = planned(START).await;
    let body = json!({"tier": "free", "scheduled": [{"startsAt": BEGINS, "tier": "ultra"}]});
    admin.put("/v1/admin/orgs/acme", body).await.is(201);
    let later = "2027-04-01T00:00:00Z";
    admin.put(SEATS, json!({"scheduled": [{"startsAt": later, "value": {"max": 9}}]})).await.is(200);
    clock.set(millis(BEGINS) - 60_000);
    let told = admin.post("/v1/check?explain=true", json!({"org": "acme", "limitKey": "seats", "current": 2})).await;
    let why = &told.is(200).data()["explanation"];
    let steps: Vec<&Value> =
        why["steps"].as_array().expect("steps").iter().filter(|step| step["step"] == "scheduled").collect();
    let step = |starts_at: &str, max: u64| json!({"step": "scheduled", "startsAt": starts_at, "tier": "ultra", "value": {"max": max}, "active": false});
    assert_eq!(steps, [&step(BEGINS, 5), &step(later, 9)]);
    assert_eq!(why["wouldAllow"]["wait"], json!({"seconds": 60, "until": BEGINS}));
    clock.set(millis(BEGINS));
    let told = admin.post("/v1/check?explain=true", json!({"org": "acme", "limitKey": "seats", "current": 5})).await;
    let why = &told.is(200).data()["explanation"];
    assert_eq!((&why["steps"][3]["tier"], &why["steps"][4]["active"]), (&json!("ultra"), &json!(true)), "{why}");
    assert_eq!(why["wouldAllow"]["wait"]["until"], later);
}
