//! Why a decision is what it is: explanations, and the receipts of refused takings.

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let plan = json!({
        "limitKeys": {
            "calls": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "perRequest": true, "default": {"max": 2}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "hours": {"kind": "interval", "unit": "hours", "default": {"min": 6}},
            "requests": {"kind": "quota", "window": "day", "label": "API request", "default": {"max": 3}},
            "seats": {"kind": "count", "default": {"max": 1}},
            "sso": {"kind": "feature"},
        },
        "tiers": {
            "free": {"limits": {"seats": {"max": 5}}},
            "pro": {"limits": {"seats": {"max": 50}, "requests": {"max": 100}, "sso": {"enabled": true}, "history": {"days": 365}}},
            "max": {"limits": {"seats": {"unlimited": true}, "requests": {"unlimited": true}, "sso": {"enabled": true},
                "history": {"unlimited": true}}},
        },
    });
    admin.put_catalog(&plan).await.is(200);
    admin.put_org("acme", "free").await.is(201);
    server
}

fn steps(explanation: &Value) -> Vec<&str> {
    explanation["steps"].as_array().expect("steps").iter().filter_map(|step| step["step"].as_str()).collect()
}

fn without_explanation(decision: &Value) -> Value {
    let mut decision = decision.clone();
    decision.as_object_mut().expect("a decision").remove("explanation").expect("an explanation");
    decision
}

/// A second may pass between two questions.
fn without_wait(mut decision: Value) -> Value {
    if let Some(wait) = decision.pointer_mut("/denial/headers/Retry-After") {
        *wait = Value::Null;
    }
    decision
}

async fn explained(actor: &Actor, question: &Value) -> Value {
    let plain = actor.check(question.clone()).await;
    let told = actor.post("/v1/check?explain=true", question.clone()).await;
    let same = [without_explanation(told.is(200).data()), plain.is(200).data().clone()].map(without_wait);
    assert_eq!(same[0], same[1], "it changes nothing else");
    assert!(plain.data().get("explanation").is_none());
    told.data()["explanation"].clone()
}

#[tokio::test]
async fn a_refusal_is_explained_step_by_step_with_what_would_have_allowed_it() {
    let server = product().await;
    let admin = server.admin();
    let over = json!({"limitKey": "seats", "mode": "add", "value": {"max": 2}, "expiresAt": "2999-01-01T00:00:00Z"});
    let id = admin.create_override("acme", &over).await.is(201).text_at("/data/id").to_owned();
    let told = explained(&admin, &json!({"org": "acme", "limitKey": "seats", "current": 6, "amount": 3})).await;
    assert_eq!(steps(&told), ["ban", "limitKey", "default", "tier", "override", "effective", "usage", "comparison"]);
    let of = |place: usize| &told["steps"][place];
    assert_eq!(of(2), &json!({"step": "default", "value": {"max": 1}, "applied": false}));
    assert_eq!(of(3), &json!({"step": "tier", "tier": "free", "value": {"max": 5}, "applied": true}));
    let shown = ["id", "mode", "active", "applied", "expiresAt"].map(|field| of(4)[field].clone());
    assert_eq!(shown, [json!(id), json!("add"), json!(true), json!(true), json!("2999-01-01T00:00:00Z")]);
    assert_eq!(of(5), &json!({"step": "effective", "value": {"max": 7}, "source": "override"}));
    assert_eq!(of(6), &json!({"step": "usage", "current": 6, "held": 0, "figureOf": "caller"}));
    assert_eq!(of(7), &json!({"step": "comparison", "rule": "current 6 + amount 3 <= max 7", "holds": false}));
    let expected = json!({
        "unban": false, "tier": {"tier": "pro", "value": {"max": 52}}, "value": {"max": 9}, "release": 2, "amount": 1,
        "wait": null, "from": null,
    });
    assert_eq!(told["wouldAllow"], expected);
}

