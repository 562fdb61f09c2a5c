//! Questions: `check`, `check/batch`, entitlements.

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll, Setup};

async fn product(change: impl FnOnce(Setup) -> Setup) -> (Plimsoll, Actor) {
    let server = Plimsoll::with(change).await;
    let plan = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "campaigns": {"kind": "count", "per": "project", "default": {"max": 1}},
            "requests": {"kind": "quota", "window": "day", "label": "API request", "default": {"max": 10}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "refresh": {"kind": "interval", "unit": "hours", "default": {"min": 6}},
            "sso": {"kind": "feature", "default": {"enabled": false}},
            "old": {"kind": "count", "default": {"max": 5}, "archived": true},
        },
        "tiers": {"free": {}, "pro": {"limits": {"seats": {"max": 50}, "history": {"unlimited": true}, "sso": {"enabled": true}}}},
    });
    server.admin().put_catalog(&plan).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    let reader = server.key(&["read"], None).await;
    (server, reader)
}

#[tokio::test]
async fn a_decision_says_everything_that_the_contract_names() {
    let (_server, reader) = product(|setup| setup).await;
    let answer = reader.check(json!({"org": "acme", "limitKey": "seats", "amount": 1, "current": 5})).await;
    let mut data = answer.is(200).data().clone();
    let revision = data["revision"].take();
    assert!(revision.as_u64().is_some_and(|revision| revision > 0));
    let body = json!({"data": null, "error": "Limit reached: seats",
        "meta": {"code": "limit_reached", "limitKey": "seats", "current": 5, "max": 5}});
    let expected = json!({
        "allowed": false, "decision": "limit_reached", "kind": "count", "org": "acme", "limitKey": "seats", "resource": null,
        "current": 5, "held": 0, "max": 5, "unlimited": false, "requested": 1, "remaining": 0, "tier": "free",
        "source": "default", "resetsAt": null, "revision": null,
        "denial": {"status": 402, "headers": {}, "body": body},
    });
    assert_eq!(data, expected);
    assert_eq!((&answer.body["error"], &answer.body["meta"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_change_of_plan_holds_from_the_next_question_on() {
    let (server, reader) = product(|setup| setup).await;
    let admin = server.admin();
    let max = async || {
        let answer = reader.check(json!({"org": "acme", "limitKey": "seats", "current": 0})).await;
        (answer.data()["max"].clone(), answer.text_at("/data/source").to_owned())
    };
    let is = |max: Value, source: &str| (max, source.to_owned());
    assert_eq!(max().await, is(json!(5), "default"));
    admin.put_value("free", "seats", json!({"max": 7})).await.is(201);
    assert_eq!(max().await, is(json!(7), "tier"));
    admin.put_value("free", "seats", json!({"max": 8})).await.is(200);
    assert_eq!(max().await, is(json!(8), "tier"));
    admin.put_org("acme", "pro").await.is(200);
    assert_eq!(max().await, is(json!(50), "tier"));
    let made = admin.create_override("acme", &json!({"limitKey": "seats", "mode": "add", "value": {"max": 10}})).await;
    assert_eq!(max().await, is(json!(60), "override"));
    admin.delete(&format!("/v1/admin/orgs/acme/overrides/{}", made.text_at("/data/id"))).await.is(200);
    assert_eq!(max().await, is(json!(50), "tier"));
    admin.put_org("acme", "free").await.is(200);
    admin.delete("/v1/admin/tiers/free/limits/seats").await.is(200);
    assert_eq!(max().await, is(json!(5), "default"));
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"unlimited": true}})).await.is(200);
    assert_eq!(max().await, is(Value::Null, "default"));
    admin.delete("/v1/admin/orgs/acme").await.is(200);
    reader.check(json!({"org": "acme", "limitKey": "seats"})).await.fails(404, "not_found");
}

