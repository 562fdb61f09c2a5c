//! What changes usage: consume, release, reservations, reconciling, and what is seen of them.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Plimsoll};

async fn product() -> (Plimsoll, Actor) {
    let server = Plimsoll::start().await;
    let plan = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "campaigns": {"kind": "count", "per": "project", "default": {"max": 2}},
            "requests": {"kind": "quota", "window": "day", "label": "API request", "default": {"max": 10}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "old": {"kind": "count", "default": {"max": 5}, "archived": true},
        },
        "tiers": {"free": {}, "pro": {"limits": {"seats": {"max": 50}}}, "max": {"limits": {"seats": {"unlimited": true}}}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    let actor = server.key(&["read", "write"], None).await;
    (server, actor)
}

fn of(limit_key: &str, amount: u64) -> Value {
    json!({"org": "acme", "limitKey": limit_key, "amount": amount})
}

async fn consume(actor: &Actor, limit_key: &str, amount: u64) -> Answer {
    actor.post("/v1/consume", of(limit_key, amount)).await
}

async fn reserve(actor: &Actor, amount: u64, ttl: u64) -> String {
    let held = json!({"org": "acme", "limitKey": "seats", "amount": amount, "ttlSeconds": ttl});
    actor.post("/v1/reservations", held).await.is(201).text_at("/data/id").to_owned()
}

/// What a check sees of a limit key: current, held, remaining.
async fn seen(actor: &Actor, limit_key: &str) -> (Value, Value, Value) {
    let answer = actor.check(json!({"org": "acme", "limitKey": limit_key})).await;
    let data = answer.is(200).data();
    (data["current"].clone(), data["held"].clone(), data["remaining"].clone())
}

fn figures(current: u64, held: u64, remaining: u64) -> (Value, Value, Value) {
    (json!(current), json!(held), json!(remaining))
}

#[tokio::test]
async fn what_is_taken_is_answered_with_the_usage_after_it_and_a_refusal_takes_nothing() {
    let (_server, actor) = product().await;
    let mut taken = consume(&actor, "seats", 3).await.is(200).data().clone();
    taken["revision"] = Value::Null;
    let expected = json!({
        "allowed": true, "decision": "allowed", "kind": "count", "org": "acme", "limitKey": "seats", "resource": null,
        "current": 3, "held": 0, "max": 5, "unlimited": false, "requested": 3, "remaining": 2, "tier": "free",
        "source": "default", "resetsAt": null, "revision": null, "denial": null,
    });
    assert_eq!(taken, expected);
    let refused = consume(&actor, "seats", 3).await;
    let denial = json!({"status": 402, "headers": {}, "body": {"data": null, "error": "Limit reached: seats",
        "meta": {"code": "limit_reached", "limitKey": "seats", "current": 3, "max": 5}}});
    assert_eq!((&refused.is(200).data()["allowed"], &refused.data()["denial"]), (&json!(false), &denial));
    assert_eq!(seen(&actor, "seats").await, figures(3, 0, 2));
    assert_eq!(consume(&actor, "seats", 2).await.data()["remaining"], 0);
}

#[tokio::test]
async fn a_refusal_can_be_the_response_itself() {
    let (_server, actor) = product().await;
    let seats = actor.post("/v1/consume?enforce=true", of("seats", 6)).await;
    assert_eq!(seats.fails(402, "limit_reached").body["meta"]["current"], 0);
    let requests = actor.post("/v1/consume?enforce=true", of("requests", 11)).await;
    assert_eq!(requests.fails(429, "rate_limit_exceeded").error(), "Daily API request limit exceeded");
    let wait: u64 = requests.header("retry-after").expect("a Retry-After").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    actor.post("/v1/consume?enforce=true", of("requests", 10)).await.is(200);
    let batch = json!({"org": "acme", "items": [{"limitKey": "seats", "amount": 6}, {"limitKey": "requests"}]});
    actor.post("/v1/consume/batch?enforce=true", batch).await.fails(429, "rate_limit_exceeded");
    let held = json!({"org": "acme", "limitKey": "seats", "amount": 6});
    actor.post("/v1/reservations?enforce=true", held).await.fails(402, "limit_reached");
}

#[tokio::test]
async fn a_quota_says_its_window() {
    let (_server, actor) = product().await;
    let answer = consume(&actor, "requests", 4).await;
    let data = answer.is(200).data();
    assert_eq!((&data["kind"], &data["current"], &data["remaining"]), (&json!("quota"), &json!(4), &json!(6)));
    let (start, end) = (answer.text_at("/data/windowStart"), answer.text_at("/data/resetsAt"));
    assert!(start.ends_with("T00:00:00Z") && end.ends_with("T00:00:00Z") && start < end, "{start} {end}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_an_error_that_names_it() {
    let (_server, actor) = product().await;
    assert_eq!(consume(&actor, "history", 1).await.fails(400, "invalid_body").issues(), ["limitKey"]);
    consume(&actor, "nothing", 1).await.fails(404, "not_found");
    consume(&actor, "old", 1).await.fails(410, "gone");
    assert_eq!(consume(&actor, "seats", 0).await.fails(400, "invalid_body").issues(), ["amount"]);
    assert_eq!(consume(&actor, "campaigns", 1).await.fails(400, "invalid_body").issues(), ["resource"]);
    let current = json!({"org": "acme", "limitKey": "seats", "current": 1});
    assert_eq!(actor.post("/v1/consume", current).await.fails(400, "invalid_body").issues(), ["current"]);
    assert_eq!(actor.post("/v1/release", of("requests", 1)).await.fails(400, "invalid_body").issues(), ["limitKey"]);
    let nobody = json!({"org": "nobody", "limitKey": "seats"});
    actor.post("/v1/consume", nobody).await.fails(404, "not_found");
}

#[tokio::test]
async fn usage_is_counted_for_each_resource_by_itself() {
    let (_server, actor) = product().await;
    let take = async |resource: &str| {
        let body = json!({"org": "acme", "limitKey": "campaigns", "resource": resource});
        actor.post("/v1/consume", body).await.is(200).data()["allowed"].clone()
    };
    for (resource, allowed) in [("a", true), ("a", true), ("a", false), ("b", true)] {
        assert_eq!(take(resource).await, json!(allowed), "{resource}");
    }
    let usage = actor.get("/v1/orgs/acme/usage?limitKey=campaigns").await;
    assert_eq!(usage.is(200).each("resource"), ["a", "b"]);
    assert_eq!((&usage.items()[0]["used"], &usage.items()[1]["remaining"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all_and_lists_every_limit_that_is_reached() {
    let (_server, actor) = product().await;
    let batch = async |items: Value| actor.post("/v1/consume/batch", json!({"org": "acme", "items": items})).await;
    let both = json!([{"limitKey": "seats", "amount": 2}, {"limitKey": "requests", "amount": 3}]);
    let taken = batch(both).await;
    assert_eq!((&taken.is(200).data()["allowed"], &taken.data()["denial"]), (&json!(true), &Value::Null));
    assert_eq!(taken.data()["results"][1]["current"], 3);
    let over = json!([{"limitKey": "seats", "amount": 4}, {"limitKey": "campaigns", "resource": "a"}, {"limitKey": "requests", "amount": 8}]);
    let refused = batch(over).await;
    let codes: Vec<&Value> =
        refused.is(200).data()["results"].as_array().expect("results").iter().map(|r| &r["decision"]).collect();
    assert_eq!(codes, ["limit_reached", "allowed", "rate_limit_exceeded"]);
    assert_eq!(refused.data()["decision"], "rate_limit_exceeded", "429 stands above 402 on the ladder");
    assert_eq!(refused.data()["denial"]["status"], 429);
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3));
    assert_eq!(seen(&actor, "requests").await, figures(3, 0, 7));
    assert!(actor.get("/v1/orgs/acme/usage?limitKey=campaigns").await.items().is_empty());
}

#[tokio::test]
async fn the_same_limit_twice_in_a_batch_adds_up() {
    let (_server, actor) = product().await;
    let twice = |amount: u64| json!({"org": "acme", "items": [{"limitKey": "seats", "amount": amount}, {"limitKey": "seats", "amount": amount}]});
    let refused = actor.post("/v1/consume/batch", twice(3)).await;
    assert_eq!(refused.is(200).data()["allowed"], false);
    let taken = actor.post("/v1/consume/batch", twice(2)).await;
    assert_eq!(taken.data()["results"][0]["requested"], 4);
    assert_eq!(seen(&actor, "seats").await, figures(4, 0, 1));
    let many: Vec<Value> = (0..21).map(|_| json!({"limitKey": "seats"})).collect();
    let answer = actor.post("/v1/consume/batch", json!({"org": "acme", "items": many})).await;
    assert_eq!(answer.fails(400, "invalid_body").issues(), ["items"]);
    let bad =
        json!({"org": "acme", "items": [{"limitKey": "seats"}, {"limitKey": "history"}, {"limitKey": "seats", "amount": 0}]});
    let answer = actor.post("/v1/consume/batch", bad).await;
    assert_eq!(answer.fails(400, "invalid_body").issues(), ["items[1].limitKey", "items[2].amount"]);
}

#[tokio::test]
async fn what_is_given_back_makes_room_and_more_than_is_used_is_a_409() {
    let (_server, actor) = product().await;
    consume(&actor, "seats", 5).await.is(200);
    let released = actor.post("/v1/release", of("seats", 2)).await;
    assert_eq!((&released.is(200).data()["current"], &released.data()["remaining"]), (&json!(3), &json!(2)));
    actor.post("/v1/release", of("seats", 4)).await.fails(409, "state_conflict");
    assert_eq!(seen(&actor, "seats").await, figures(3, 0, 2));
}

#[tokio::test]
async fn a_reservation_holds_until_it_is_confirmed_or_given_back() {
    let (_server, actor) = product().await;
    let held = json!({"org": "acme", "limitKey": "seats", "amount": 3});
    let made = actor.post("/v1/reservations", held).await;
    let data = made.is(201).data();
    assert_eq!(
        (&data["status"], &data["current"], &data["held"], &data["allowed"]),
        (&json!("held"), &json!(3), &json!(3), &json!(true))
    );
    assert!(made.text_at("/data/expiresAt") > made.text_at("/data/createdAt"));
    assert_eq!(seen(&actor, "seats").await, figures(3, 3, 2));
    assert_eq!(consume(&actor, "seats", 3).await.data()["allowed"], false);
    let path = format!("/v1/reservations/{}", made.text_at("/data/id"));
    assert_eq!(actor.get(&path).await.is(200).data()["status"], "held");
    let confirmed = actor.post(&format!("{path}/confirm"), json!({"amount": 2})).await;
    assert_eq!((&confirmed.is(200).data()["status"], &confirmed.data()["confirmed"]), (&json!("confirmed"), &json!(2)));
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3), "what was not confirmed is free again");
    let again = actor.post(&format!("{path}/confirm"), json!({"amount": 2})).await;
    assert_eq!(again.is(200).text, confirmed.text);
    actor.post(&format!("{path}/confirm"), json!({"amount": 3})).await.fails(409, "state_conflict");
    actor.post(&format!("{path}/release"), json!({})).await.fails(409, "state_conflict");
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3));
}

