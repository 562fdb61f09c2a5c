//! Lists: complete, stable, in pages.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Actor, Plimsoll};

/// The field that tells the items of a list apart.
const LISTS: [(&str, &str); 11] = [
    ("/v1/admin/limit-keys", "limitKey"),
    ("/v1/admin/tiers", "tier"),
    ("/v1/admin/tiers/free/limits", "limitKey"),
    ("/v1/admin/retention-windows", "limitKey"),
    ("/v1/admin/orgs", "org"),
    ("/v1/admin/orgs/o0/overrides", "id"),
    ("/v1/admin/scopes", "scope"),
    ("/v1/admin/api-keys", "id"),
    ("/v1/admin/removed-endpoints", "id"),
    ("/v1/admin/webhooks", "id"),
    ("/v1/orgs/o0/usage", "resource"),
];
const AUDIT: &str = "/v1/admin/audit";
const EACH: usize = 7;

async fn filled() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_tier("free").await.is(201);
    let per_project = json!({"kind": "count", "per": "project", "default": {"max": 1}});
    admin.put_limit_key("tasks", per_project).await.is(201);
    for n in 0..EACH {
        admin.put_limit_key(&format!("history{n}"), json!({"kind": "retention", "default": {"days": 1}})).await.is(201);
        admin.put_tier(&format!("tier{n}")).await.is(201);
        admin.put_value("free", &format!("history{n}"), json!({"days": n})).await.is(201);
        admin.put_org(&format!("o{n}"), "free").await.is(201);
        let wanted = json!({"limitKey": "history0", "mode": "add", "value": {"days": n}});
        admin.create_override("o0", &wanted).await.is(201);
        admin.put(&format!("/v1/admin/scopes/own{n}"), json!({})).await.is(201);
        admin.create_key(&json!({"name": format!("key {n}")})).await.is(201);
        let removed = json!({"method": "GET", "path": format!("/x/{n}")});
        admin.post("/v1/admin/removed-endpoints", removed).await.is(201);
        // Of events that do not happen here.
        let webhook = json!({"url": "https://example.com/", "types": ["user.unbanned"]});
        admin.post("/v1/admin/webhooks", webhook).await.is(201);
        admin.post("/v1/consume", json!({"org": "o0", "limitKey": "tasks", "resource": format!("p{n}")})).await.is(200);
    }
    server
}

/// Every item of a list, page by page.
async fn pages(actor: &Actor, path: &str, limit: usize) -> Vec<serde_json::Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = actor.get(&format!("{path}?limit={limit}{cursor}")).await;
        let found = page.is(200).items();
        assert!(found.len() <= limit);
        items.extend(found.iter().cloned());
        match page.body["meta"]["nextCursor"].as_str() {
            Some(next) => {
                assert_eq!(found.len(), limit, "only the last page is short");
                cursor = format!("&cursor={next}");
            }
            None => return items,
        }
        assert!(items.len() < 1_000, "{path} does not end");
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_list_in_the_same_order() {
    let server = filled().await;
    let admin = server.admin();
    for (path, field) in LISTS {
        let whole = admin.get(&format!("{path}?limit=100")).await;
        assert!(whole.items().len() >= EACH, "{path}");
        assert!(whole.body["meta"]["nextCursor"].is_null(), "{path}");
        let names: BTreeSet<&str> = whole.each(field).into_iter().collect();
        assert_eq!(names.len(), whole.items().len(), "{path} has duplicates");
        for limit in [1, 3, whole.items().len(), 100] {
            assert_eq!(pages(&admin, path, limit).await, whole.items(), "{path} by {limit}");
        }
        assert_eq!(admin.get(path).await.items(), whole.items(), "{path} without a limit");
    }
}

#[tokio::test]
async fn every_list_of_the_document_is_looked_at() {
    let server = Plimsoll::start().await;
    let takes_cursor = |operation: &&crate::harness::Operation| {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        // What is asked about by POST is no list, and is looked at in `what_if`; receipts are in `why`, deliveries in `webhooks`.
        let elsewhere = ["/v1/admin/decisions", "/v1/admin/webhooks/{id}/deliveries"];
        let is_elsewhere = operation.method != "GET" || elsewhere.contains(&operation.template.as_str());
        !is_elsewhere && parameters.iter().any(|parameter| parameter["name"] == "cursor")
    };
    let documented: BTreeSet<&str> =
        server.document().operations().iter().filter(takes_cursor).map(|operation| operation.template.as_str()).collect();
    let known = LISTS.iter().map(|(path, _)| *path).chain([AUDIT]);
    let known: BTreeSet<String> = known.map(|path| path.replace("/free/", "/{tier}/").replace("/o0/", "/{org}/")).collect();
    assert_eq!(documented, known.iter().map(String::as_str).collect());
}

