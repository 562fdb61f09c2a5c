//! `OpenFeature`'s Remote Evaluation Protocol: an org's features and limits as flags, without an envelope.

use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Plimsoll};

const FLAGS: &str = "/ofrep/v1/evaluate/flags";

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let plan = json!({
        "limitKeys": {
            "daily": {"kind": "quota", "window": "day", "default": {"max": 0}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "old": {"kind": "count", "archived": true},
            "per_project": {"kind": "count", "per": "project", "default": {"max": 2}},
            "refresh": {"kind": "interval", "unit": "hours", "default": {"min": 24}},
            "seats": {"kind": "count"},
            "sso": {"kind": "feature"},
            "v1": {"kind": "rate", "windowSeconds": 60, "default": {"max": 60}},
        },
        "tiers": {
            "free": {"limits": {"daily": {"max": 10}, "seats": {"max": 5}}},
            "ultra": {"limits": {"history": {"unlimited": true}, "seats": {"unlimited": true}, "sso": {"enabled": true}}},
        },
    });
    admin.put_catalog(&plan).await.is(200);
    admin.put_org("acme", "free").await.is(201);
    admin.put_org("globex", "ultra").await.is(201);
    server
}

fn about(org: &str) -> Value {
    json!({"context": {"targetingKey": org, "email": "jane@example.com", "custom": {"deep": [1]}}})
}

async fn evaluated(actor: &Actor, org: &str, key: &str) -> Answer {
    actor.post(&format!("{FLAGS}/{key}"), about(org)).await
}

#[tokio::test]
async fn a_flag_is_what_the_limit_key_is_for_the_org() {
    let server = product().await;
    let admin = server.admin();
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats", "amount": 2})).await.is(200);
    admin.post("/v1/reservations", json!({"org": "acme", "limitKey": "seats"})).await.is(201);
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "daily", "amount": 3})).await.is(200);
    let reads = server.key(&["read"], None).await;
    let unlimited = 9_007_199_254_740_991_u64;
    let table = [
        ("acme", "seats", json!(5), "TARGETING_MATCH", "free"),
        ("acme", "daily", json!(10), "TARGETING_MATCH", "free"),
        ("acme", "history", json!(30), "STATIC", "default"),
        ("acme", "per_project", json!(2), "STATIC", "default"),
        ("acme", "refresh", json!(24), "STATIC", "default"),
        ("acme", "sso", json!(false), "STATIC", "default"),
        ("acme", "v1", json!(60), "STATIC", "default"),
        ("globex", "sso", json!(true), "TARGETING_MATCH", "ultra"),
        ("globex", "seats", json!(unlimited), "TARGETING_MATCH", "ultra"),
        ("globex", "history", json!(unlimited), "TARGETING_MATCH", "ultra"),
    ];
    for (org, key, value, reason, variant) in table {
        let answer = evaluated(&reads, org, key).await;
        assert_eq!(answer.is(200).body["value"], value, "{org} {key}");
        let Value::Object(flag) = &answer.body else { panic!("{}", answer.text) };
        assert!(flag.keys().eq(["key", "value", "reason", "variant", "metadata"]), "{}", answer.text);
        assert_eq!([&flag["key"], &flag["reason"], &flag["variant"]], [key, reason, variant]);
        assert_eq!(flag["metadata"]["unlimited"], value == json!(unlimited), "{key}");
        assert_eq!(flag["metadata"]["source"], if reason == "STATIC" { "default" } else { "tier" });
        assert!(flag["metadata"].as_object().expect("facts").values().all(|fact| !fact.is_object() && !fact.is_null()));
    }
    let seats = evaluated(&reads, "acme", "seats").await;
    let facts = &seats.body["metadata"];
    assert_eq!([&facts["current"], &facts["held"], &facts["remaining"]], [&json!(3), &json!(1), &json!(2)]);
    assert_eq!([&facts["kind"], &facts["tier"], &facts["per"]], ["count", "free", "org"]);
    assert!(facts["revision"].as_u64().is_some_and(|revision| revision > 0));
    // The very figures of the check.
    let check = reads.check(json!({"org": "acme", "limitKey": "daily"})).await;
    let daily = evaluated(&reads, "acme", "daily").await;
    for fact in ["current", "remaining", "resetsAt", "revision", "tier", "source"] {
        assert_eq!(daily.body["metadata"][fact], check.data()[fact], "{fact}");
    }
    assert!(evaluated(&reads, "acme", "per_project").await.body["metadata"]["current"].is_null());
    assert_eq!(evaluated(&reads, "acme", "refresh").await.body["metadata"]["unit"], "hours");
}

