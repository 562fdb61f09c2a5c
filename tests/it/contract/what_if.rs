//! What a change would do, before it is made.

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

const LIMIT: &str = "/v1/admin/what-if/limit";

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let plan = json!({
        "limitKeys": {
            "history": {"kind": "retention", "default": {"days": 30}},
            "old": {"kind": "count", "archived": true},
            "seats": {"kind": "count", "default": {"max": 9}},
            "tasks": {"kind": "count", "per": "project", "default": {"max": 9}},
        },
        "tiers": {"free": {"limits": {"seats": {"max": 5}}}, "pro": {}},
    });
    admin.put_catalog(&plan).await.is(200);
    for (org, tier, used) in [("a", "free", 5), ("b", "free", 2), ("c", "free", 4), ("d", "pro", 9)] {
        admin.put_org(org, tier).await.is(201);
        admin.post("/v1/consume", json!({"org": org, "limitKey": "seats", "amount": used})).await.is(200);
    }
    server
}

fn lowered(to: u64) -> Value {
    json!({"tier": "free", "limitKey": "seats", "value": {"max": to}})
}

/// The orgs and their places in the few words that matter.
fn told(data: &Value) -> Vec<String> {
    let places = |org: &Value| {
        let limits = org["limits"].as_array().expect("limits").clone();
        limits
            .into_iter()
            .map(|limit| format!("{} {} {} {}", limit["limitKey"], limit["current"], limit["max"], limit["excess"]))
            .collect::<Vec<_>>()
            .join(", ")
            .replace('"', "")
    };
    let orgs = data["orgs"].as_array().expect("orgs");
    orgs.iter().map(|org| format!("{}: {}", org["org"].as_str().expect("an org"), places(org))).collect()
}

#[tokio::test]
async fn a_lower_limit_names_whom_it_would_hit_and_by_how_much() {
    let server = product().await;
    let admin = server.admin();
    let revision = admin.put_tier("pro").await.revision();
    let answer = admin.post(LIMIT, lowered(3)).await;
    let data = answer.is(200).data();
    assert_eq!(told(data), ["a: seats 5 3 2", "c: seats 4 3 1"]);
    let figures = ["appliesTo", "over", "newlyOver", "saved", "excess"].map(|figure| data[figure].as_u64().expect("a figure"));
    assert_eq!(figures, [3, 2, 2, 0, 3]);
    assert!(answer.body["meta"]["nextCursor"].is_null());
    let of_default = admin.post(LIMIT, json!({"limitKey": "seats", "value": {"max": 8}})).await;
    assert_eq!(told(of_default.is(200).data()), ["d: seats 9 8 1"], "what a tier says hides the default");
    assert_eq!(admin.post(LIMIT, json!({"tier": null, "limitKey": "seats", "value": {"max": 8}})).await.text, of_default.text);
    let nobody = admin.post(LIMIT, json!({"limitKey": "history", "value": {"days": 0}})).await;
    assert_eq!((&nobody.is(200).data()["over"], &nobody.data()["appliesTo"]), (&json!(0), &json!(4)));
    assert_eq!(admin.put_tier("pro").await.revision(), revision, "nothing was written");
    assert_eq!(admin.get("/v1/admin/tiers/free/limits").await.items()[0]["value"], json!({"max": 5}));
}

#[tokio::test]
async fn an_override_saves_and_is_named() {
    let server = product().await;
    let admin = server.admin();
    let given = json!({"limitKey": "seats", "mode": "add", "value": {"max": 2}});
    let made = admin.create_override("a", &given).await;
    let data = admin.post(LIMIT, lowered(3)).await;
    assert_eq!(told(data.is(200).data()), ["a: seats 5 5 2", "c: seats 4 3 1"]);
    let saved = &data.data()["orgs"][0];
    assert_eq!((&saved["saved"], &saved["over"], &saved["limits"][0]["over"]), (&json!(1), &json!(0), &json!(false)));
    assert_eq!(saved["limits"][0]["savedBy"], json!([made.is(201).text_at("/data/id")]));
    assert_eq!([&data.data()["over"], &data.data()["saved"]], [1, 1]);
}

