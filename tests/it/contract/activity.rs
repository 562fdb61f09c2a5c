//! Which limit keys are alive.

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

async fn activity(admin: &Actor) -> Value {
    admin.get("/v1/admin/limit-keys/activity").await.is(200).data().clone()
}

#[tokio::test]
async fn it_is_told_what_is_asked_about_what_never_is_and_what_there_is_not() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let seats = json!({"kind": "count", "default": {"max": 2}});
    admin.put_catalog(&json!({"limitKeys": {"seats": seats, "idle": seats}, "tiers": {"free": {}}})).await.is(200);
    admin.put_org("acme", "free").await.is(201);
    assert_eq!(activity(&admin).await["neverChecked"], json!(["idle", "seats"]));
    admin.check(json!({"org": "acme", "limitKey": "seats", "current": 0})).await.is(200);
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 2})).await.is(200);
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    for _ in 0..2 {
        admin.check(json!({"org": "acme", "limitKey": "nobody"})).await.fails(404, "not_found");
    }
    let told = activity(&admin).await;
    assert_eq!(told["neverChecked"], json!(["idle"]));
    let of_seats = &told["limitKeys"][1];
    let checked: u64 = of_seats["days"].as_array().expect("days").iter().filter_map(|day| day["checked"].as_u64()).sum();
    let refused: u64 = of_seats["days"].as_array().expect("days").iter().filter_map(|day| day["refused"].as_u64()).sum();
    assert_eq!((checked, refused), (3, 1));
    assert!(of_seats["lastChecked"].is_string() && of_seats["lastRefused"].is_string());
    assert_eq!([&told["unknown"][0]["limitKey"], &told["unknown"][0]["asked"]], [&json!("nobody"), &json!(2)]);
    let metrics = server.anonymous().get("/metrics").await.text.clone();
    let line = r#"plimsoll_limit_key_decisions_total{limit_key="seats",decision="limit_reached"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    admin.put_limit_key("nobody", seats).await.is(201);
    assert_eq!(activity(&admin).await["unknown"], json!([]), "there is one now");
}