#[tokio::test]
async fn an_override_shows_and_a_ban_leaves_nothing() {
    let server = product().await;
    let admin = server.admin();
    admin.create_override("acme", &json!({"limitKey": "sso", "mode": "set", "value": {"enabled": true}})).await.is(201);
    let given = evaluated(&admin_reader(&server).await, "acme", "sso").await;
    assert_eq!([&given.body["value"], &given.body["variant"]], [&json!(true), &json!("override")]);
    admin.post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let reads = admin_reader(&server).await;
    for (key, value) in [("sso", json!(false)), ("seats", json!(0)), ("history", json!(0)), ("refresh", json!(24))] {
        let banned = evaluated(&reads, "acme", key).await;
        assert_eq!([&banned.body["value"], &banned.body["reason"]], [&value, &json!("DISABLED")], "{key}");
        assert_eq!(banned.body["metadata"]["banned"], true);
    }
    let own = server.key(&["read"], Some("globex")).await;
    evaluated(&own, "globex", "sso").await.is(200);
    admin.post("/v1/admin/orgs/globex/ban", json!({})).await.is(200);
    assert_eq!(evaluated(&own, "globex", "sso").await.is(403).text_at("/errorCode"), "GENERAL");
}

async fn admin_reader(server: &Plimsoll) -> Actor {
    server.key(&["read"], None).await
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_words_of_the_protocol() {
    let server = product().await;
    let reads = admin_reader(&server).await;
    let own = server.key(&["read"], Some("acme")).await;
    for key in ["nothing", "old", "No%20Name", "x%00", "%C3%A9"] {
        let answer = evaluated(&reads, "acme", key).await;
        assert_eq!(answer.is(404).text_at("/errorCode"), "FLAG_NOT_FOUND", "{key}");
        assert!(!answer.text_at("/errorDetails").is_empty() && answer.body["key"].is_string());
    }
    let contexts = [
        (json!({}), "INVALID_CONTEXT"),
        (json!([]), "INVALID_CONTEXT"),
        (json!({"context": null}), "INVALID_CONTEXT"),
        (json!({"context": "acme"}), "INVALID_CONTEXT"),
        (json!({"context": {}}), "TARGETING_KEY_MISSING"),
        (json!({"context": {"targetingKey": null}}), "TARGETING_KEY_MISSING"),
        (json!({"context": {"targetingKey": ""}}), "TARGETING_KEY_MISSING"),
        (json!({"context": {"targetingKey": 5}}), "INVALID_CONTEXT"),
        (json!({"context": {"targetingKey": "a b"}}), "INVALID_CONTEXT"),
        (about("nobody"), "INVALID_CONTEXT"),
    ];
    for path in [FLAGS.to_owned(), format!("{FLAGS}/seats")] {
        for (context, expected) in &contexts {
            let answer = reads.post(&path, context.clone()).await;
            assert_eq!(answer.is(400).text_at("/errorCode"), *expected, "{context}");
            assert_eq!(answer.body["key"].is_null(), path == FLAGS);
        }
        let foreign = own.post(&path, about("globex")).await;
        assert_eq!(foreign.is(400).text_at("/errorCode"), "INVALID_CONTEXT");
        own.post(&path, about("acme")).await.is(200);
        let broken = async |kind: &str, text: &str| reads.request("POST", &path).bytes(kind, text).send().await;
        assert_eq!(broken("application/json", "{\"context\":").await.is(400).text_at("/errorCode"), "PARSE_ERROR");
        assert_eq!(broken("text/plain", "{}").await.is(415).text_at("/errorCode"), "PARSE_ERROR");
        let charset = broken("application/json; charset=utf-8", &about("acme").to_string()).await;
        assert_eq!(charset.is(200).header("content-type"), Some("application/json"));
        let anonymous = server.anonymous().post(&path, about("acme")).await;
        assert_eq!(anonymous.is(401).text_at("/errorCode"), "GENERAL");
        assert!(anonymous.header("www-authenticate").is_some());
    }
    let secret = format!("plm_{}", "a".repeat(64));
    assert!(!evaluated(&reads, "acme", &secret).await.is(404).text.contains(&secret), "a credential is not repeated");
}

#[tokio::test]
async fn too_many_bad_credentials_are_told_to_wait() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_FAILED_AUTH_PER_MINUTE", "1")).await;
    let unknown = server.bearer(&format!("plm_{}", "0".repeat(64)));
    evaluated(&unknown, "acme", "seats").await.is(401);
    let waits = evaluated(&unknown, "acme", "seats").await;
    assert_eq!(waits.is(429).text_at("/errorCode"), "GENERAL");
    assert!(waits.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{:?}", waits.headers);
}

#[tokio::test]
async fn all_flags_are_those_that_the_single_ones_are_and_unchanged_until_something_changes() {
    let server = product().await;
    let reads = admin_reader(&server).await;
    let all = reads.post(FLAGS, about("acme")).await;
    let flags = all.is(200).body["flags"].as_array().expect("flags").clone();
    let keys: Vec<&str> = flags.iter().filter_map(|flag| flag["key"].as_str()).collect();
    assert_eq!(keys, ["daily", "history", "per_project", "refresh", "seats", "sso", "v1"]);
    assert_eq!(all.body["metadata"], json!({"org": "acme", "tier": "free", "banned": false}));
    for flag in &flags {
        let mut single = evaluated(&reads, "acme", flag["key"].as_str().expect("a key")).await.body;
        single["metadata"].as_object_mut().expect("facts").remove("revision");
        assert_eq!(*flag, single);
    }
    let since = async |tag: &str| reads.request("POST", FLAGS).header("If-None-Match", tag).json(&about("acme")).send().await;
    let tag = all.etag().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), tag.trim_matches('"').to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = since(&known).await;
        assert_eq!((unchanged.is(304).text.as_str(), unchanged.etag()), ("", tag.as_str()), "{known}");
    }
    since("\"x\"").await.is(200);
    server.admin().put_org("initech", "free").await.is(201);
    since(&tag).await.is(304);
    server.admin().put_value("free", "sso", json!({"enabled": true})).await.is(201);
    let changed = since(&tag).await;
    assert_ne!(changed.is(200).etag(), tag);
    server.admin().post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    since(changed.etag()).await.is(200);
}

#[tokio::test]
async fn an_answer_is_as_fresh_as_it_is_asked_to_be() {
    let server = product().await;
    let reads = admin_reader(&server).await;
    for max in 6..10 {
        let revision = server.admin().put_value("free", "seats", json!({"max": max})).await.revision();
        let request = reads.request("POST", &format!("{FLAGS}/seats")).header("Plimsoll-At-Least", revision.to_string());
        assert_eq!(request.json(&about("acme")).send().await.is(200).body["value"], max);
    }
    let never = reads.request("POST", FLAGS).header("Plimsoll-At-Least", "999999").json(&about("acme")).send().await;
    assert_eq!(never.is(400).text_at("/errorCode"), "PARSE_ERROR");
}