#[tokio::test]
async fn a_reservation_is_given_back_once_however_often_it_is_asked_for() {
    let (_server, actor) = product().await;
    let path = format!("/v1/reservations/{}", reserve(&actor, 3, 60).await);
    assert_eq!(
        actor.post(&format!("{path}/confirm"), json!({"amount": 4})).await.fails(400, "invalid_body").issues(),
        ["amount"]
    );
    for _ in 0..3 {
        let released = actor.request("POST", &format!("{path}/release")).send().await;
        assert_eq!(released.is(200).data()["status"], "released");
        assert_eq!(seen(&actor, "seats").await, figures(0, 0, 5));
    }
    actor.post(&format!("{path}/confirm"), json!({})).await.fails(409, "state_conflict");
    for nothing in ["res_0192f0c1b7e07000a0000000000000aa_acme", "res_x", "nothing"] {
        actor.get(&format!("/v1/reservations/{nothing}")).await.fails(404, "not_found");
        actor.post(&format!("/v1/reservations/{nothing}/confirm"), json!({})).await.fails(404, "not_found");
        actor.post(&format!("/v1/reservations/{nothing}/release"), json!({})).await.fails(404, "not_found");
    }
}

#[tokio::test]
async fn a_reservation_whose_time_is_over_holds_nothing_and_cannot_be_confirmed() {
    let (_server, actor) = product().await;
    let path = format!("/v1/reservations/{}", reserve(&actor, 5, 1).await);
    assert_eq!(consume(&actor, "seats", 1).await.data()["allowed"], false);
    // It ends by itself: no answer is waited for longer than the harness waits.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while actor.get(&path).await.is(200).data()["status"] != "expired" {
        assert!(std::time::Instant::now() < deadline, "it does not expire");
        tokio::task::yield_now().await;
    }
    assert_eq!(seen(&actor, "seats").await, figures(0, 0, 5));
    actor.post(&format!("{path}/confirm"), json!({})).await.fails(409, "state_conflict");
    assert_eq!(actor.post(&format!("{path}/release"), json!({})).await.is(200).data()["status"], "expired");
    assert_eq!(consume(&actor, "seats", 5).await.data()["allowed"], true);
    for ttl in [0, 86_401] {
        let held = json!({"org": "acme", "limitKey": "seats", "ttlSeconds": ttl});
        assert_eq!(actor.post("/v1/reservations", held).await.fails(400, "invalid_body").issues(), ["ttlSeconds"]);
    }
}

