//! One request of a customer, judged as a whole: `authorize` and `forward-auth`.

mod forward_auth;
mod ladder;
mod windows;

use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Plimsoll};

/// A product with every kind of limit, a platform key that asks, and a customer of the org `acme`.
struct Product {
    server: Plimsoll,
    asks: Actor,
    /// The secret of the customer's key.
    customer: String,
    /// The id of the customer's key.
    id: String,
}

fn plan() -> Value {
    json!({
        "limitKeys": {
            "calls": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "perRequest": true, "default": {"max": 60}},
            "exports": {"kind": "rate", "windowSeconds": 60, "bucket": "exports", "default": {"max": 1}},
            "requests": {"kind": "quota", "window": "day", "label": "API request", "perRequest": true, "default": {"max": 1000}},
            "mails": {"kind": "quota", "window": "month", "label": "mail", "default": {"max": 5}},
            "seats": {"kind": "count", "default": {"max": 5}},
            "campaigns": {"kind": "count", "per": "project", "default": {"max": 2}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "sso": {"kind": "feature", "default": {"enabled": true}},
            "hours": {"kind": "interval", "unit": "hours", "default": {"min": 6}},
            "old": {"kind": "count", "default": {"max": 5}, "archived": true, "replacement": "seats"},
        },
        "tiers": {"free": {}, "ultra": {"limits": {"calls": {"max": 600}, "requests": {"unlimited": true}}}},
    })
}

async fn product() -> Product {
    let server = Plimsoll::start().await;
    server.admin().put_catalog(&plan()).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    let asks = server.key(&["write"], None).await;
    let (customer, id) = customer(&server, &json!({"org": "acme", "user": "jane"})).await;
    Product { server, asks, customer, id }
}

/// The secret and the id of a new key of a customer.
async fn customer(server: &Plimsoll, wanted: &Value) -> (String, String) {
    let mut wanted = wanted.clone();
    wanted["name"] = json!("a customer's key");
    let made = server.admin().create_key(&wanted).await;
    made.is(201);
    (made.text_at("/data/key").to_owned(), made.text_at("/data/id").to_owned())
}

impl Product {
    /// Asks about a request of the customer; what is not said of it is usual.
    async fn authorize(&self, more: Value) -> Answer {
        self.authorize_at("/v1/authorize", more).await
    }

