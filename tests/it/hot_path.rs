//! Questions that are answered from memory: no SQL statement, counted.

use serde_json::json;

use crate::harness::{Actor, Plimsoll};

/// How often each question is asked.
const CHECKS: usize = 1_000;

/// The figure of a metric without labels.
async fn metric(server: &Plimsoll, name: &str) -> u64 {
    let metrics = server.anonymous().get("/metrics").await;
    let line = metrics.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("no {name} in {}", metrics.text))
}

async fn statements(server: &Plimsoll) -> u64 {
    metric(server, "plimsoll_database_statements_total").await
}

async fn ask(actor: &Actor, expected: u16) {
    let question = json!({"org": "acme", "limitKey": "seats", "current": 0});
    actor.check(question).await.is(expected);
}

async fn product() -> Plimsoll {
    // Here a caller fails to authenticate a thousand times.
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "0")).await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    admin.create_override("acme", &json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}})).await.is(201);
    server
}

#[tokio::test]
async fn a_repeated_check_issues_no_statement() {
    let server = product().await;
    let (platform, own) = (server.key(&["read"], None).await, server.key(&["read"], Some("acme")).await);
    let unknown = server.bearer(&format!("plm_{}", "e".repeat(64)));
    let ask_all = async || {
        ask(&platform, 200).await;
        ask(&own, 200).await;
        ask(&unknown, 401).await;
    };
    ask_all().await;
    let before = statements(&server).await;
    for _ in 0..CHECKS {
        ask_all().await;
    }
    assert_eq!(statements(&server).await, before);
}

#[tokio::test]
async fn a_first_check_issues_statements_and_so_does_one_after_a_change() {
    let server = product().await;
    let platform = server.key(&["read"], None).await;
    let cold = statements(&server).await;
    ask(&platform, 200).await;
    let warm = statements(&server).await;
    assert!(warm > cold, "the counter counts");
    server.admin().put_org("acme", "free").await.is(200);
    server.admin().post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let changed = statements(&server).await;
    ask(&platform, 200).await;
    assert!(statements(&server).await > changed, "what changed is read again");
}

#[tokio::test]
async fn questions_about_orgs_that_do_not_exist_are_remembered_too() {
    let server = product().await;
    let platform = server.key(&["read"], None).await;
    let ask = async || platform.check(json!({"org": "nobody", "limitKey": "seats"})).await.fails(404, "not_found").status;
    ask().await;
    let before = statements(&server).await;
    for _ in 0..CHECKS {
        ask().await;
    }
    assert_eq!(statements(&server).await, before);
}

#[tokio::test]
async fn a_check_of_tracked_usage_issues_no_statement_once_the_counter_is_known() {
    let server = product().await;
    let actor = server.key(&["read", "write"], None).await;
    let tracked = async |current: u64| {
        let answer = actor.check(json!({"org": "acme", "limitKey": "seats"})).await;
        assert_eq!(answer.is(200).data()["current"], current);
    };
    tracked(0).await;
    actor.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    let before = statements(&server).await;
    for _ in 0..CHECKS {
        tracked(1).await;
    }
    assert_eq!(statements(&server).await, before);
    actor.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    assert!(statements(&server).await > before, "the counter counts");
    tracked(2).await;
}

#[tokio::test]
async fn a_batch_about_many_orgs_that_are_not_in_memory_issues_no_statement_for_each() {
    let server = product().await;
    let admin = server.admin();
    let orgs: Vec<String> = (0..50).map(|number| format!("org-{number}")).collect();
    for org in &orgs {
        admin.put_org(org, "free").await.is(201);
    }
    admin.create_override("org-7", &json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}})).await.is(201);
    let platform = server.key(&["read"], None).await;
    platform.check(json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    let asked = orgs.iter().map(String::as_str).chain(["nobody", "org-0"]);
    let checks: Vec<_> = asked.map(|org| json!({"org": org, "limitKey": "seats", "current": 5})).collect();
    let before = statements(&server).await;
    let answer = platform.post("/v1/check/batch", json!({"checks": checks})).await;
    assert_eq!(statements(&server).await - before, 3, "one for the orgs, one for their overrides, one for what is scheduled");
    let results = answer.is(200).data()["results"].as_array().expect("results").clone();
    assert_eq!(results[7]["max"], 6);
    assert_eq!(results[8]["max"], 5);
    assert_eq!(results[50]["meta"]["code"], "not_found");
    assert_eq!(results[51]["org"], "org-0");
}