#[tokio::test]
async fn every_kind_is_explained() {
    let server = product().await;
    let admin = server.admin();
    let id = admin.create_key(&json!({"name": "x", "org": "acme"})).await.is(201).text_at("/data/id").to_owned();
    let quota = explained(&admin, &json!({"org": "acme", "limitKey": "requests", "current": 3})).await;
    assert_eq!(quota["wouldAllow"]["tier"]["tier"], "pro");
    assert_eq!(quota["wouldAllow"]["wait"]["until"], quota["steps"][5]["to"]);
    let rate = explained(&admin, &json!({"org": "acme", "limitKey": "calls", "keyId": id})).await;
    assert_eq!((&rate["wouldAllow"], &rate["steps"][5]["windowSeconds"]), (&Value::Null, &json!(60)));
    let old = explained(&admin, &json!({"org": "acme", "limitKey": "history", "from": "2020-01-01"})).await;
    assert_eq!(old["wouldAllow"]["tier"]["tier"], "max");
    assert!(old["wouldAllow"]["from"].is_string() && old["wouldAllow"]["wait"].is_null());
    let interval = explained(&admin, &json!({"org": "acme", "limitKey": "hours", "requested": 1})).await;
    assert_eq!(interval["steps"][5]["rule"], "max(requested 1, min 6) = 6");
    let feature = explained(&admin, &json!({"org": "acme", "limitKey": "sso"})).await;
    assert_eq!(feature["wouldAllow"]["value"], json!({"enabled": true}));
    admin.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let banned = explained(&admin, &json!({"org": "acme", "limitKey": "seats", "current": 0})).await;
    assert_eq!((&banned["steps"][0]["banned"], &banned["steps"][6]["holds"]), (&json!(true), &json!(true)));
    let (unban, tier) = (&banned["wouldAllow"]["unban"], &banned["wouldAllow"]["tier"]);
    assert_eq!((unban, tier), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn takings_are_explained_by_the_usage_before_them() {
    let server = product().await;
    let admin = server.admin();
    let take = async |path: &str, body: Value| admin.post(&format!("{path}?explain=true"), body).await.data().clone();
    let taken = take("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 2})).await;
    assert_eq!((&taken["current"], &taken["explanation"]["wouldAllow"]), (&json!(2), &Value::Null));
    assert_eq!(taken["explanation"]["steps"][6]["rule"], "current 0 + amount 2 <= max 5");
    let held = take("/v1/reservations", json!({"org": "acme", "limitKey": "seats", "amount": 2})).await;
    assert_eq!(held["explanation"]["steps"][6]["rule"], "current 2 + amount 2 <= max 5");
    let items = json!([{"limitKey": "seats"}, {"limitKey": "seats"}, {"limitKey": "requests"}]);
    let batch = take("/v1/consume/batch", json!({"org": "acme", "items": items})).await;
    let rules: Vec<&Value> =
        batch["results"].as_array().expect("results").iter().map(|one| &one["explanation"]["steps"]).collect();
    assert_eq!(rules[1][6]["rule"], "current 4 + amount 2 <= max 5");
    assert_eq!(rules[1][5], json!({"step": "usage", "current": 4, "held": 2, "figureOf": "ledger"}));
    assert_eq!(rules[2][7]["rule"], "current 0 + amount 1 <= max 3", "nothing was taken");
    let checks = json!({"checks": [{"org": "acme", "limitKey": "seats"}]});
    let asked = take("/v1/check/batch", checks).await;
    assert_eq!(asked["results"][0]["explanation"]["steps"][6]["rule"], "current 4 + amount 1 <= max 5");
}

#[tokio::test]
async fn the_gate_explains_every_single_decision() {
    let server = product().await;
    let admin = server.admin();
    let made = admin.create_key(&json!({"name": "x", "org": "acme", "rateLimits": {"calls": {"max": 1}}})).await;
    let key = made.is(201).text_at("/data/key").to_owned();
    let asked = json!({"apiKey": key, "method": "POST", "path": "/x", "consume": [{"limitKey": "seats"}], "check": [{"limitKey": "sso"}]});
    let told = admin.post("/v1/authorize?explain=true", asked.clone()).await;
    let decisions = told.is(200).data()["decisions"].as_array().expect("decisions").clone();
    let last = |place: usize| {
        let steps = decisions[place]["explanation"]["steps"].as_array().expect("steps");
        steps.last().expect("a step")["rule"].clone()
    };
    assert_eq!(
        [last(0), last(1), last(2)],
        ["current 0 + amount 1 <= max 1", "current 0 + amount 1 <= max 5", "enabled = false"]
    );
    assert!(steps(&decisions[0]["explanation"]).contains(&"apiKeyRate"));
    let full = admin.post("/v1/authorize?explain=true", asked).await;
    let rate = &full.is(200).data()["decisions"][0]["explanation"]["wouldAllow"];
    assert!(rate["wait"]["seconds"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)), "{rate}");
    assert_eq!((&rate["tier"], &rate["value"]), (&Value::Null, &json!({"max": 2})), "the key has a rate of its own");
}

#[tokio::test]
async fn what_is_the_customers_response_is_not_explained() {
    let server = product().await;
    let admin = server.admin();
    let question = json!({"org": "acme", "limitKey": "seats"});
    for path in ["/v1/check", "/v1/consume", "/v1/reservations"] {
        admin.post(&format!("{path}?enforce=true&explain=true"), question.clone()).await.fails(400, "invalid_query");
        admin.post(&format!("{path}?explain=maybe"), question.clone()).await.fails(400, "invalid_query");
    }
}

/// The receipt of this id.
async fn receipt(server: &Plimsoll, id: &str) -> Value {
    server.admin().get(&format!("/v1/admin/decisions/{id}")).await.is(200).data().clone()
}

#[tokio::test]
async fn a_refused_taking_leaves_a_receipt_that_says_why() {
    let server = product().await;
    let admin = server.admin();
    let allowed = admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 5})).await;
    assert!(allowed.is(200).data().get("decisionId").is_none(), "what is allowed leaves none");
    let asked = json!({"org": "acme", "limitKey": "seats"});
    let refused = admin.post("/v1/consume", asked.clone()).await;
    let id = refused.is(200).text_at("/data/decisionId").to_owned();
    assert!(id.starts_with("dec_"), "{id}");
    let kept = receipt(&server, &id).await;
    let shown = ["id", "operation", "org", "limitKey", "decision"].map(|field| kept[field].clone());
    assert_eq!(shown, [json!(id), json!("consume"), json!("acme"), json!("seats"), json!("limit_reached")]);
    assert_eq!(&without_explanation(&kept["answer"]), refused.data(), "it is kept as it was answered");
    assert_eq!(kept["denial"], refused.data()["denial"]);
    assert_eq!(kept["answer"]["explanation"]["wouldAllow"]["release"], 1);
    let enforced = admin.post("/v1/consume?enforce=true", asked.clone()).await;
    let named = enforced.is(402).header("x-plimsoll-decision-id").expect("a header").to_owned();
    assert_eq!(receipt(&server, &named).await["answer"]["decisionId"], named.as_str());
    assert!(admin.check(asked).await.data().get("decisionId").is_none(), "a question leaves none");
    let unknown = format!("/v1/admin/decisions/dec_{}", "0".repeat(32));
    admin.get(&unknown).await.fails(404, "not_found");
}