#[tokio::test]
async fn the_audit_log_is_paged_newest_first() {
    let server = filled().await;
    let admin = server.admin();
    let whole = pages(&admin, AUDIT, 100).await;
    let revisions: Vec<u64> = whole.iter().map(|entry| entry["revision"].as_u64().expect("a revision")).collect();
    assert_eq!(revisions, (1..=revisions.len() as u64).rev().collect::<Vec<_>>(), "every change and no other");
    assert_eq!(pages(&admin, AUDIT, 7).await, whole);
}

#[tokio::test]
async fn what_comes_or_goes_between_two_pages_shifts_no_other_item() {
    let server = filled().await;
    let admin = server.admin();
    let first = admin.get("/v1/admin/tiers?limit=3").await;
    assert_eq!(first.each("tier"), ["free", "tier0", "tier1"]);
    admin.put_tier("a").await.is(201);
    admin.delete("/v1/admin/tiers/tier1").await.is(200);
    admin.put_tier("tier2b").await.is(201);
    let next = first.text_at("/meta/nextCursor");
    let second = admin.get(&format!("/v1/admin/tiers?limit=3&cursor={next}")).await;
    assert_eq!(second.each("tier"), ["tier2", "tier2b", "tier3"]);
}

#[tokio::test]
async fn a_page_has_fifty_items_when_nothing_is_said_and_a_hundred_at_most() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let tiers: serde_json::Map<_, _> = (0..101).map(|n| (format!("t{n:03}"), json!({}))).collect();
    admin.put_catalog(&json!({"tiers": tiers})).await.is(200);
    assert_eq!(admin.get("/v1/admin/tiers").await.items().len(), 50);
    assert_eq!(admin.get("/v1/admin/tiers?limit=100").await.items().len(), 100);
    for path in LISTS.iter().map(|(path, _)| *path).chain([AUDIT]) {
        for limit in ["0", "101", "-1", "x", "", "1.5", "+5", "18446744073709551617"] {
            let answer = admin.get(&format!("{path}?limit={}", limit.replace('+', "%2B"))).await;
            assert_eq!(answer.fails(400, "invalid_query").issues(), ["limit"], "{path} {limit}");
        }
    }
}

#[tokio::test]
async fn a_cursor_that_no_page_answered_is_a_400() {
    let server = filled().await;
    let admin = server.admin();
    for path in LISTS.iter().map(|(path, _)| *path).chain([AUDIT]) {
        for cursor in ["", "x", "0", "zz", "6", "FF", "ff", "00", &"61".repeat(300)] {
            let answer = admin.get(&format!("{path}?cursor={cursor}")).await;
            assert_eq!(answer.fails(400, "invalid_query").issues(), ["cursor"], "{path} {cursor}");
        }
    }
    // The form of a cursor, of a list whose keys have another.
    let answer = admin.get(&format!("{AUDIT}?cursor=66726565")).await;
    assert_eq!(answer.fails(400, "invalid_query").issues(), ["cursor"]);
}

#[tokio::test]
async fn orgs_are_filtered_by_tier_and_ban() {
    let server = filled().await;
    let admin = server.admin();
    admin.put_org("o1", "tier1").await.is(200);
    admin.put_org("o2", "tier1").await.is(200);
    admin.post("/v1/admin/orgs/o2/ban", json!({})).await.is(200);
    admin.post("/v1/admin/orgs/o3/ban", json!({"reason": "chargeback"})).await.is(200);
    let list = async |query: &str| {
        let answer = admin.get(&format!("/v1/admin/orgs?{query}")).await;
        answer.each("org").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("tier=tier1").await, ["o1", "o2"]);
    assert_eq!(list("banned=true").await, ["o2", "o3"]);
    assert_eq!(list("tier=tier1&banned=true").await, ["o2"]);
    assert_eq!(list("tier=tier1&banned=false").await, ["o1"]);
    assert_eq!(list("tier=tier6").await, [""; 0]);
    assert_eq!(list("banned=false&limit=2").await, ["o0", "o1"]);
    admin.get("/v1/admin/orgs?banned=1").await.fails(400, "invalid_query");
    admin.get("/v1/admin/orgs?tier=No").await.fails(400, "invalid_query");
}
