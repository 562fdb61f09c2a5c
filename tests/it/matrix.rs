//! Who may call what: every operation of the document, by every kind of caller.
//!
//! What is expected follows from the scope that the document names. An operation that is not in `calls` fails.

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Operation, Plimsoll};

/// Operations that every caller may call, on purpose.
const PUBLIC: [&str; 3] = ["livez", "readyz", "metrics"];
/// Operations that proxies call without a credential of their own: the one that they bring is a customer's, and what is asked about.
const BY_PROXIES: [&str; 2] = ["forwardAuth", "forwardAuthPath"];
/// Operations for everybody who is known, whatever the scopes, on purpose. They speak of nobody but the caller.
const FOR_ANYONE: [&str; 1] = ["whoami"];
/// Operations that name an org and that an org's own key may call.
const ABOUT_ONE_ORG: [&str; 15] = [
    "authorize",
    "check",
    "checkBatch",
    "confirmReservation",
    "consume",
    "consumeBatch",
    "evaluateFlag",
    "evaluateFlags",
    "getEntitlements",
    "getReservation",
    "listUsage",
    "reconcileUsage",
    "release",
    "releaseReservation",
    "reserve",
];

/// How to call an operation so that it succeeds: the path and the body.
struct Call {
    id: &'static str,
    path: String,
    body: Value,
}

/// The ids of what was made for the calls.
struct Made {
    key: String,
    other_key: String,
    rotated_key: String,
    doomed_key: String,
    override_: String,
    doomed_override: String,
    removed: String,
    decision: String,
    webhook: String,
    doomed_webhook: String,
    delivery: String,
    customer: String,
    reservation: String,
    other_reservation: String,
}

async fn made(admin: &Actor) -> Made {
    let plan = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "archivable": {"kind": "count", "default": {"max": 5}},
            "doomed": {"kind": "count", "default": {"max": 5}},
            "history": {"kind": "retention", "default": {"days": 30}},
        },
        "tiers": {"free": {"limits": {"seats": {"max": 3}}}, "doomed": {}},
    });
    admin.put_catalog(&plan).await.is(200);
    for org in ["acme", "globex", "doomed"] {
        admin.put_org(org, "free").await.is(201);
    }
    admin.put("/v1/admin/scopes/doomed", json!({})).await.is(201);
    let id = |answer: Answer| answer.is(201).text_at("/data/id").to_owned();
    let key = async || id(admin.create_key(&json!({"name": "x"})).await);
    let wanted = json!({"limitKey": "history", "mode": "set", "value": {"days": 1}});
    let removed = json!({"method": "GET", "path": "/removed"});
    let held = json!({"org": "acme", "limitKey": "seats", "ttlSeconds": 3600});
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    // Nobody is there: what it is told waits.
    let webhook = async || id(admin.post("/v1/admin/webhooks", json!({"url": "http://plimsoll.invalid/"})).await);
    let told = webhook().await;
    Made {
        delivery: delivery(admin, &told).await,
        webhook: told,
        doomed_webhook: webhook().await,
        reservation: id(admin.post("/v1/reservations", held.clone()).await),
        other_reservation: id(admin.post("/v1/reservations", held).await),
        decision: admin
            .post("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 9}))
            .await
            .text_at("/data/decisionId")
            .to_owned(),
        key: key().await,
        other_key: key().await,
        rotated_key: key().await,
        doomed_key: key().await,
        override_: id(admin.create_override("acme", &wanted).await),
        doomed_override: id(admin.create_override("acme", &wanted).await),
        customer: admin.create_key(&json!({"name": "x", "org": "acme"})).await.is(201).text_at("/data/key").to_owned(),
        removed: id(admin.post("/v1/admin/removed-endpoints", removed).await),
    }
}

