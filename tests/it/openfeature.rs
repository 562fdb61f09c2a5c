//! The official `OpenFeature` server SDK reads features and limits through its OFREP provider.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{ADMIN_KEY, Actor, Plimsoll, Setup};

/// Seconds that the SDK may take on a busy machine.
const PATIENCE: &str = "60";

/// Asks by the SDK, and gives back the details of each flag.
fn asked(server: &Plimsoll, asker: &Actor, questions: &Value) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("target/openfeature/node_modules");
    assert!(modules.is_dir(), "{} is missing, which .ci/test installs", modules.display());
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "node"]).arg(root.join("tests/openfeature/ask.cjs"));
    command.args([server.url(""), asker.secret().to_owned(), questions.to_string()]);
    // The way leads to this machine, whatever the environment says of proxies.
    let told = command.env("NODE_PATH", modules).env("NO_PROXY", "127.0.0.1").output().expect("node, which .ci/test installs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let answers: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    answers.as_array().expect("answers").clone()
}

fn flag(kind: &str, flag: &str, fallback: impl Into<Value>, org: &str) -> Value {
    let fallback = fallback.into();
    json!({"type": kind, "flag": flag, "fallback": fallback, "org": org})
}

/// A product with the quick start's plan, a feature beside it, and some usage.
async fn product() -> Plimsoll {
    let server = Plimsoll::on(Setup::new().serving_by("quickstart")).await;
    let admin = server.admin();
    admin.put_limit_key("sso", json!({"kind": "feature"})).await.is(201);
    admin.put_value("ultra", "sso", json!({"enabled": true})).await.is(201);
    let taking = json!({"org": "demo-free", "limitKey": "max_creators_per_org", "amount": 3});
    admin.post("/v1/consume", taking).await.is(200);
    server
}

#[tokio::test]
async fn the_sdk_reads_features_and_limits_with_the_facts_behind_them() {
    let server = product().await;
    let questions = json!([
        flag("boolean", "sso", true, "demo-free"),
        flag("boolean", "sso", false, "demo-ultra"),
        flag("number", "max_creators_per_org", 0, "demo-free"),
        flag("number", "stats_history_retention_days", 0, "demo-ultra"),
        flag("number", "min_video_stats_hours", 0, "demo-starter"),
    ]);
    let answers = asked(&server, &server.bearer(ADMIN_KEY), &questions);
    let values: Vec<&Value> = answers.iter().map(|answer| &answer["value"]).collect();
    assert_eq!(values, [&json!(false), &json!(true), &json!(5), &json!(9_007_199_254_740_991_u64), &json!(6)]);
    assert!(answers.iter().all(|answer| answer["errorCode"].is_null()), "{answers:?}");
    let variants: Vec<&str> = answers.iter().filter_map(|answer| answer["variant"].as_str()).collect();
    assert_eq!(variants, ["default", "ultra", "free", "ultra", "starter"]);
    assert_eq!([&answers[0]["reason"], &answers[1]["reason"]], ["STATIC", "TARGETING_MATCH"]);
    let creators = &answers[2]["flagMetadata"];
    assert_eq!([&creators["kind"], &creators["tier"], &creators["source"]], ["count", "free", "tier"]);
    assert_eq!([&creators["current"], &creators["remaining"]], [&json!(3), &json!(2)]);
    assert_eq!(answers[3]["flagMetadata"]["unlimited"], true);
    let own = server.key(&["read"], Some("demo-free")).await;
    assert_eq!(asked(&server, &own, &json!([flag("boolean", "sso", true, "demo-free")]))[0]["value"], false);
}

#[tokio::test]
async fn the_sdk_falls_back_on_what_the_product_says_and_knows_why() {
    let server = product().await;
    let own = server.key(&["read"], Some("demo-free")).await;
    let mut without_org = flag("boolean", "sso", true, "");
    without_org.as_object_mut().expect("an object").remove("org");
    let questions = json!([
        flag("boolean", "no_such_thing", true, "demo-free"),
        flag("boolean", "sso", true, "demo-ultra"),
        flag("boolean", "sso", true, "nobody"),
        without_org,
        flag("boolean", "max_creators_per_org", true, "demo-free"),
    ]);
    let answers = asked(&server, &own, &questions);
    let codes: Vec<&str> = answers.iter().filter_map(|answer| answer["errorCode"].as_str()).collect();
    assert_eq!(codes, ["FLAG_NOT_FOUND", "INVALID_CONTEXT", "INVALID_CONTEXT", "TARGETING_KEY_MISSING", "TYPE_MISMATCH"]);
    assert!(answers.iter().all(|answer| answer["value"] == true), "{answers:?}");
    let stranger = server.bearer(&format!("plm_{}", "0".repeat(64)));
    let refused = asked(&server, &stranger, &json!([flag("boolean", "sso", true, "demo-free")]));
    assert_eq!([&refused[0]["value"], &refused[0]["errorCode"]], [&json!(true), &json!("GENERAL")]);
}