#[tokio::test]
async fn usage_is_set_right_by_who_knows_the_true_count() {
    let (_server, actor) = product().await;
    consume(&actor, "seats", 3).await.is(200);
    reserve(&actor, 1, 60).await;
    let put = async |body: Value| actor.put("/v1/orgs/acme/usage/seats", body).await;
    let looked = put(json!({"current": 7, "dryRun": true})).await;
    let expected =
        json!({"org": "acme", "limitKey": "seats", "resource": null, "recorded": 3, "actual": 7, "drift": 4, "applied": false});
    assert_eq!(looked.is(200).data(), &expected);
    assert_eq!(seen(&actor, "seats").await, figures(4, 1, 1));
    assert_eq!(put(json!({"current": 7})).await.is(200).data()["applied"], true);
    assert_eq!(seen(&actor, "seats").await, figures(8, 1, 0), "above the cap it stays, and is shown");
    assert_eq!(consume(&actor, "seats", 1).await.data()["allowed"], false);
    assert_eq!(put(json!({"current": 0})).await.data()["drift"], -7);
    assert_eq!(seen(&actor, "seats").await, figures(1, 1, 4));
    assert_eq!(put(json!({})).await.fails(400, "invalid_body").issues(), ["current"]);
}

#[tokio::test]
async fn a_downgrade_takes_nothing_away_and_blocks_only_what_is_new() {
    let (server, actor) = product().await;
    let admin = server.admin();
    admin.put_org("acme", "max").await.is(200);
    let unlimited = consume(&actor, "seats", 40).await;
    assert_eq!((&unlimited.is(200).data()["current"], &unlimited.data()["max"]), (&json!(40), &Value::Null));
    admin.put_org("acme", "free").await.is(200);
    assert_eq!(seen(&actor, "seats").await, figures(40, 0, 0));
    let usage = actor.get("/v1/orgs/acme/usage?limitKey=seats").await;
    assert_eq!((&usage.items()[0]["over"], &usage.items()[0]["current"]), (&json!(true), &json!(40)));
    assert_eq!(consume(&actor, "seats", 1).await.data()["decision"], "limit_reached");
    actor.post("/v1/release", of("seats", 36)).await.is(200);
    assert_eq!(consume(&actor, "seats", 1).await.data()["current"], 5);
}

