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

#[tokio::test]
async fn what_is_not_named_is_deleted_only_with_prune_and_what_is_in_use_not_even_then() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_catalog(&plan()).await.is(200);
    admin.put_org("acme", "free").await.is(201);
    admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await.is(200);
    let before = admin.get(PATH).await;
    for query in ["?prune=true", "?prune=true&dryRun=true"] {
        let refused = admin.put(&format!("{PATH}{query}"), json!({})).await;
        assert_eq!(refused.fails(409, "state_conflict").issues(), ["limitKeys.seats", "tiers.free"]);
    }
    let kept = json!({
        "limitKeys": {"seats": {"kind": "count", "default": {"max": 1}, "description": "Members"}},
        "tiers": {"free": {"name": "Free", "description": "To try it"}},
    });
    let asked = admin.put(&format!("{PATH}?prune=true&dryRun=true"), kept.clone()).await;
    let changes = asked.is(200).data()["changes"].as_array().expect("changes").clone();
    assert!(changes.iter().all(|change| change["action"] == "delete" && change["after"].is_null()), "{}", asked.text);
    assert_eq!((changes.len(), asked.etag()), (6 + 1 + 3, before.etag()));
    assert_eq!(admin.get(PATH).await.text, before.text);
    let pruned = admin.put(&format!("{PATH}?prune=true"), kept.clone()).await;
    assert_eq!(pruned.is(200).data()["changes"], json!(changes));
    let after = admin.get(PATH).await;
    assert_eq!((after.data()["limitKeys"].as_object().map(serde_json::Map::len), after.etag()), (Some(1), pruned.etag()));
    assert_eq!(after.data()["tiers"], json!({"free": {"name": "Free", "description": "To try it", "limits": {}}}));
    let check = admin.check(json!({"org": "acme", "limitKey": "seats", "current": 1})).await;
    assert_eq!((&check.data()["source"], &check.data()["max"]), (&json!("default"), &json!(1)));
    admin.check(json!({"org": "acme", "limitKey": "sso"})).await.fails(404, "not_found");
}

#[tokio::test]
async fn what_is_odd_is_a_warning_and_applied_all_the_same() {
    let server = Plimsoll::start().await;
    let odd = json!({
        "limitKeys": {
            "daily": {"kind": "quota", "window": "day", "perRequest": true},
            "projects": {"kind": "count"},
            "seats": {"kind": "count"},
            "spare": {"kind": "count"},
            "v1": {"kind": "rate", "windowSeconds": 60, "perRequest": true},
        },
        "tiers": {
            "free": {"limits": {"daily": {"max": 10}, "projects": {"max": 1}, "seats": {"max": 5}, "v1": {"max": 60}}},
            "pro": {"limits": {"daily": {"max": 1000}, "projects": {"max": 10}, "seats": {"max": 3}, "v1": {"unlimited": true}}},
        },
    });
    let expected = ["limitKeys.spare", "tiers.pro.limits.seats", "tiers.pro.limits.v1"];
    for query in ["?dryRun=true", "", "?prune=true"] {
        let answer = server.admin().put(&format!("{PATH}{query}"), odd.clone()).await;
        let warnings = answer.is(200).data()["warnings"].as_array().expect("warnings");
        let paths: Vec<&str> = warnings.iter().map(|warning| warning["path"].as_str().expect("a path")).collect();
        assert_eq!(paths, expected, "{query}");
        assert!(warnings.iter().all(|warning| warning["message"].as_str().is_some_and(|message| !message.is_empty())));
    }
}

#[tokio::test]
async fn the_version_of_the_catalogue_moves_with_it_and_with_nothing_else() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let put = admin.put_catalog(&plan()).await;
    let tag = put.is(200).etag().to_owned();
    admin.put_org("acme", "free").await.is(201);
    admin.create_key(&json!({"name": "x"})).await.is(201);
    assert_eq!(admin.get(PATH).await.etag(), tag);
    let conditional = async || {
        let request = admin.request("PUT", &format!("{PATH}?dryRun=true")).header("If-Match", &tag);
        request.json(&json!({"tiers": {"pro": {}}})).send().await
    };
    conditional().await.is(200);
    admin.put_value("free", "seats", json!({"max": 3})).await.is(200);
    assert_ne!(admin.get(PATH).await.etag(), tag);
    conditional().await.fails(412, "precondition_failed");
}

#[tokio::test]
async fn findings_of_every_sort_are_named_together_and_one_makes_no_other() {
    let server = Plimsoll::start().await;
    let wrong = json!({
        "limitKeys": {
            "history": {"kind": "retention", "default": {"max": 1}},
            "lost": {"kind": "count", "archived": true, "replacement": "nowhere"},
            "self": {"kind": "count", "archived": true, "replacement": "self"},
            "tall": {"kind": "count", "replacement": "history"},
        },
        "tiers": {"free": {"name": "x".repeat(65), "limits": {"history": {"days": 3}, "tall": {"days": 3}, "unheard_of": {"max": 1}}}},
    });
    let expected = [
        "limitKeys.history.default",
        "limitKeys.lost.replacement",
        "limitKeys.self.replacement",
        "limitKeys.tall.replacement",
        "tiers.free.limits.tall",
        "tiers.free.limits.unheard_of",
        "tiers.free.name",
    ];
    for query in ["", "?dryRun=true", "?prune=true"] {
        let answer = server.admin().put(&format!("{PATH}{query}"), wrong.clone()).await;
        let mut paths = answer.fails(400, "invalid_body").issues();
        paths.sort_unstable();
        assert_eq!(paths, expected, "{query}");
    }
    let archived = |replacement: &str| json!({"kind": "count", "archived": true, "replacement": replacement});
    let circle = json!({"limitKeys": {"a": archived("b"), "b": archived("a")}});
    for query in ["", "?dryRun=true"] {
        let answer = server.admin().put(&format!("{PATH}{query}"), circle.clone()).await;
        assert_eq!(answer.fails(400, "invalid_body").issues(), ["limitKeys.a.replacement", "limitKeys.b.replacement"]);
    }
    // One by one they go round in no circle either.
    server.admin().put_limit_key("a", json!({"kind": "count"})).await.is(201);
    server.admin().put_limit_key("b", archived("a")).await.is(201);
    let closing = server.admin().post("/v1/admin/limit-keys/a/archive", json!({"replacement": "b"})).await;
    assert_eq!(closing.fails(400, "invalid_body").issues(), ["replacement"]);
}