#[tokio::test]
async fn a_move_and_a_document_are_judged_whole() {
    let server = product().await;
    let admin = server.admin();
    let held = json!({"org": "d", "limitKey": "tasks", "resource": "p1", "amount": 3});
    admin.post("/v1/reservations", held).await.is(201);
    let moved = admin.post("/v1/admin/what-if/tier", json!({"org": "d", "tier": "free"})).await;
    assert_eq!(told(moved.is(200).data()), ["d: seats 9 5 4"]);
    let document = json!({
        "limitKeys": {"tasks": {"kind": "count", "per": "project", "default": {"max": 1}}},
        "tiers": {"free": {"limits": {"seats": {"max": 4}}}},
    });
    let whole = admin.post("/v1/admin/what-if/catalog", document).await;
    assert_eq!(told(whole.is(200).data()), ["a: seats 5 4 1", "d: tasks 3 1 2"]);
    assert_eq!(whole.data()["orgs"][1]["limits"][0]["resource"], "p1");
    let pruned = admin.post("/v1/admin/what-if/catalog?prune=true", json!({})).await;
    let in_use = ["limitKeys.seats", "limitKeys.tasks", "tiers.free", "tiers.pro"];
    assert_eq!(pruned.fails(409, "state_conflict").issues(), in_use);
    let wrong = admin.post("/v1/admin/what-if/catalog", json!({"tiers": {"free": {"limits": {"nothing": {"max": 1}}}}})).await;
    assert_eq!(wrong.fails(400, "invalid_body").issues(), ["tiers.free.limits.nothing"]);
}

#[tokio::test]
async fn what_does_not_exist_or_does_not_fit_is_named() {
    let server = product().await;
    let admin = server.admin();
    let limit = async |body: Value| admin.post(LIMIT, body).await;
    limit(json!({"tier": "nobody", "limitKey": "seats", "value": {"max": 1}})).await.fails(404, "not_found");
    limit(json!({"tier": "free", "limitKey": "nothing", "value": {"max": 1}})).await.fails(404, "not_found");
    limit(json!({"tier": "free", "limitKey": "old", "value": {"max": 1}})).await.fails(410, "gone");
    let wrong = limit(json!({"tier": "free", "limitKey": "seats", "value": {"days": 1}})).await;
    assert_eq!(wrong.fails(400, "invalid_body").issues(), ["value"]);
    for body in [json!({"org": "nobody", "tier": "free"}), json!({"org": "a", "tier": "nobody"})] {
        admin.post("/v1/admin/what-if/tier", body).await.fails(404, "not_found");
    }
    admin.post(&format!("{LIMIT}?limit=0&cursor=!"), lowered(1)).await.fails(400, "invalid_query");
}

#[tokio::test]
async fn orgs_that_were_never_registered_have_the_default_tier() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 9}})).await.is(201);
    admin.put_tier("free").await.is(201);
    let setup = server.terminate().setup.variable("PLIMSOLL_DEFAULT_TIER", "free");
    let server = Plimsoll::on(setup).await;
    let admin = server.admin();
    admin.post("/v1/consume", json!({"org": "stranger", "limitKey": "seats", "amount": 4})).await.is(200);
    assert_eq!(told(admin.post(LIMIT, lowered(3)).await.is(200).data()), ["stranger: seats 4 3 1"]);
    let setup = server.terminate().setup.without("PLIMSOLL_DEFAULT_TIER");
    let server = Plimsoll::on(setup).await;
    assert_eq!(told(server.admin().post(LIMIT, lowered(3)).await.is(200).data()), [""; 0]);
}

/// Asks in pages of this size, and gives back all orgs.
async fn all_pages(admin: &Actor, body: &Value, limit: u64) -> Vec<Value> {
    let (mut orgs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.post(&format!("{LIMIT}?limit={limit}{cursor}"), body.clone()).await;
        orgs.extend(page.is(200).data()["orgs"].as_array().expect("orgs").iter().cloned());
        match page.body["meta"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return orgs,
        }
    }
}

#[tokio::test]
async fn more_than_is_read_at_a_time_is_found_whole_and_in_order() {
    let server = product().await;
    let admin = server.admin().unjudged();
    // Of one org, so that it stands on several pages of what is read; and holds beside what is used.
    let consumed = async |resource: usize| {
        let taking = json!({"org": "b", "limitKey": "tasks", "resource": format!("p{resource}"), "amount": 2});
        admin.post("/v1/consume", taking).await.is(200).status
    };
    for resource in 0..2_100 {
        consumed(resource).await;
    }
    for resource in 2_090..2_150 {
        let held = json!({"org": "b", "limitKey": "tasks", "resource": format!("p{resource}"), "ttlSeconds": 3_600});
        admin.post("/v1/reservations", held).await.is(201);
    }
    admin.post("/v1/consume", json!({"org": "c", "limitKey": "tasks", "resource": "p1", "amount": 2})).await.is(200);
    let body = json!({"limitKey": "tasks", "value": {"max": 1}});
    let answer = server.admin().post(LIMIT, body.clone()).await;
    let data = answer.is(200).data();
    assert_eq!([&data["over"], &data["excess"], &data["orgs"][0]["over"]], [&json!(2), &json!(2_111), &json!(2_100)]);
    assert_eq!(data["orgs"][0]["limits"].as_array().map(Vec::len), Some(20));
    assert_eq!(json!(all_pages(&server.admin(), &body, 1).await), data["orgs"]);
}
