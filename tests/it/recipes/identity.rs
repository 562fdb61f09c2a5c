//! What comes through to the product: the request as it was sent, and who it is from.

use serde_json::json;

use super::BOTH;
use super::front::{Front, answer, arrived, came_through};
use super::proxy::Kind;

#[tokio::test]
async fn the_product_learns_who_it_is_and_not_the_key() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read", "write"]).await;
        let passed = front.call(&customer, "GET", "/api/v1/creators?x=a%2Fb").await;
        assert_eq!(came_through(&passed), [&json!("GET"), &json!("/api/v1/creators?x=a%2Fb"), &json!("")], "{kind:?}");
        assert_eq!(arrived(&passed, "x-plimsoll-org"), ["acme"], "{kind:?}");
        assert_eq!(arrived(&passed, "x-plimsoll-key-id"), [&*customer.id], "{kind:?}");
        assert_eq!(arrived(&passed, "x-plimsoll-scopes"), ["read write"], "{kind:?}");
        assert_eq!(arrived(&passed, "x-forwarded-for"), ["127.0.0.1"], "{kind:?}");
        assert_eq!(arrived(&passed, "authorization"), [""; 0], "{kind:?}");
        assert!(passed.headers.keys().all(|name| !name.as_str().starts_with("x-plimsoll")), "{kind:?}: {:?}", passed.headers);
    }
}

#[tokio::test]
async fn a_customer_cannot_say_who_it_is() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        // A platform key has no org, so Plimsoll says none; whatever the customer says must not stand in for it.
        for (customer, org) in
            [(front.customer(&["read"]).await, vec!["acme"]), (front.server.key(&["read"], None).await, vec![])]
        {
            let mut request = front.request(&customer, "GET", "/");
            for name in ["X-Plimsoll-Org", "x-plimsoll-org", "X_Plimsoll_Org", "X-Plimsoll_Org"] {
                request = request.header(name, "globex");
            }
            request = request.header("X-Plimsoll-Key-Id", "key_forged").header("X-Plimsoll-Scopes", "admin");
            let passed = answer(request.header("X-Forwarded-For", "203.0.113.9")).await;
            assert_eq!(arrived(&passed, "x-forwarded-for"), ["127.0.0.1"], "{kind:?}");
            assert_eq!(arrived(&passed, "x-plimsoll-org"), org, "{kind:?}");
            assert_eq!(arrived(&passed, "x-plimsoll-key-id"), [&*customer.id], "{kind:?}");
            assert_eq!(arrived(&passed, "x-plimsoll-scopes"), ["read"], "{kind:?}");
            // Many products take an underscore for a hyphen.
            assert!(!passed.text.contains("globex"), "{kind:?}: {}", passed.text);
        }
    }
}

#[tokio::test]
async fn bodies_come_through_whole() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read", "write"]).await;
        for length in [1, 20_000, 900_000] {
            let body: String = ('a'..='z').cycle().take(length).collect();
            let passed = answer(front.request(&customer, "POST", "/api/v1/creators").body(body.clone())).await;
            assert!(came_through(&passed) == [&json!("POST"), &json!("/api/v1/creators"), &json!(body)], "{kind:?} {length}");
        }
    }
}

#[tokio::test]
async fn what_the_product_says_itself_stays_as_it_is() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        for status in [201, 401, 403, 404, 429, 500, 503] {
            let said = front.call(&customer, "GET", &format!("/status/{status}")).await;
            assert_eq!((said.status, &said.body["method"]), (status, &json!("GET")), "{kind:?}: {}", said.text);
            assert!(said.header("ratelimit").is_some(), "{kind:?}: it passed, and is counted");
        }
    }
}

#[tokio::test]
async fn many_scopes_come_through() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let scopes: Vec<String> = (0..63).map(|nth| format!("{:a<64}", format!("s{nth}"))).collect();
        for scope in &scopes {
            front.server.admin().put(&format!("/v1/admin/scopes/{scope}"), json!({})).await.is(201);
        }
        let granted: Vec<&str> = scopes.iter().map(String::as_str).chain(["read"]).collect();
        let passed = front.call(&front.customer(&granted).await, "GET", "/").await;
        let [scopes] = arrived(&passed, "x-plimsoll-scopes")[..] else { panic!("{kind:?}: {}", passed.text) };
        assert_eq!(scopes.split(' ').count(), 64, "{kind:?}");
    }
}

#[tokio::test]
async fn nobody_outside_reaches_the_question_of_nginx() {
    let front = Front::of(Kind::Nginx).await;
    let customer = front.customer(&["read"]).await;
    for target in ["/_plimsoll", "/%5fplimsoll", "//_plimsoll"] {
        assert_eq!(front.call(&customer, "GET", target).await.status, 404, "{target}");
    }
    assert_eq!(front.product.requests(), 0);
}

#[tokio::test]
async fn a_request_that_passed_is_no_tunnel_and_takes_nothing_from_what_is_said_of_it() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        let request = || front.request(&customer, "GET", "/");
        let upgrade = request().header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c");
        let upgrade = answer(upgrade.header("HTTP2-Settings", "AAMAAABkAAQAAP__")).await;
        if upgrade.status == 200 {
            let asked = arrived(&upgrade, "connection").join(" ").to_lowercase();
            assert!(!asked.contains("upgrade"), "{kind:?}: the product is asked for a tunnel: {asked}");
        } else {
            assert_eq!(upgrade.status, 400, "{kind:?}: {}", upgrade.text);
        }
        let named = answer(request().header("Connection", "X-Plimsoll-Org, X-Plimsoll-Key-Id")).await;
        assert_eq!(arrived(&named, "x-plimsoll-org"), ["acme"], "{kind:?}");
        let told = arrived(&named, "connection").join(" ").to_lowercase();
        assert!(!told.contains("plimsoll"), "{kind:?}: the next hop may drop what it names: {told}");
    }
}