#[tokio::test]
async fn entitlements_show_what_is_used_and_held() {
    let (_server, actor) = product().await;
    consume(&actor, "seats", 2).await.is(200);
    reserve(&actor, 1, 60).await;
    consume(&actor, "requests", 4).await.is(200);
    let answer = actor.get("/v1/orgs/acme/entitlements").await;
    let find = |name: &str| {
        let all = answer.is(200).data()["entitlements"].as_array().expect("a list");
        let found = all.iter().find(|item| item["limitKey"] == name).expect(name);
        ["current", "held", "remaining"].map(|field| found[field].clone())
    };
    assert_eq!(find("seats"), [json!(3), json!(1), json!(2)]);
    assert_eq!(find("requests"), [json!(4), json!(0), json!(6)]);
    assert_eq!(find("campaigns"), [Value::Null, Value::Null, Value::Null]);
}

#[tokio::test]
async fn usage_lists_what_is_counted_per_org_also_when_nothing_is_used() {
    let (_server, actor) = product().await;
    let usage = actor.get("/v1/orgs/acme/usage").await;
    assert_eq!(usage.is(200).each("limitKey"), ["requests", "seats"]);
    for resource in ["p1", "p2", "p3"] {
        let body = json!({"org": "acme", "limitKey": "campaigns", "resource": resource});
        actor.post("/v1/consume", body).await.is(200);
    }
    let mut found = Vec::new();
    let mut path = "/v1/orgs/acme/usage?limit=2".to_owned();
    loop {
        let page = actor.get(&path).await;
        found.extend(page.is(200).items().iter().map(|item| (item["limitKey"].clone(), item["resource"].clone())));
        let Some(next) = page.body["meta"]["nextCursor"].as_str() else { break };
        path = format!("/v1/orgs/acme/usage?limit=2&cursor={next}");
    }
    let expected = [
        ("campaigns", json!("p1")),
        ("campaigns", json!("p2")),
        ("campaigns", json!("p3")),
        ("requests", Value::Null),
        ("seats", Value::Null),
    ];
    assert_eq!(found, expected.map(|(limit_key, resource)| (json!(limit_key), resource)));
    actor.get("/v1/orgs/acme/usage?cursor=6d").await.fails(400, "invalid_query");
}