#[tokio::test]
async fn a_repetition_names_the_same_receipt() {
    let server = product().await;
    let admin = server.admin();
    let ask = async || {
        let body = json!({"org": "acme", "limitKey": "seats", "amount": 6});
        let answer = admin.request("POST", "/v1/reservations").header("Idempotency-Key", "one").json(&body).send().await;
        answer.is(200).text_at("/data/decisionId").to_owned()
    };
    let first = ask().await;
    assert_eq!(ask().await, first);
    assert_eq!(receipt(&server, &first).await["operation"], "reserve");
    assert_eq!(admin.get("/v1/admin/decisions").await.items().len(), 1, "it was refused once");
}

#[tokio::test]
async fn receipts_are_listed_newest_first_by_org_limit_key_and_time() {
    let server = product().await;
    let admin = server.admin();
    admin.put_org("globex", "free").await.is(201);
    let items = json!([{"limitKey": "seats", "amount": 6}, {"limitKey": "requests"}, {"limitKey": "requests", "amount": 3}]);
    let batch = admin.post("/v1/consume/batch", json!({"org": "acme", "items": items})).await;
    let results = batch.is(200).data()["results"].as_array().expect("results").clone();
    let ids: Vec<&str> = results.iter().filter_map(|one| one["decisionId"].as_str()).collect();
    assert_eq!(ids.len(), 3, "each has its own");
    assert_eq!(batch.data()["decisionId"], ids[1], "the quota stands above the count on the ladder");
    admin.post("/v1/consume", json!({"org": "globex", "limitKey": "seats", "amount": 6})).await.is(200);
    let listed = async |query: &str| {
        let answer = admin.get(&format!("/v1/admin/decisions{query}")).await;
        answer
            .is(200)
            .items()
            .iter()
            .map(|one| format!("{} {}", one["org"], one["limitKey"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("").await, ["globex seats", "acme requests", "acme requests", "acme seats"]);
    assert_eq!(listed("?org=acme&limitKey=seats").await, ["acme seats"]);
    assert_eq!(listed("?from=2999-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(listed("?to=2999-01-01T00:00:00Z&org=globex").await, ["globex seats"]);
    let page = admin.get("/v1/admin/decisions?limit=3").await;
    let cursor = page.is(200).text_at("/meta/nextCursor");
    assert_eq!(listed(&format!("?cursor={cursor}")).await, ["acme seats"]);
}

#[tokio::test]
async fn the_gate_leaves_receipts_also_of_what_no_limit_refused() {
    let server = product().await;
    let admin = server.admin();
    let made = admin.create_key(&json!({"name": "x", "org": "acme", "scopes": ["read"]})).await;
    let key = made.is(201).text_at("/data/key").to_owned();
    let written = admin.post("/v1/authorize", json!({"apiKey": key, "method": "POST", "path": "/x"})).await;
    let kept = receipt(&server, written.is(200).text_at("/data/decisionId")).await;
    assert_eq!(
        [&kept["decision"], &kept["limitKey"], &kept["answer"]],
        [&json!("insufficient_scope"), &Value::Null, &Value::Null]
    );
    let proxied = async || {
        let request = server.bearer(&key).request("GET", "/v1/forward-auth");
        request.header("X-Forwarded-Method", "GET").header("X-Forwarded-Uri", "/x").send().await
    };
    proxied().await.is(200);
    proxied().await.is(200);
    let full = proxied().await;
    let id = full.is(429).header("x-plimsoll-decision-id").expect("a header").to_owned();
    let kept = receipt(&server, &id).await;
    assert_eq!([&kept["operation"], &kept["limitKey"], &kept["decision"]], ["forwardAuth", "calls", "rate_limit_exceeded"]);
    assert!(kept["answer"]["explanation"]["wouldAllow"]["wait"]["seconds"].is_u64());
    let unknown = admin.post("/v1/authorize", json!({"method": "GET", "path": "/x"})).await;
    assert!(unknown.is(200).data().get("decisionId").is_none(), "there is no org to keep it for");
}
