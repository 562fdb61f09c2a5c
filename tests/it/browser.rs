//! The OpenAPI UI as a person uses it, in a real Chromium.

mod chromium;
mod page;

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

use self::chromium::Chromium;
use self::page::{Operation, Page};
use crate::harness::{ADMIN_KEY, Plimsoll};

/// The longest that a whole visit may take on a busy machine; what was started ends with it.
const VISIT: Duration = Duration::from_secs(240);

/// Opens the page of a new server, which lives as long as the visit, and walks through it.
async fn visit<F: Future<Output = ()>>(walk: impl FnOnce(String, Page) -> F) {
    let server = Plimsoll::start().await;
    let walk = async {
        let page = Page::open(Chromium::start().await, server.url("/docs/")).await;
        walk(server.url("/"), page).await;
    };
    tokio::time::timeout(VISIT, walk).await.expect("a visit that ends in time");
}

#[tokio::test]
async fn the_page_asks_nothing_of_any_other_origin_and_breaks_no_policy_of_its_own() {
    visit(|origin, page| async move {
        page.operation("Tiers", "listTiers").unfold().await;
        let asked = page.chromium().requests().await;
        assert!(asked.iter().any(|url| url.ends_with("/openapi.json")), "the page reads the document: {asked:?}");
        // What is inside the browser or the page itself leaves neither.
        let leaves = |url: &&String| !url.starts_with("chrome:") && !url.starts_with("data:");
        let strangers: Vec<_> = asked.iter().filter(leaves).filter(|url| !url.starts_with(&origin)).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        assert_eq!(page.chromium().complaints().await, [] as [String; 0]);
        page.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_admin_enters_a_plan_in_the_page_and_sees_the_402_of_a_check_that_it_refuses() {
    visit(|_, page| async move {
        page.authorize(ADMIN_KEY).await;
        page.reload().await;
        assert!(page.is_authorized().await, "a reload keeps the key");

        let tier = page.operation("Tiers", "putTier").unfold().await;
        answered(&tier.fill("tier", "pro").await.body(&json!({"name": "Pro"})).await.execute().await, 201);

        let limit_key = page.operation("Limit keys", "putLimitKey").unfold().await;
        let limit_key = limit_key.fill("limitKey", "max_reports").await;
        answered(&limit_key.body(&json!({"kind": "count", "default": {"max": 0}})).await.execute().await, 201);

        let limit = page.operation("Tiers", "putTierLimit").unfold().await;
        let limit = limit.fill("tier", "pro").await.fill("limitKey", "max_reports").await;
        answered(&limit.body(&json!({"max": 3})).await.execute().await, 201);

        let org = page.operation("Orgs", "putOrg").unfold().await;
        answered(&org.fill("org", "acme").await.body(&json!({"tier": "pro"})).await.execute().await, 201);

        let question = json!({"org": "acme", "limitKey": "max_reports", "amount": 1, "current": 3});
        let check = page.operation("Asking", "check").unfold().await;
        let refused = check.choose("enforce", "true").await.body(&question).await.execute().await;
        let expected = json!({
            "data": null,
            "error": "Limit reached: max_reports",
            "meta": {"code": "limit_reached", "limitKey": "max_reports", "current": 3, "max": 3},
        });
        assert_eq!(refused, (402, expected));
        page.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_first_example_of_an_operation_stands_in_its_form_and_can_be_sent_as_it_is() {
    visit(|_, page| async move {
        page.authorize(ADMIN_KEY).await;
        let tier: Operation<'_> = page.operation("Tiers", "putTier").unfold().await;
        let (status, body) = tier.fill("tier", "pro").await.execute().await;
        assert_eq!((status, &body["data"]["name"]), (201, &json!("Pro")));
        page.close().await;
    })
    .await;
}

#[track_caller]
fn answered((status, body): &(u16, Value), expected: u16) {
    assert_eq!(*status, expected, "{body}");
}