/// Something that a webhook is told, as soon as it is written down.
async fn delivery(admin: &Actor, webhook: &str) -> String {
    admin.post(&format!("/v1/admin/webhooks/{webhook}/test"), json!({})).await.is(200);
    let begun = std::time::Instant::now();
    loop {
        let told = admin.get(&format!("/v1/admin/webhooks/{webhook}/deliveries")).await;
        if let Some(delivery) = told.is(200).items().first() {
            return delivery["id"].as_str().expect("an id").to_owned();
        }
        assert!(begun.elapsed().as_secs() < 30, "nothing is written down");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What admins call.
fn calls_of_admins(made: &Made) -> Vec<Call> {
    let admin = |id, path: &str, body| Call { id, path: format!("/v1/admin/{path}"), body };
    let get = |id, path: &str| admin(id, path, Value::Null);
    let Made { key, other_key, rotated_key, doomed_key, override_, doomed_override, removed, decision, .. } = made;
    let Made { webhook, doomed_webhook, delivery, .. } = made;
    vec![
        get("listLimitKeys", "limit-keys"),
        get("getActivity", "limit-keys/activity"),
        get("getLimitKey", "limit-keys/seats"),
        admin("putLimitKey", "limit-keys/fresh", json!({"kind": "count", "default": {"max": 1}})),
        get("deleteLimitKey", "limit-keys/doomed"),
        admin("archiveLimitKey", "limit-keys/archivable/archive", json!({})),
        get("listTiers", "tiers"),
        get("getTier", "tiers/free"),
        admin("putTier", "tiers/fresh", json!({})),
        get("deleteTier", "tiers/doomed"),
        get("listTierLimits", "tiers/free/limits"),
        admin("putTierLimit", "tiers/free/limits/history", json!({"days": 5})),
        get("getScheduledTierLimit", "tiers/free/limits/seats/scheduled"),
        admin("putScheduledTierLimit", "tiers/free/limits/seats/scheduled", json!({"scheduled": []})),
        get("deleteScheduledTierLimit", "tiers/free/limits/seats/scheduled"),
        get("deleteTierLimit", "tiers/free/limits/seats"),
        get("listRetentionWindows", "retention-windows"),
        admin("putRetentionWindow", "retention-windows/history/free", json!({"days": 6})),
        get("getCatalog", "catalog"),
        admin("putCatalog", "catalog", json!({})),
        admin("whatIfLimit", "what-if/limit", json!({"tier": "free", "limitKey": "seats", "value": {"max": 1}})),
        admin("whatIfTier", "what-if/tier", json!({"org": "acme", "tier": "free"})),
        admin("whatIfCatalog", "what-if/catalog", json!({})),
        get("listOrgs", "orgs"),
        get("getOrg", "orgs/acme"),
        admin("putOrg", "orgs/fresh", json!({"tier": "free"})),
        get("deleteOrg", "orgs/doomed"),
        admin("banOrg", "orgs/globex/ban", json!({})),
        admin("unbanOrg", "orgs/globex/unban", json!({})),
        get("listOverrides", "orgs/acme/overrides"),
        admin("createOverride", "orgs/acme/overrides", json!({"limitKey": "seats", "mode": "add", "value": {"max": 1}})),
        get("getOverride", &format!("orgs/acme/overrides/{override_}")),
        get("deleteOverride", &format!("orgs/acme/overrides/{doomed_override}")),
        get("getUser", "users/jane"),
        admin("banUser", "users/jane/ban", json!({})),
        admin("unbanUser", "users/jane/unban", json!({})),
        get("listScopes", "scopes"),
        admin("putScope", "scopes/fresh", json!({})),
        get("deleteScope", "scopes/doomed"),
        get("listApiKeys", "api-keys"),
        admin("createApiKey", "api-keys", json!({"name": "fresh"})),
        get("getApiKey", &format!("api-keys/{key}")),
        admin("patchApiKey", &format!("api-keys/{other_key}"), json!({"name": "renamed"})),
        get("deleteApiKey", &format!("api-keys/{doomed_key}")),
        admin("rotateApiKey", &format!("api-keys/{rotated_key}/rotate"), json!({})),
        get("listWebhooks", "webhooks"),
        admin("createWebhook", "webhooks", json!({"url": "https://plimsoll.invalid/"})),
        get("getWebhook", &format!("webhooks/{webhook}")),
        admin("patchWebhook", &format!("webhooks/{webhook}"), json!({"description": "Fresh"})),
        get("deleteWebhook", &format!("webhooks/{doomed_webhook}")),
        admin("rotateWebhookSecret", &format!("webhooks/{webhook}/rotate-secret"), json!({})),
        admin("testWebhook", &format!("webhooks/{webhook}/test"), json!({})),
        get("listWebhookDeliveries", &format!("webhooks/{webhook}/deliveries")),
        admin("redeliver", &format!("webhooks/{webhook}/deliveries/{delivery}/redeliver"), json!({})),
        admin("disableWebhook", &format!("webhooks/{webhook}/disable"), json!({})),
        admin("enableWebhook", &format!("webhooks/{webhook}/enable"), json!({})),
        get("listDecisions", "decisions"),
        get("getDecision", &format!("decisions/{decision}")),
        get("listRemovedEndpoints", "removed-endpoints"),
        admin("createRemovedEndpoint", "removed-endpoints", json!({"method": "GET", "path": "/fresh"})),
        get("deleteRemovedEndpoint", &format!("removed-endpoints/{removed}")),
        get("listEvents", "events"),
        get("streamEvents", "events/stream?maxSeconds=1"),
        get("listAudit", "audit"),
    ]
}

fn calls(made: &Made) -> Vec<Call> {
    let question = json!({"org": "acme", "limitKey": "seats"});
    let public = |id, path: &str| Call { id, path: path.to_owned(), body: Value::Null };
    let reservation = |id, number: &str, rest: &str, body| Call { id, path: format!("/v1/reservations/{number}{rest}"), body };
    let post = |id, path: &str, body| Call { id, path: path.to_owned(), body };
    let mut calls = calls_of_admins(made);
    calls.extend([
        Call { id: "check", path: "/v1/check".to_owned(), body: question.clone() },
        Call { id: "checkBatch", path: "/v1/check/batch".to_owned(), body: json!({"checks": [question.clone()]}) },
        public("getEntitlements", "/v1/orgs/acme/entitlements"),
        post("consume", "/v1/consume", question.clone()),
        post("consumeBatch", "/v1/consume/batch", json!({"org": "acme", "items": [{"limitKey": "seats"}]})),
        post("release", "/v1/release", question.clone()),
        post("reserve", "/v1/reservations", question.clone()),
        reservation("getReservation", &made.reservation, "", Value::Null),
        reservation("confirmReservation", &made.reservation, "/confirm", json!({})),
        reservation("releaseReservation", &made.other_reservation, "/release", json!({})),
        public("listUsage", "/v1/orgs/acme/usage"),
        post("reconcileUsage", "/v1/orgs/acme/usage/seats", json!({"current": 1})),
        post("authorize", "/v1/authorize", json!({"apiKey": made.customer, "method": "GET", "path": "/x"})),
        post("evaluateFlag", "/ofrep/v1/evaluate/flags/seats", json!({"context": {"targetingKey": "acme"}})),
        post("evaluateFlags", "/ofrep/v1/evaluate/flags", json!({"context": {"targetingKey": "acme"}})),
        public("whoami", "/v1/whoami"),
        public("livez", "/livez"),
        public("readyz", "/readyz"),
        public("metrics", "/metrics"),
    ]);
    calls
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs<'a> {
    Nothing,
    Credential,
    Scope(&'a str),
}

/// What the document says that an operation asks of its caller.
fn needs(operation: &Operation) -> Needs<'_> {
    let security = operation.value["security"].as_array().expect("security");
    assert_eq!(security.len(), 1, "{}", operation.id);
    match security[0]["bearer"].as_array().map(Vec::as_slice) {
        None => Needs::Nothing,
        Some([]) => Needs::Credential,
        Some([scope]) => Needs::Scope(scope.as_str().expect("a scope")),
        Some(scopes) => panic!("{}: {scopes:?}", operation.id),
    }
}

fn operation<'a>(server: &'a Plimsoll, call: &Call) -> &'a Operation {
    let found = server.document().operations().iter().find(|operation| operation.id == call.id);
    found.unwrap_or_else(|| panic!("{} is not in the document", call.id))
}

