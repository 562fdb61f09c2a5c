//! While Redis is there: one window over all processes, to the call.

use serde_json::json;

use super::server::Redis;
use super::{allowed, degraded, is_allowed, is_degraded, metric, patient, processes, question, request};

#[tokio::test]
async fn sixteen_callers_of_two_processes_pass_exactly_as_often_as_the_limit_says() {
    let redis = Redis::start();
    let processes = processes(2, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let answers = processes.rush(&processes.customers[0], 10).await;
    assert_eq!((allowed(&answers), degraded(&answers)), (60, 0));
    for server in &processes.all {
        assert_eq!(metric(server, "plimsoll_limiter_degraded_total").await, Some(0.0));
        assert_eq!(metric(server, "plimsoll_limiter_servers").await, Some(1.0));
    }
}

#[tokio::test]
async fn what_one_process_counted_all_see_and_a_check_counts_nothing() {
    let redis = Redis::start();
    let processes = processes(2, 2, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let [customer, other] = &processes.customers[..] else { panic!("two customers") };
    for left in (57..60).rev() {
        let answer = processes.authorize(0, customer).await;
        assert_eq!(answer.is(200).data()["decisions"][0]["remaining"], left);
    }
    for _ in 0..2 {
        let seen = processes.seen(1, customer).await;
        assert_eq!((&seen.is(200).data()["remaining"], &seen.body["meta"]), (&json!(57), &json!(null)));
        let checks =
            json!({"checks": [question(customer), question(other), {"org": "acme", "limitKey": "seats", "current": 1}]});
        let batch = processes.all[1].admin().post("/v1/check/batch", checks).await;
        let results = &batch.is(200).data()["results"];
        assert_eq!((&results[0]["remaining"], &results[1]["remaining"]), (&json!(57), &json!(60)));
        assert_eq!(batch.body["meta"], json!(null));
    }
    let window = format!("plimsoll:{{acme/{}}}:calls", customer.id);
    assert_eq!(redis.ask(&["LLEN", &window]), "3", "a check counts nothing");
    let ttl: u64 = redis.ask(&["TTL", &window]).parse().expect("seconds");
    assert!((3_590..=3_601).contains(&ttl), "{ttl}: it expires by itself");
    let passed = processes.all[1].anonymous().request("GET", "/v1/forward-auth/api");
    let passed = passed.header("Authorization", format!("Bearer {}", customer.secret)).send().await;
    assert!(passed.is(200).header("RateLimit").expect("a header").starts_with(r#""v1Api";r=56;"#), "{:?}", passed.headers);
    assert_eq!((passed.header("X-Plimsoll-Degraded"), &passed.body["meta"]), (None, &json!(null)));
}

#[tokio::test]
async fn a_changed_limit_holds_from_the_next_call_on() {
    let redis = Redis::start();
    let processes = processes(2, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let customer = &processes.customers[0];
    for _ in 0..4 {
        assert!(is_allowed(&processes.authorize(0, customer).await));
    }
    let admin = processes.all[1].admin();
    let set = |max: u64| json!({"limitKey": "calls", "mode": "set", "value": {"max": max}});
    admin.create_override("acme", &set(4)).await.is(201);
    let refused = processes.authorize(1, customer).await;
    assert_eq!(refused.is(200).text_at("/data/decision"), "rate_limit_exceeded");
    let wait = refused.data()["decisions"][0]["retryAfter"].as_u64().expect("seconds");
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    assert_eq!(refused.data()["denial"]["headers"]["Retry-After"], wait.to_string());
    admin.create_override("acme", &set(5)).await.is(201);
    assert!(is_allowed(&processes.authorize(1, customer).await), "raised");
    assert!(!is_allowed(&processes.authorize(1, customer).await));
    assert!(is_allowed(&processes.authorize(0, customer).await), "the other process has its own plan, and the same window");
    assert_eq!(processes.seen(0, customer).await.data()["remaining"], 60 - 6);
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_and_counted_once() {
    let redis = Redis::start();
    let processes = processes(1, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    let customer = &processes.customers[0];
    let admin = processes.all[0].admin();
    let mut body = request(customer);
    body["consume"] = json!([{"limitKey": "seats"}]);
    let once = || admin.request("POST", "/v1/authorize").header("Idempotency-Key", "order-1").json(&body).send();
    let first = once().await;
    assert!(is_allowed(&first));
    for _ in 0..3 {
        let again = once().await;
        assert_eq!((again.header("Idempotent-Replayed"), &again.text), (Some("true"), &first.text));
    }
    assert_eq!(processes.seen(0, customer).await.data()["remaining"], 59);
    let seats = admin.check(json!({"org": "acme", "limitKey": "seats"})).await;
    assert_eq!(seats.is(200).data()["current"], 1);
    // A refusal by the window is an answer too, and is kept.
    admin.create_override("acme", &json!({"limitKey": "calls", "mode": "set", "value": {"max": 1}})).await.is(201);
    let refused = admin.request("POST", "/v1/authorize").header("Idempotency-Key", "order-2").json(&body).send().await;
    assert_eq!(refused.is(200).text_at("/data/decision"), "rate_limit_exceeded");
    let again = admin.request("POST", "/v1/authorize").header("Idempotency-Key", "order-2").json(&body).send().await;
    assert_eq!((again.header("Idempotent-Replayed"), &again.text), (Some("true"), &refused.text));
}

#[tokio::test]
async fn a_redis_that_lost_its_scripts_is_taught_again() {
    let redis = Redis::start();
    let processes = processes(1, 1, |_, setup| patient(setup, &redis.url())).await;
    processes.share().await;
    for _ in 0..3 {
        let answer = processes.authorize(0, &processes.customers[0]).await;
        assert!(is_allowed(&answer) && !is_degraded(&answer));
        assert_eq!(redis.ask(&["SCRIPT", "FLUSH"]), "OK");
    }
    assert_eq!(processes.seen(0, &processes.customers[0]).await.data()["remaining"], 57);
}
