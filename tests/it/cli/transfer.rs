//! `plimsoll transfer`: what moves, that it serves again, and what is refused.

use serde_json::json;

use super::{failure, run};
use crate::harness::{Actor, Answer, Plimsoll, Postgres, Setup};

/// What a caller can see of everything, in both databases the same.
const SEEN: [&str; 13] = [
    "/v1/admin/catalog",
    "/v1/admin/limit-keys?limit=100",
    "/v1/admin/orgs?limit=100",
    "/v1/admin/orgs/acme/overrides",
    "/v1/admin/users/ada",
    "/v1/admin/scopes",
    "/v1/admin/api-keys",
    "/v1/admin/removed-endpoints",
    "/v1/admin/webhooks",
    "/v1/admin/audit?limit=100",
    "/v1/orgs/acme/usage",
    "/v1/orgs/acme/entitlements",
    "/v1/orgs/globex/usage",
];

/// One of everything that a database can hold.
async fn fill(admin: &Actor) {
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 10}})).await.is(201);
    let calls = json!({"kind": "quota", "window": "month", "label": "API request", "default": {"unlimited": true}});
    admin.put_limit_key("calls", calls).await.is(201);
    admin.put_limit_key("a_former", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.post("/v1/admin/limit-keys/a_former/archive", json!({"replacement": "seats"})).await.is(200);
    admin.put_tier("free").await.is(201);
    admin.put_value("free", "seats", json!({"max": 5})).await.is(201);
    admin.put_tier("pro").await.is(201);
    let less = json!({"scheduled": [{"startsAt": "2999-01-01T00:00:00Z", "value": {"max": 4}}]});
    admin.put("/v1/admin/tiers/free/limits/seats/scheduled", less).await.is(200);
    let trial = json!({"tier": "free", "scheduled": [{"startsAt": "2999-01-01T00:00:00Z", "tier": "pro"}]});
    admin.put("/v1/admin/orgs/acme", trial).await.is(201);
    admin.put_org("globex", "free").await.is(201);
    admin.post("/v1/admin/orgs/globex/ban", json!({"reason": "unpaid"})).await.is(200);
    admin.post("/v1/admin/users/ada/ban", json!({})).await.is(200);
    let more = json!({"limitKey": "seats", "mode": "add", "value": {"max": 3}, "reason": "a promise: 3 \u{2713}"});
    admin.create_override("acme", &more).await.is(201);
    admin.put("/v1/admin/scopes/reports", json!({"description": "Reports"})).await.is(201);
    admin.post("/v1/admin/removed-endpoints", json!({"method": "GET", "path": "/old/{id}"})).await.is(201);
    let webhook = json!({"url": "https://plimsoll.invalid/", "types": ["user.unbanned"], "org": "acme"});
    admin.post("/v1/admin/webhooks", webhook).await.is(201);
}

async fn taking(admin: &Actor, number: u32) -> Answer {
    let body = json!({"org": "acme", "limitKey": "seats"});
    let request = admin.request("POST", "/v1/consume").header("Idempotency-Key", format!("taking-{number}"));
    request.json(&body).send().await
}

#[tokio::test]
async fn a_database_moves_to_postgresql_and_nothing_is_lost() {
    let server = Plimsoll::with(|_| Setup::embedded()).await;
    let admin = server.admin();
    fill(&admin).await;
    let key = server.key(&["read", "write", "reports"], Some("acme")).await;
    let mut taken = Vec::new();
    for number in 0..3 {
        taken.push(taking(&admin, number).await);
    }
    let held = admin.post("/v1/reservations", json!({"org": "acme", "limitKey": "seats", "ttlSeconds": 3600})).await;
    let held = held.is(201).text_at("/data/id").to_owned();
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "calls", "amount": 7})).await.is(200);
    let mut seen = Vec::new();
    for path in SEEN {
        seen.push(admin.get(path).await.is(200).body["data"].clone());
    }
    let (embedded, postgres) = (server.terminate().setup, Postgres::start());
    let moved = run(&embedded, &["transfer", "--from", embedded.database_url(), "--to", &postgres.url()]).stdout;
    assert!(moved.contains("were moved, read back and found to be the same"), "{moved}");

    let shared = Setup::on_postgres(&postgres);
    assert!(run(&shared, &["doctor"]).stdout.ends_with(": content"), "the doctor looks at a server too");
    let server = Plimsoll::on(shared).await;
    let admin = server.admin();
    for (path, before) in SEEN.iter().zip(&seen) {
        assert_eq!(&admin.get(path).await.is(200).body["data"], before, "{path}");
    }
    server.bearer(key.secret()).get("/v1/orgs/acme/usage").await.is(200);
    for (number, first) in (0..).zip(&taken) {
        let again = taking(&admin, number).await;
        assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &first.text), "its answer came along");
    }
    let more = taking(&admin, 3).await;
    assert_eq!(
        (more.text_at("/data/decision"), &more.data()["current"], &more.data()["held"]),
        ("allowed", &json!(5), &json!(1))
    );
    admin.post(&format!("/v1/reservations/{held}/confirm"), json!({})).await.is(200);
    let last = admin.check(json!({"org": "acme", "limitKey": "seats", "amount": 4})).await;
    assert_eq!((last.text_at("/data/decision"), &last.data()["max"]), ("limit_reached", &json!(8)));
}

#[tokio::test]
async fn a_target_with_data_is_refused_and_stays_as_it_is() {
    let postgres = Postgres::start();
    let server = Plimsoll::on(Setup::on_postgres(&postgres)).await;
    server.admin().put_tier("theirs").await.is(201);
    let embedded = Plimsoll::with(|_| Setup::embedded()).await;
    fill(&embedded.admin()).await;
    let setup = embedded.terminate().setup;
    let said = failure(&setup, &["transfer", "--from", setup.database_url(), "--to", &postgres.url()]);
    assert!(said.contains("is not empty: it has rows in tier") && !said.contains("postgres://"), "{said}");
    let tiers = server.admin().get("/v1/admin/tiers").await;
    assert_eq!(tiers.items().len(), 1, "{}", tiers.text);
}

#[tokio::test]
async fn a_database_that_is_served_is_not_moved() {
    let (server, postgres) = (Plimsoll::with(|_| Setup::embedded()).await, Postgres::start());
    let said = failure(server.setup(), &["transfer", "--from", server.setup().database_url(), "--to", &postgres.url()]);
    assert!(said.contains("is in use by another process"), "{said}");
}

#[tokio::test]
async fn from_is_a_file_and_to_is_a_server() {
    let setup = Setup::embedded();
    let (file, server) = (setup.database_url(), "postgres://u:hunter2@127.0.0.1:1/p");
    for (from, to, named) in [(server, server, "--from"), (file, file, "--to"), (file, server, "does not exist")] {
        let said = failure(&setup, &["transfer", "--from", from, "--to", to]);
        assert!(said.contains(named) && !said.contains("hunter2"), "{said}");
    }
}
