//! `Idempotency-Key`: the same request twice has one effect and one answer.

use serde_json::{Value, json};

use crate::harness::{ADMIN_KEY, Actor, Answer, Plimsoll, Setup};

const KEYS: &str = "/v1/admin/api-keys";

async fn post(actor: &Actor, path: &str, key: &str, body: &Value) -> Answer {
    actor.request("POST", path).header("Idempotency-Key", key).json(body).send().await
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn count_of_keys(server: &Plimsoll) -> usize {
    server.admin().get(KEYS).await.items().len()
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_was_and_does_nothing() {
    let server = Plimsoll::start().await;
    let body = json!({"name": "billing"});
    let first = post(&server.admin(), KEYS, "one", &body).await;
    assert!(first.is(201).header("idempotent-replayed").is_none());
    for _ in 0..3 {
        let again = post(&server.admin(), KEYS, "one", &body).await;
        assert_eq!((again.status, &again.text, again.etag()), (201, &first.text, first.etag()));
        assert!(is_replay(&again));
    }
    assert_eq!(count_of_keys(&server).await, 1);
    let another = post(&server.admin(), KEYS, "two", &body).await;
    assert_ne!(another.is(201).text_at("/data/id"), first.text_at("/data/id"));
    server.bearer(first.text_at("/data/key")).check(json!({"org": "x", "limitKey": "y"})).await.fails(404, "not_found");
}

#[tokio::test]
async fn a_repeated_request_is_replayed_after_a_restart() {
    let server = Plimsoll::start().await;
    let body = json!({"name": "billing"});
    let first = post(&server.admin(), KEYS, "one", &body).await;
    first.is(201);
    let server = Plimsoll::on(server.kill().setup).await;
    let again = post(&server.admin(), KEYS, "one", &body).await;
    assert_eq!((&again.text, is_replay(&again)), (&first.text, true));
    assert_eq!(count_of_keys(&server).await, 1);
}

#[tokio::test]
async fn another_body_or_another_route_under_the_same_key_is_a_409() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    post(&admin, KEYS, "one", &json!({"name": "billing"})).await.is(201);
    for body in [json!({"name": "other"}), json!({"name": "billing", "scopes": ["read"]})] {
        post(&admin, KEYS, "one", &body).await.fails(409, "idempotency_key_reused");
    }
    let spaced = admin.request("POST", KEYS).header("Idempotency-Key", "one");
    let spaced = spaced.bytes("application/json", "{ \"name\": \"billing\" }").send().await;
    spaced.fails(409, "idempotency_key_reused");
    post(&admin, "/v1/admin/users/jane/ban", "one", &json!({})).await.fails(409, "idempotency_key_reused");
    post(&admin, "/v1/admin/users/jane/ban", "two", &json!({})).await.is(200);
    post(&admin, "/v1/admin/users/joe/ban", "two", &json!({})).await.fails(409, "idempotency_key_reused");
    assert!(admin.get("/v1/admin/users/joe").await.data()["banned"] == false);
    assert_eq!(count_of_keys(&server).await, 1);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_effect() {
    let server = Plimsoll::start().await;
    for round in 0..5 {
        let callers = (0..12).map(|_| {
            let admin = server.admin();
            tokio::spawn(
                async move { post(&admin, KEYS, &format!("round {round}").replace(' ', "-"), &json!({"name": "x"})).await },
            )
        });
        let mut answers = Vec::new();
        for caller in callers.collect::<Vec<_>>() {
            answers.push(caller.await.expect("an answer"));
        }
        let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(made.iter().filter(|answer| !is_replay(answer)).count(), 1);
        assert!(made.iter().all(|answer| answer.text == made[0].text));
        for answer in refused {
            answer.fails(409, "idempotency_in_progress");
        }
        assert_eq!(count_of_keys(&server).await, round + 1);
    }
}

#[tokio::test]
async fn each_caller_has_keys_of_its_own() {
    let server = Plimsoll::start().await;
    let (one, two) = (server.key(&["admin"], None).await, server.key(&["admin"], None).await);
    let body = json!({"name": "billing"});
    let first = post(&one, KEYS, "same", &body).await;
    let second = post(&two, KEYS, "same", &body).await;
    assert!(!is_replay(second.is(201)) && first.text != second.text);
    let third = post(&server.admin(), KEYS, "same", &json!({"name": "another"})).await;
    assert!(!is_replay(third.is(201)));
    assert_eq!(post(&one, KEYS, "same", &body).await.text, first.text);
    assert_eq!(post(&two, KEYS, "same", &body).await.text, second.text);
}

#[tokio::test]
async fn who_may_no_longer_ask_gets_no_replay() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let body = json!({"name": "billing"});
    let demoted = server.key(&["read", "admin"], None).await;
    post(&demoted, KEYS, "one", &body).await.is(201);
    admin.patch(&format!("{KEYS}/{}", demoted.id), json!({"scopes": ["read"]})).await.is(200);
    post(&demoted, KEYS, "one", &body).await.fails(403, "insufficient_scope");
    admin.patch(&format!("{KEYS}/{}", demoted.id), json!({"revoked": true})).await.is(200);
    post(&demoted, KEYS, "one", &body).await.fails(401, "invalid_api_key");
    post(&server.anonymous(), KEYS, "one", &body).await.fails(401, "invalid_api_key");
}

#[tokio::test]
async fn a_refused_first_answer_is_replayed_too() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let ban = async || post(&admin, "/v1/admin/orgs/acme/ban", "early", &json!({})).await;
    let first = ban().await;
    first.fails(404, "not_found");
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    let again = ban().await;
    assert_eq!((again.fails(404, "not_found").text.as_str(), is_replay(&again)), (first.text.as_str(), true));
    assert_eq!(admin.get("/v1/admin/orgs/acme").await.data()["banned"], false);

    let removed = json!({"method": "GET", "path": "/x"});
    let path = "/v1/admin/removed-endpoints";
    let made = admin.post(path, removed.clone()).await;
    post(&admin, path, "twice", &removed).await.fails(409, "duplicate");
    admin.delete(&format!("{path}/{}", made.text_at("/data/id"))).await.is(200);
    let again = post(&admin, path, "twice", &removed).await;
    assert!(is_replay(again.fails(409, "duplicate")));
    assert_eq!(admin.get(path).await.items().len(), 0);
}