#[tokio::test]
async fn usage_is_there_after_a_restart_and_gone_with_its_org() {
    let (server, actor) = product().await;
    consume(&actor, "seats", 4).await.is(200);
    let id = reserve(&actor, 1, 3_600).await;
    let secret = actor.secret().to_owned();
    let server = Plimsoll::on(server.terminate().setup).await;
    let actor = server.bearer(&secret);
    assert_eq!(seen(&actor, "seats").await, figures(5, 1, 0));
    server.admin().delete("/v1/admin/orgs/acme").await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    assert_eq!(seen(&actor, "seats").await, figures(0, 0, 5));
    actor.get(&format!("/v1/reservations/{id}")).await.fails(404, "not_found");
    server.admin().delete("/v1/admin/limit-keys/seats").await.fails(409, "state_conflict");
}

#[tokio::test]
async fn a_banned_org_takes_nothing_and_may_still_give_back() {
    let (server, actor) = product().await;
    consume(&actor, "seats", 2).await.is(200);
    let id = reserve(&actor, 1, 60).await;
    server.admin().post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    assert_eq!(consume(&actor, "seats", 1).await.is(200).data()["decision"], "org_banned");
    let held = json!({"org": "acme", "limitKey": "seats"});
    assert_eq!(actor.post("/v1/reservations", held).await.is(200).data()["decision"], "org_banned");
    actor.post("/v1/release", of("seats", 1)).await.is(200);
    actor.post(&format!("/v1/reservations/{id}/release"), json!({})).await.is(200);
    server.admin().post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
    assert_eq!(seen(&actor, "seats").await, figures(1, 0, 4));
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A request under a key of its own, sent twice: what it answered, and that the second was a replay of it.
async fn twice(actor: &Actor, path: &str, body: &Value) -> Answer {
    let key = format!("key-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let send = async || actor.request("POST", path).header("Idempotency-Key", &key).json(body).send().await;
    let (first, again) = (send().await, send().await);
    assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
    assert_eq!(again.header("retry-after"), first.header("retry-after"), "{path}");
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")), "{path}");
    first
}

#[tokio::test]
async fn every_post_that_changes_usage_is_done_once_under_its_key() {
    let (_server, actor) = product().await;
    twice(&actor, "/v1/consume", &of("seats", 2)).await.is(200);
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3));
    twice(&actor, "/v1/consume/batch", &json!({"org": "acme", "items": [{"limitKey": "seats"}]})).await.is(200);
    twice(&actor, "/v1/release", &of("seats", 2)).await.is(200);
    assert_eq!(seen(&actor, "seats").await, figures(1, 0, 4));
    let made = twice(&actor, "/v1/reservations", &json!({"org": "acme", "limitKey": "seats", "amount": 2})).await;
    let path = format!("/v1/reservations/{}", made.is(201).text_at("/data/id"));
    assert_eq!(seen(&actor, "seats").await, figures(3, 2, 2));
    twice(&actor, &format!("{path}/confirm"), &json!({"amount": 1})).await.is(200);
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3));
    let path = format!("/v1/reservations/{}", reserve(&actor, 1, 60).await);
    twice(&actor, &format!("{path}/release"), &json!({})).await.is(200);
    twice(&actor, "/v1/consume", &of("seats", 9)).await.is(200);
    twice(&actor, "/v1/release", &of("seats", 9)).await.fails(409, "state_conflict");
    let denied = twice(&actor, "/v1/consume?enforce=true", &of("requests", 11)).await;
    assert!(denied.fails(429, "rate_limit_exceeded").header("retry-after").is_some());
    assert_eq!(seen(&actor, "seats").await, figures(2, 0, 3));
}