#[tokio::test]
async fn one_bad_item_of_a_batch_spoils_no_other() {
    let (_server, reader) = product(|setup| setup).await;
    let checks = json!([
        {"org": "acme", "limitKey": "seats", "current": 4},
        {"org": "nobody", "limitKey": "seats"},
        {"org": "acme", "limitKey": "chairs"},
        {"org": "acme", "limitKey": "old"},
        {"org": "acme", "limitKey": "seats", "amount": 0},
        {"org": "acme", "limitKey": "campaigns", "from": "2026-01-01"},
        "nonsense",
        {"org": "a b", "limitKey": "seats"},
        {"org": "acme", "limitKey": "sso"},
        {"org": "acme", "limitKey": "refresh", "requested": 1},
    ]);
    let answer = reader.post("/v1/check/batch", json!({"checks": checks})).await;
    let results = answer.is(200).data()["results"].as_array().expect("results").clone();
    let outcome = |result: &Value| result.get("decision").unwrap_or(&result["meta"]["code"]).as_str().map(str::to_owned);
    let outcomes: Vec<_> = results.iter().filter_map(outcome).collect();
    let expected = [
        "allowed",
        "not_found",
        "not_found",
        "gone",
        "invalid_body",
        "invalid_body",
        "invalid_body",
        "invalid_body",
        "feature_unavailable",
        "allowed",
    ];
    assert_eq!(outcomes, expected);
    let paths = |at: usize| {
        let issues = results[at]["meta"]["issues"].as_array().expect("issues");
        issues.iter().map(|issue| issue["path"].as_str().expect("a path").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(4), ["checks[4].amount"]);
    assert_eq!(paths(5), ["checks[5].resource", "checks[5].from"]);
    assert_eq!(paths(6), ["checks[6]"]);
    assert_eq!(paths(7), ["checks[7].org"]);
    // An item is what the single call answers.
    let single = reader.check(json!({"org": "nobody", "limitKey": "seats"})).await;
    assert_eq!(results[1], single.body);
    let single = reader.check(json!({"org": "acme", "limitKey": "seats", "current": 4})).await;
    assert_eq!(&results[0], single.data());
}

#[tokio::test]
async fn a_batch_has_one_to_a_hundred_items() {
    let (_server, reader) = product(|setup| setup).await;
    let question = json!({"org": "acme", "limitKey": "seats"});
    for (count, status) in [(0, 400), (1, 200), (100, 200), (101, 400)] {
        let answer = reader.post("/v1/check/batch", json!({"checks": vec![question.clone(); count]})).await;
        answer.is(status);
        if status == 400 {
            assert_eq!((answer.code(), answer.issues()), ("invalid_body", vec!["checks"]));
        } else {
            assert_eq!(answer.data()["results"].as_array().map(Vec::len), Some(count));
        }
    }
    assert_eq!(reader.post("/v1/check/batch", json!({})).await.fails(400, "invalid_body").issues(), ["checks"]);
    assert_eq!(reader.post("/v1/check/batch", json!({"checks": {}})).await.fails(400, "invalid_body").issues(), ["checks"]);
}

#[tokio::test]
async fn entitlements_are_everything_that_an_org_has() {
    let (server, reader) = product(|setup| setup).await;
    let get = async || reader.get("/v1/orgs/acme/entitlements").await;
    let free = get().await;
    let of = |answer: &crate::harness::Answer, name: &str| {
        let all = answer.data()["entitlements"].as_array().expect("a list").clone();
        all.into_iter().find(|one| one["limitKey"] == name).unwrap_or_default()
    };
    let names: Vec<_> =
        free.data()["entitlements"].as_array().expect("a list").iter().map(|one| one["limitKey"].clone()).collect();
    assert_eq!(names, ["campaigns", "history", "refresh", "requests", "seats", "sso"], "by name, without the archived");
    assert_eq!((free.text_at("/data/org"), free.text_at("/data/tier")), ("acme", "free"));
    let seats = of(&free, "seats");
    assert_eq!(
        (&seats["value"], &seats["source"], &seats["current"], &seats["remaining"]),
        (&json!({"max": 5}), &json!("default"), &json!(0), &json!(5))
    );
    assert!(of(&free, "requests")["resetsAt"].is_string() && of(&free, "history")["earliest"].is_string());
    assert!(of(&free, "campaigns")["current"].is_null(), "what is counted per resource has no one figure");
    server.admin().put_org("acme", "pro").await.is(200);
    let pro = get().await;
    assert_eq!(of(&pro, "history")["value"], json!({"unlimited": true}));
    assert!(of(&pro, "history")["earliest"].is_null());
    assert_eq!((&of(&pro, "seats")["value"], &of(&pro, "seats")["source"]), (&json!({"max": 50}), &json!("tier")));
    assert_eq!(of(&pro, "sso")["value"], json!({"enabled": true}));
    reader.get("/v1/orgs/nobody/entitlements").await.fails(404, "not_found");
}

#[tokio::test]
async fn an_org_that_was_never_registered_has_the_default_tier_if_there_is_one() {
    let (server, reader) = product(|setup| setup.variable("PLIMSOLL_DEFAULT_TIER", "pro")).await;
    let unknown = reader.check(json!({"org": "nobody", "limitKey": "seats", "current": 49})).await;
    assert_eq!((unknown.text_at("/data/tier"), &unknown.data()["max"]), ("pro", &json!(50)));
    let known = reader.check(json!({"org": "acme", "limitKey": "seats", "current": 4})).await;
    assert_eq!(known.text_at("/data/tier"), "free");
    assert_eq!(reader.get("/v1/orgs/nobody/entitlements").await.text_at("/data/tier"), "pro");
    server.admin().get("/v1/admin/orgs/nobody").await.fails(404, "not_found");
    // An org's own key is not let in on others by the default.
    let own = server.key(&["read"], Some("acme")).await;
    own.check(json!({"org": "nobody", "limitKey": "seats"})).await.fails(404, "not_found");
    server.admin().put_org("nobody", "free").await.is(201);
    let registered = reader.check(json!({"org": "nobody", "limitKey": "seats", "current": 4})).await;
    assert_eq!(registered.text_at("/data/tier"), "free");
}

#[tokio::test]
async fn the_org_is_looked_for_before_the_limit_key_and_the_question() {
    let (server, reader) = product(|setup| setup).await;
    let own = server.key(&["read"], Some("acme")).await;
    for actor in [&reader, &own] {
        let both = actor.check(json!({"org": "nobody", "limitKey": "old", "from": "2026-01-01"})).await;
        assert_eq!(both.fails(404, "not_found").error(), "There is no such org");
        let archived = actor.check(json!({"org": "acme", "limitKey": "old", "from": "2026-01-01"})).await;
        archived.fails(410, "gone");
    }
}