    async fn authorize_at(&self, path: &str, more: Value) -> Answer {
        let mut body = json!({"apiKey": self.customer, "method": "POST", "path": "/api/v1/creators"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.asks.post(path, body).await
    }

    async fn limit(&self, limit_key: &str, value: Value) {
        let wanted = json!({"limitKey": limit_key, "mode": "set", "value": value});
        self.server.admin().create_override("acme", &wanted).await.is(201);
    }

    /// What a limit key of the org has in use.
    async fn used(&self, limit_key: &str) -> u64 {
        let answer = self.server.admin().check(json!({"org": "acme", "limitKey": limit_key})).await;
        answer.is(200).data()["current"].as_u64().expect("a number")
    }

    /// What the customer's sliding window has left.
    async fn left(&self) -> u64 {
        let question = json!({"org": "acme", "limitKey": "calls", "keyId": self.id});
        self.server.admin().check(question).await.is(200).data()["remaining"].as_u64().expect("a number")
    }
}

fn decision(answer: &Answer) -> &str {
    answer.is(200).text_at("/data/decision")
}

#[tokio::test]
async fn an_allowed_request_takes_what_every_request_takes_and_what_it_consumes() {
    let product = product().await;
    let wanted = json!({
        "requiredScope": "write",
        "consume": [{"limitKey": "seats", "amount": 2}, {"limitKey": "campaigns", "resource": "project-1"}],
        "check": [{"limitKey": "history", "from": "2026-01-01", "to": "2026-01-02"}, {"limitKey": "sso"}, {"limitKey": "hours", "requested": 1}],
    });
    product.limit("history", json!({"unlimited": true})).await;
    let answer = product.authorize(wanted).await;
    let data = answer.is(200).data();
    let key = json!({"id": product.id, "user": "jane", "scopes": ["read", "write"], "expiresAt": null});
    assert_eq!(
        (&data["allowed"], &data["decision"], &data["key"], &data["org"], &data["denial"]),
        (&json!(true), &json!("allowed"), &key, &json!("acme"), &Value::Null)
    );
    let decisions = data["decisions"].as_array().expect("decisions");
    let limit_keys: Vec<&str> = decisions.iter().map(|one| one["limitKey"].as_str().expect("a name")).collect();
    assert_eq!(limit_keys, ["calls", "requests", "seats", "campaigns", "history", "sso", "hours"]);
    assert_eq!(
        (&decisions[0]["remaining"], &decisions[1]["current"], &decisions[2]["current"]),
        (&json!(59), &json!(1), &json!(2))
    );
    assert_eq!((&decisions[3]["resource"], &decisions[6]["effective"]), (&json!("project-1"), &json!(6)));
    let policy = data["headers"]["RateLimit-Policy"].as_str();
    assert_eq!(policy, Some(r#""v1Api";q=60;w=60, "requests";q=1000;w=86400"#));
    let state = data["headers"]["RateLimit"].as_str().expect("a header");
    assert!(state.starts_with(r#""v1Api";r=59;t=60, "requests";r=999;t="#), "{state}");
    assert_eq!((product.used("seats").await, product.used("requests").await, product.left().await), (2, 1, 59));
}

#[tokio::test]
async fn a_refused_request_takes_no_quota_and_no_count_but_its_window_counts_it() {
    let product = product().await;
    let refused =
        product.authorize(json!({"consume": [{"limitKey": "mails", "amount": 2}, {"limitKey": "seats", "amount": 6}]})).await;
    assert_eq!(decision(&refused), "limit_reached");
    let asked = product
        .authorize(json!({"consume": [{"limitKey": "seats"}], "check": [{"limitKey": "history", "from": "2020-01-01"}]}))
        .await;
    assert_eq!(decision(&asked), "retention_exceeded");
    assert_eq!(asked.data()["decisions"].as_array().map(Vec::len), Some(4), "the others are weighed all the same");
    for limit_key in ["seats", "requests", "mails"] {
        assert_eq!(product.used(limit_key).await, 0, "{limit_key}");
    }
    assert_eq!(product.left().await, 58);
    // What is refused before the window is not counted in it.
    assert_eq!(decision(&product.authorize(json!({"requiredScope": "reports"})).await), "insufficient_scope");
    assert_eq!(product.left().await, 58);
    // What does not fit in is not counted either.
    product.limit("calls", json!({"max": 2})).await;
    assert_eq!(decision(&product.authorize(json!({})).await), "rate_limit_exceeded");
    product.limit("calls", json!({"max": 3})).await;
    assert_eq!(decision(&product.authorize(json!({})).await), "allowed");
}

#[tokio::test]
async fn with_enforce_the_response_is_the_customers_with_its_headers() {
    let product = product().await;
    let allowed = product.authorize_at("/v1/authorize?enforce=true", json!({})).await;
    assert_eq!(allowed.is(200).header("ratelimit-policy"), Some(r#""v1Api";q=60;w=60, "requests";q=1000;w=86400"#));
    product.limit("requests", json!({"max": 1})).await;
    let refused = product.authorize_at("/v1/authorize?enforce=true", json!({})).await;
    let body = r#"{"data":null,"error":"Daily API request limit exceeded","meta":{"code":"rate_limit_exceeded"}}"#;
    assert_eq!((refused.status, refused.text.as_str()), (429, body));
    let wait: u64 = refused.header("retry-after").expect("a Retry-After").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").is_some_and(|state| state.contains(r#""requests";r=0;t="#)));
    let keyless = product.authorize_at("/v1/authorize?enforce=true", json!({"apiKey": null})).await;
    keyless.fails(401, "invalid_api_key");
    assert_eq!((keyless.error(), keyless.header("www-authenticate")), ("Missing API key", Some(r#"Bearer realm="plimsoll""#)));
}

#[tokio::test]
async fn a_repetition_under_its_idempotency_key_counts_nothing_again() {
    let product = product().await;
    let body = json!({"apiKey": product.customer, "method": "POST", "path": "/x", "consume": [{"limitKey": "seats"}]});
    let again = async |key: &str, body: &Value| {
        product.asks.request("POST", "/v1/authorize").header("Idempotency-Key", key).json(body).send().await
    };
    let first = again("one", &body).await;
    let second = again("one", &body).await;
    assert_eq!((first.text.as_str(), first.header("idempotent-replayed")), (second.text.as_str(), None));
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!((product.used("seats").await, product.used("requests").await, product.left().await), (1, 1, 59));
    again("one", &json!({"method": "GET"})).await.fails(409, "idempotency_key_reused");
    // A refusal is an answer, and kept: also one that came before anything was counted, and one of the window.
    product.limit("calls", json!({"max": 1})).await;
    let refused = again("two", &body).await;
    product.limit("calls", json!({"max": 9})).await;
    assert_eq!((decision(&refused), again("two", &body).await.text), ("rate_limit_exceeded", refused.text.clone()));
    let keyless = json!({"method": "GET"});
    let refused = again("three", &keyless).await;
    assert_eq!(again("three", &keyless).await.is(200).text, refused.text);
    assert_eq!((product.used("seats").await, product.left().await), (1, 8));
}

#[tokio::test]
async fn a_repetition_is_answered_the_same_also_when_what_it_was_about_is_gone() {
    let product = product().await;
    let body = json!({"apiKey": product.customer, "method": "POST", "path": "/x", "consume": [{"limitKey": "seats"}]});
    let send =
        async |key: &str| product.asks.request("POST", "/v1/authorize").header("Idempotency-Key", key).json(&body).send().await;
    let first = send("one").await;
    product.server.admin().post("/v1/admin/limit-keys/seats/archive", json!({})).await.is(200);
    assert_eq!(send("one").await.is(200).text, first.text);
    let gone = send("two").await;
    gone.fails(410, "gone");
    let again = send("two").await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &gone.text));
    product.asks.post("/v1/authorize", body).await.fails(410, "gone");
    assert_eq!(product.left().await, 59);
}

#[tokio::test]
async fn what_is_written_badly_is_named_and_nothing_is_counted() {
    let product = product().await;
    let path = |length: usize| format!("/{}", "a".repeat(length - 1));
    let many = |count: usize| Value::from(vec![json!({"limitKey": "seats"}); count]);
    let cases = [
        (json!({"method": "P OST", "path": "creators"}), vec!["method", "path"]),
        (json!({"path": path(8_193)}), vec!["path"]),
        (json!({"method": "A".repeat(33)}), vec!["method"]),
        (json!({"consume": many(21), "check": many(21)}), vec!["consume", "check"]),
        (json!({"requiredScope": "Write"}), vec!["requiredScope"]),
        (
            json!({"consume": [{"limitKey": "seats", "resource": "x"}, {"limitKey": "sso"}]}),
            vec!["consume[0].resource", "consume[1].limitKey"],
        ),
        (
            json!({"consume": [{"limitKey": "seats", "amount": 0}], "check": [{"limitKey": "history"}]}),
            vec!["consume[0].amount", "check[0].from"],
        ),
        (json!({"org": "acme"}), vec!["org"]),
    ];
    for (body, issues) in cases {
        let answer = product.authorize(body).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), issues);
    }
    for list in ["consume", "check"] {
        product.authorize(json!({list: [{"limitKey": "nothing"}]})).await.fails(404, "not_found");
        let gone = product.authorize(json!({list: [{"limitKey": "old"}]})).await;
        assert_eq!(gone.fails(410, "gone").body["meta"]["replacement"], "seats");
    }
    assert_eq!((product.left().await, product.used("requests").await), (60, 0));
    product.authorize(json!({"method": "A".repeat(32), "path": path(8_192)})).await.is(200);
}

#[tokio::test]
async fn a_platform_key_is_held_to_its_scopes_only() {
    let product = product().await;
    let (platform, id) = customer(&product.server, &json!({"scopes": ["read"]})).await;
    let answer = product.authorize(json!({"apiKey": platform, "method": "GET"})).await;
    let data = answer.is(200).data();
    assert_eq!((&data["allowed"], &data["org"], &data["key"]["id"]), (&json!(true), &Value::Null, &json!(id)));
    assert_eq!((&data["decisions"], &data["headers"]), (&json!([]), &json!({})));
    assert_eq!(decision(&product.authorize(json!({"apiKey": platform})).await), "insufficient_scope");
    let wanted =
        json!({"apiKey": platform, "method": "GET", "consume": [{"limitKey": "seats"}], "check": [{"limitKey": "sso"}]});
    assert_eq!(product.authorize(wanted).await.fails(400, "invalid_body").issues(), ["consume", "check"]);
}

#[tokio::test]
async fn an_orgs_caller_asks_about_its_own_keys_only() {
    let product = product().await;
    product.server.admin().put_org("globex", "free").await.is(201);
    let own = product.server.key(&["write"], Some("globex")).await;
    let (platform, _) = customer(&product.server, &json!({})).await;
    for foreign in [&product.customer, &platform] {
        let answer = own.post("/v1/authorize", json!({"apiKey": foreign, "method": "GET", "path": "/"})).await;
        assert_eq!((decision(&answer), &answer.data()["key"]), ("invalid_api_key", &Value::Null));
    }
    let answer = own.post("/v1/authorize", json!({"apiKey": own.secret(), "method": "POST", "path": "/"})).await;
    assert_eq!(decision(&answer), "allowed");
    assert_eq!(product.left().await, 60);
}

#[tokio::test]
async fn the_older_headers_come_by_a_setting() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_X_RATELIMIT_HEADERS", "true")).await;
    server.admin().put_catalog(&plan()).await.is(200);
    server.admin().put_org("acme", "free").await.is(201);
    let (customer, _) = customer(&server, &json!({"org": "acme"})).await;
    let answer = server.admin().post("/v1/authorize", json!({"apiKey": customer, "method": "GET", "path": "/"})).await;
    let headers = &answer.is(200).data()["headers"];
    assert_eq!((&headers["X-RateLimit-Limit"], &headers["X-RateLimit-Remaining"]), (&json!("60"), &json!("59")));
    assert!(headers["X-RateLimit-Reset"].as_str().is_some_and(|reset| reset.len() == 10), "{headers}");
}
