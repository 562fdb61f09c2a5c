//! The catalogue as one document.

use serde_json::{Value, json};

use crate::harness::Plimsoll;

const PATH: &str = "/v1/admin/catalog";

fn plan() -> Value {
    json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 1}, "description": "Members"},
            "requests": {"kind": "quota", "window": "day", "label": "API request", "perRequest": true, "default": {"max": 0}},
            "v1": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "default": {"max": 60}},
            "history": {"kind": "retention", "default": {"days": 30}},
            "refresh": {"kind": "interval", "unit": "hours", "default": {"min": 6}},
            "sso": {"kind": "feature", "default": {"enabled": false}},
            "old": {"kind": "count", "per": "project", "default": {"unlimited": true}, "archived": true, "replacement": "seats"},
        },
        "tiers": {
            "free": {"name": "Free", "description": "To try it", "limits": {"seats": {"max": 2}}},
            "ultra": {"limits": {"history": {"unlimited": true}, "sso": {"enabled": true}}},
        },
    })
}

#[tokio::test]
async fn what_is_answered_can_be_put_and_changes_nothing() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let empty = admin.get(PATH).await;
    assert_eq!(empty.is(200).data(), &json!({"limitKeys": {}, "tiers": {}}));
    let first = admin.put_catalog(&plan()).await;
    assert_eq!(first.is(200).data()["changes"].as_array().map(Vec::len), Some(7 + 2 + 3));
    let exported = admin.get(PATH).await;
    let again = admin.put_catalog(exported.data()).await;
    assert_eq!((&again.is(200).data()["changes"], again.revision()), (&json!([]), first.revision()));
    assert_eq!(admin.get(PATH).await.text, exported.text);
    // On another server it makes the same catalogue.
    let other = Plimsoll::start().await;
    other.admin().put_catalog(exported.data()).await.is(200);
    assert_eq!(other.admin().get(PATH).await.text, exported.text);
}

#[tokio::test]
async fn a_dry_run_answers_the_difference_and_changes_nothing() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let revision = admin.put_catalog(&plan()).await.revision();
    let before = admin.get(PATH).await;
    let change = json!({
        "limitKeys": {"seats": {"kind": "count", "default": {"max": 9}}},
        "tiers": {"free": {"name": "Free", "description": "To try it", "limits": {"seats": {"max": 3}}}, "pro": {}},
    });
    let asked = admin.put(&format!("{PATH}?dryRun=true"), change.clone()).await;
    assert_eq!((&asked.is(200).data()["dryRun"], asked.revision()), (&json!(true), revision));
    let changes = asked.data()["changes"].as_array().expect("changes").clone();
    let named: Vec<String> = changes.iter().map(|one| format!("{} {}", one["action"], one["path"]).replace('"', "")).collect();
    assert_eq!(named, ["update limitKeys.seats", "update tiers.free.limits.seats", "create tiers.pro"]);
    assert_eq!((&changes[1]["before"], &changes[1]["after"]), (&json!({"max": 2}), &json!({"max": 3})));
    assert_eq!(admin.get(PATH).await.text, before.text);
    let applied = admin.put(&format!("{PATH}?dryRun=false"), change).await;
    assert_eq!((&applied.data()["changes"], &applied.data()["dryRun"]), (&json!(changes), &json!(false)));
    assert!(applied.revision() > revision);
}

#[tokio::test]
async fn what_a_document_does_not_name_stays() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_catalog(&plan()).await.is(200);
    admin.put_catalog(&json!({"tiers": {"free": {"name": "Free", "limits": {"sso": {"enabled": true}}}}})).await.is(200);
    let read = admin.get(PATH).await;
    assert_eq!(read.data()["limitKeys"].as_object().map(serde_json::Map::len), Some(7));
    assert_eq!(read.data()["tiers"]["free"]["limits"], json!({"seats": {"max": 2}, "sso": {"enabled": true}}));
}

#[tokio::test]
async fn every_finding_is_named_at_once_and_nothing_is_applied() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let malformed = json!({
        "limitKeys": {
            "Seats": {"kind": "count", "default": {"max": 1}},
            "a": {"kind": "count", "default": {"max": -1}},
            "b": {"kind": "nothing", "default": {"max": 1}},
            "c": {"kind": "count", "default": {"max": 1}, "surprise": true},
        },
        "tiers": {"free": {"limits": {"a": {"max": "5"}}, "surprise": 1}},
        "surprise": {},
    });
    let answer = admin.put_catalog(&malformed).await;
    let mut paths = answer.fails(400, "invalid_body").issues();
    paths.sort_unstable();
    let expected = [
        "limitKeys.Seats",
        "limitKeys.a.default.max",
        "limitKeys.b.kind",
        "limitKeys.c.surprise",
        "surprise",
        "tiers.free.limits.a.max",
        "tiers.free.surprise",
    ];
    assert_eq!(paths, expected, "{}", answer.text);

    let contradictory = json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 1}},
            "history": {"kind": "retention", "default": {"max": 1}},
            "requests": {"kind": "quota", "default": {"max": 1}},
        },
        "tiers": {"free": {"limits": {"seats": {"days": 1}, "nothing": {"max": 1}}}},
    });
    let answer = admin.put_catalog(&contradictory).await;
    let mut paths = answer.fails(400, "invalid_body").issues();
    paths.sort_unstable();
    let expected =
        ["limitKeys.history.default", "limitKeys.requests.window", "tiers.free.limits.nothing", "tiers.free.limits.seats"];
    assert_eq!(paths, expected, "{}", answer.text);
    assert_eq!(admin.get(PATH).await.data(), &json!({"limitKeys": {}, "tiers": {}}));
}

#[tokio::test]
async fn a_replacement_must_be_another_limit_key() {
    let server = Plimsoll::start().await;
    let of = |replacement: &str| json!({"limitKeys": {"a": {"kind": "count", "default": {"max": 1}, "archived": true, "replacement": replacement}}});
    for replacement in ["a", "nothing"] {
        let answer = server.admin().put_catalog(&of(replacement)).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), ["limitKeys.a.replacement"]);
    }
}