#[tokio::test]
async fn who_may_not_write_any_more_gets_no_replay() {
    let (server, actor) = product().await;
    let send =
        async || actor.request("POST", "/v1/consume").header("Idempotency-Key", "one").json(&of("seats", 1)).send().await;
    send().await.is(200);
    server.admin().patch(&format!("/v1/admin/api-keys/{}", actor.id), json!({"scopes": ["read"]})).await.is(200);
    send().await.fails(403, "insufficient_scope");
    server.admin().patch(&format!("/v1/admin/api-keys/{}", actor.id), json!({"revoked": true})).await.is(200);
    send().await.fails(401, "invalid_api_key");
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_caller_and_to_one_request() {
    let (server, actor) = product().await;
    let other = server.key(&["write"], None).await;
    let send = async |actor: &Actor, path: &str, amount: u64| {
        actor.request("POST", path).header("Idempotency-Key", "one").json(&of("seats", amount)).send().await
    };
    send(&actor, "/v1/consume", 1).await.is(200);
    assert!(send(&other, "/v1/consume", 1).await.is(200).header("idempotent-replayed").is_none());
    send(&actor, "/v1/consume", 2).await.fails(409, "idempotency_key_reused");
    send(&actor, "/v1/release", 1).await.fails(409, "idempotency_key_reused");
    assert_eq!(seen(&server.admin(), "seats").await, figures(2, 0, 3));
}