#[tokio::test]
async fn the_first_answer_to_a_taking_is_repeated_whatever_became_of_the_catalogue() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let routes = ["/v1/consume", "/v1/consume/batch", "/v1/reservations", "/v1/release"];
    let seats = json!({"org": "acme", "limitKey": "seats"});
    let items = json!({"org": "acme", "items": [{"limitKey": "seats"}]});
    let body_for = |route: &str| if route.ends_with("/batch") { items.clone() } else { seats.clone() };
    let ask = async |key: &str| {
        let mut answers = Vec::new();
        for route in routes {
            answers.push(post(&admin, route, &format!("{key}{}", route.replace('/', "-")), &body_for(route)).await);
        }
        answers
    };
    let too_early = ask("early").await;
    for answer in &too_early {
        answer.fails(404, "not_found");
    }
    admin.put_tier("free").await.is(201);
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 9}})).await.is(201);
    admin.put_org("acme", "free").await.is(201);
    for (first, again) in too_early.iter().zip(ask("early").await) {
        assert_eq!((again.status, &again.text, is_replay(&again)), (404, &first.text, true));
    }
    let in_time = ask("in-time").await;
    assert_eq!(in_time.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 201, 200]);
    admin.post("/v1/admin/limit-keys/seats/archive", json!({})).await.is(200);
    for (first, again) in in_time.iter().zip(ask("in-time").await) {
        assert_eq!((again.status, &again.text, is_replay(&again)), (first.status, &first.text, true));
    }
    for answer in ask("late").await {
        answer.fails(410, "gone");
    }
}

#[tokio::test]
async fn a_caller_with_too_many_keys_is_told_when_to_come_again() {
    let server = Plimsoll::on(Setup::new().variable("PLIMSOLL_IDEMPOTENCY_RECORDS", "2")).await;
    let (admin, body) = (server.admin(), json!({"name": "billing"}));
    for key in ["one", "two"] {
        post(&admin, KEYS, key, &body).await.is(201);
    }
    let refused = post(&admin, KEYS, "three", &body).await;
    let seconds = refused.fails(429, "rate_limit_exceeded").body["meta"]["retryAfter"].as_u64().expect("seconds");
    assert!((86_300..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("retry-after"), Some(seconds.to_string().as_str()));
    assert_eq!(refused.text_at("/meta/bucket"), "idempotency");
    assert!(is_replay(post(&admin, KEYS, "one", &body).await.is(201)));
    assert!(!is_replay(admin.post(KEYS, body.clone()).await.is(201)), "without a key there is nothing to keep");
    assert_eq!(count_of_keys(&server).await, 3);
}

#[tokio::test]
async fn a_malformed_key_is_a_400() {
    let server = Plimsoll::start().await;
    let ask = |key: Vec<u8>| server.admin().request("POST", KEYS).header("Idempotency-Key", key).json(&json!({"name": "x"}));
    for key in [Vec::new(), vec![b'k'; 256], b"a b".to_vec(), vec![0xe9]] {
        let answer = ask(key).send().await;
        assert_eq!(answer.fails(400, "invalid_params").issues(), ["Idempotency-Key"]);
    }
    ask(vec![b'k'; 255]).send().await.is(201);
    ask(b"!~{}/\"".to_vec()).send().await.is(201);
}

#[tokio::test]
async fn every_post_that_changes_something_takes_a_key() {
    let server = Plimsoll::start().await;
    let questions = ["check", "checkBatch", "evaluateFlag", "evaluateFlags", "whatIfLimit", "whatIfTier", "whatIfCatalog"];
    for operation in server.document().operations().iter().filter(|operation| operation.method == "POST") {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        let takes_key = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        assert_eq!(takes_key, !questions.contains(&operation.id.as_str()), "{}", operation.id);
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_secret_stands_in_the_database_in_clear() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let made = post(&admin, KEYS, "a-key-to-look-for", &json!({"name": "a name to look for"})).await;
    let first = made.is(201).text_at("/data/key").to_owned();
    let path = format!("{KEYS}/{}/rotate", made.text_at("/data/id"));
    let rotated = post(&admin, &path, "another-key-to-look-for", &json!({"overlapSeconds": 60})).await;
    let second = rotated.is(201).text_at("/data/key").to_owned();
    let setup = server.setup().clone();
    let look = || {
        let bytes = setup.bytes_at_rest();
        assert!(holds(&bytes, "a name to look for"), "these are the right files");
        for secret in [first.as_str(), &second, ADMIN_KEY] {
            assert!(!holds(&bytes, &secret[12..]), "a secret stands in the database in clear");
        }
        assert!(!holds(&bytes, "key-to-look-for"), "an idempotency key is kept as a hash");
    };
    look();
    let stopped = server.terminate();
    look();
    assert!(!stopped.stderr.contains(&first[12..]) && !stopped.stdout.contains(&first[12..]), "a secret is in the log");
    drop(stopped);
}