/// Calls it with a body that is none, which only who may call it at all is told of.
async fn call_badly(actor: &Actor, operation: &Operation, call: &Call) -> Answer {
    let request = actor.request(&operation.method, &call.path);
    if call.body.is_null() { request.send().await } else { request.bytes("text/plain", "{\"nonsense").send().await }
}

/// Holds an error to its status and meta. `OpenFeature`'s providers are told the status only.
#[track_caller]
fn fails(answer: &Answer, status: u16, meta: &Value) {
    let is_enveloped = answer.body["errorCode"].is_null();
    let expected = if is_enveloped { meta.clone() } else { Value::Null };
    assert_eq!((answer.status, &answer.body["meta"]), (status, &expected), "{}", answer.text);
    assert!(is_enveloped || answer.body["errorCode"] == "GENERAL", "{}", answer.text);
}

#[tokio::test]
async fn the_matrix_knows_every_operation_of_the_document() {
    let server = Plimsoll::start().await;
    let calls = calls(&made(&server.admin()).await);
    let known: BTreeSet<&str> = calls.iter().map(|call| call.id).collect();
    let documented = server.document().operations().iter().map(|operation| operation.id.as_str());
    let documented: BTreeSet<&str> = documented.filter(|id| !BY_PROXIES.contains(id)).collect();
    assert_eq!(known, documented);
    let that_need = |what| {
        let found = calls.iter().filter(|call| needs(operation(&server, call)) == what);
        found.map(|call| call.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(that_need(Needs::Nothing), PUBLIC.into());
    assert_eq!(that_need(Needs::Credential), FOR_ANYONE.into());
    for call in &calls {
        let operation = operation(&server, call);
        let is_admin = operation.template.starts_with("/v1/admin/");
        assert_eq!(needs(operation) == Needs::Scope("admin"), is_admin, "{}: scope admin is for /v1/admin", call.id);
    }
}

#[tokio::test]
async fn who_lacks_the_scope_is_refused_before_the_body_is_read() {
    let server = Plimsoll::start().await;
    let calls = calls(&made(&server.admin()).await);
    let revision = server.admin().put_tier("free").await.revision();
    let callers = [
        (vec!["read"], None),
        (vec!["write"], None),
        (vec!["read", "write"], None),
        (vec!["admin"], None),
        (vec!["read", "write"], Some("acme")),
        (vec!["read"], Some("globex")),
    ];
    let mut keys = Vec::new();
    for (scopes, org) in &callers {
        keys.push(server.key(scopes, *org).await);
    }
    for call in &calls {
        let operation = operation(&server, call);
        let anonymous = call_badly(&server.anonymous(), operation, call).await;
        if needs(operation) == Needs::Nothing {
            anonymous.is(200);
            continue;
        }
        fails(&anonymous, 401, &json!({"code": "invalid_api_key"}));
        let Needs::Scope(required) = needs(operation) else {
            for key in &keys {
                call_badly(key, operation, call).await.is(200);
            }
            continue;
        };
        for ((granted, _), key) in callers.iter().zip(&keys).filter(|((granted, _), _)| !granted.contains(&required)) {
            let answer = call_badly(key, operation, call).await;
            let meta = json!({"code": "insufficient_scope", "required": required, "granted": granted});
            fails(&answer, 403, &meta);
        }
    }
    let after = server.admin().put_tier("free").await.revision();
    assert_eq!(after, revision + keys.len() as u64, "nothing changed but the keys of this test");
}

#[tokio::test]
async fn what_proxies_call_judges_the_credential_that_they_bring() {
    let server = Plimsoll::start().await;
    let made = made(&server.admin()).await;
    let open = server.document().operations().iter().filter(|operation| needs(operation) == Needs::Nothing);
    let open: BTreeSet<&str> = open.map(|operation| operation.id.as_str()).collect();
    assert_eq!(open, PUBLIC.into_iter().chain(BY_PROXIES).collect());
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        for (path, asked) in [("/v1/forward-auth", method), ("/v1/forward-auth/api/x", method)] {
            let ask = |actor: &Actor| {
                actor.request(method, path).header("X-Forwarded-Method", asked).header("X-Forwarded-Uri", "/api/x")
            };
            assert_eq!(ask(&server.anonymous()).send().await.status, 401, "{method} {path}");
            assert_eq!(ask(&server.bearer(&made.customer)).send().await.status, 200, "{method} {path}");
            let unknown = server.bearer(&format!("plm_{}", "0".repeat(64)));
            assert_eq!(ask(&unknown).send().await.status, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn who_holds_the_scope_succeeds() {
    let server = Plimsoll::start().await;
    let calls = calls(&made(&server.admin()).await);
    let all = ["read", "write", "admin"];
    for call in &calls {
        let operation = operation(&server, call);
        // The one scope is enough, and no other is looked at.
        let scopes: Vec<&str> = all.into_iter().filter(|scope| needs(operation) == Needs::Scope(scope)).collect();
        let actor = if needs(operation) == Needs::Nothing { server.anonymous() } else { server.key(&scopes, None).await };
        let answer = actor.call(&operation.method, &call.path, &call.body).await;
        assert!((200..300).contains(&answer.status), "{}: {} {}", call.id, answer.status, answer.text);
    }
}

/// An answer without what differs from one request to the next.
fn essence(answer: &Answer) -> (u16, HeaderMap, String) {
    let mut headers = answer.headers.clone();
    for name in ["x-request-id", "date"] {
        assert!(headers.remove(name).is_some(), "{name}");
    }
    (answer.status, headers, answer.text.clone())
}

/// The same question about an org.
fn about(org: &str, question: &Value) -> Value {
    let mut question = question.clone();
    question["org"] = json!(org);
    question
}

/// What an org's key asks and does about an org that is not its own: the operation, and how it is answered.
async fn probes(own: &Actor, org: &str, reservation: &str) -> Vec<(&'static str, Answer)> {
    let questions = [
        json!({"limitKey": "seats"}),
        json!({"limitKey": "seats", "current": 99}),
        json!({"limitKey": "nothing"}),
        json!({"limitKey": "history", "from": "2020-01-01"}),
        json!({"limitKey": "seats", "from": "2020-01-01"}),
    ];
    let mut answers = vec![
        ("getEntitlements", own.get(&format!("/v1/orgs/{org}/entitlements")).await),
        ("listUsage", own.get(&format!("/v1/orgs/{org}/usage")).await),
        ("reconcileUsage", own.put(&format!("/v1/orgs/{org}/usage/seats"), json!({"current": 1})).await),
        ("consumeBatch", own.post("/v1/consume/batch", json!({"org": org, "items": [{"limitKey": "seats"}]})).await),
        ("reserve", own.post("/v1/reservations", json!({"org": org, "limitKey": "seats"})).await),
        ("getReservation", own.get(&format!("/v1/reservations/{reservation}")).await),
        ("confirmReservation", own.post(&format!("/v1/reservations/{reservation}/confirm"), json!({})).await),
        ("releaseReservation", own.post(&format!("/v1/reservations/{reservation}/release"), json!({})).await),
    ];
    for question in &questions {
        for path in ["/v1/check", "/v1/check?enforce=true"] {
            answers.push(("check", own.post(path, about(org, question)).await));
        }
    }
    for limit_key in ["seats", "nothing", "history"] {
        let taking = json!({"org": org, "limitKey": limit_key});
        answers.push(("consume", own.post("/v1/consume", taking.clone()).await));
        answers.push(("release", own.post("/v1/release", taking).await));
    }
    answers
}

#[tokio::test]
async fn another_org_cannot_be_told_from_no_org() {
    let server = Plimsoll::start().await;
    let made = made(&server.admin()).await;
    let own = server.key(&["read", "write"], Some("globex")).await;
    server.admin().post("/v1/admin/orgs/doomed/ban", json!({})).await.is(200);
    let usage = async || server.admin().get("/v1/orgs/acme/usage").await.items().to_vec();
    let before = usage().await;
    let nothing = "res_0192f0c1b7e07000a0000000000000aa_nobody";
    let mut probed = BTreeSet::new();
    for other in ["acme", "doomed"] {
        let of_other = probes(&own, other, &made.reservation).await;
        let of_nobody = probes(&own, "nobody", nothing).await;
        for ((id, of_other), (_, of_nobody)) in of_other.iter().zip(&of_nobody) {
            assert_eq!(essence(of_other), essence(of_nobody), "{id}");
            of_other.fails(404, "not_found");
            probed.insert(*id);
        }
        let question = json!({"limitKey": "seats"});
        let checks = |org: &str| json!({"checks": [about(org, &question), about("globex", &question)]});
        let batch = async |org: &str| own.post("/v1/check/batch", checks(org)).await;
        let (of_other, of_nobody) = (batch(other).await, batch("nobody").await);
        assert_eq!(essence(&of_other), essence(&of_nobody));
        assert_eq!(of_other.is(200).data()["results"][0]["meta"]["code"], "not_found");
        probed.insert("checkBatch");
    }
    let authorize = async |key: &str| own.post("/v1/authorize", json!({"apiKey": key, "method": "GET", "path": "/x"})).await;
    let (of_other, of_nobody) = (authorize(&made.customer).await, authorize(&format!("plm_{}", "0".repeat(64))).await);
    assert_eq!(essence(&of_other), essence(&of_nobody));
    assert_eq!(of_other.is(200).text_at("/data/decision"), "invalid_api_key");
    probed.insert("authorize");
    for path in ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/seats", "/ofrep/v1/evaluate/flags/nothing"] {
        let evaluate = async |org: &str| own.post(path, json!({"context": {"targetingKey": org}})).await;
        let of_nobody = evaluate("nobody").await;
        for other in ["acme", "doomed"] {
            assert_eq!(essence(&evaluate(other).await), essence(&of_nobody), "{path}");
        }
        assert_eq!((of_nobody.is(400).text_at("/errorCode"), of_nobody.body["meta"].is_null()), ("INVALID_CONTEXT", true));
    }
    probed.extend(["evaluateFlag", "evaluateFlags"]);
    assert_eq!(probed, ABOUT_ONE_ORG.into());
    assert_eq!(usage().await, before, "nothing was taken, given back or set");
}

/// How long each of these takes to be answered 404, in microseconds, without the slowest tenth: what else the machine does only adds.
fn quickest(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() * 9 / 10);
    times
}

/// Welch's t of two samples.
fn welch(a: &[f64], b: &[f64]) -> f64 {
    let moments = |sample: &[f64]| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}

#[tokio::test]
async fn the_time_of_a_404_does_not_tell_whether_there_is_such_an_org() {
    let server = Plimsoll::start().await;
    let made = made(&server.admin()).await;
    let own = server.key(&["read", "write"], Some("globex")).await.unjudged();
    // Of one length, so that nothing but what is known of them differs.
    let nobody = made.reservation.replace("acme", "none");
    let questions = |org: &str, reservation: &str| {
        [
            ("POST", "/v1/check".to_owned(), json!({"org": org, "limitKey": "seats"})),
            ("POST", "/v1/consume".to_owned(), json!({"org": org, "limitKey": "seats"})),
            ("GET", format!("/v1/orgs/{org}/entitlements"), Value::Null),
            ("GET", format!("/v1/reservations/{reservation}"), Value::Null),
        ]
    };
    let (of_other, of_nobody) = (questions("acme", &made.reservation), questions("none", &nobody));
    for (other, nobody) in of_other.iter().zip(&of_nobody) {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..2_000 {
            // Whoever goes first may find things colder.
            for turn in [round % 2, 1 - round % 2] {
                let (method, path, body) = if turn == 0 { other } else { nobody };
                let begun = std::time::Instant::now();
                own.call(method, path, body).await.is(404);
                times[turn].push(begun.elapsed().as_secs_f64() * 1e6);
            }
        }
        let [other_times, nobody_times] = times.map(quickest);
        let t = welch(&other_times, &nobody_times);
        assert!(t.abs() < 4.5, "{}: t = {t}", other.1);
    }
}

#[tokio::test]
async fn every_operation_that_an_orgs_key_may_call_is_probed_about_another_org() {
    let server = Plimsoll::start().await;
    // An org's key never holds admin, so what needs it is out of its reach.
    let is_open = |operation: &&Operation| matches!(needs(operation), Needs::Scope(scope) if scope != "admin");
    let open = server.document().operations().iter().filter(is_open);
    assert_eq!(open.map(|operation| operation.id.as_str()).collect::<BTreeSet<_>>(), ABOUT_ONE_ORG.into());
}
