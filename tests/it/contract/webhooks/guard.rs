//! Whom a webhook may not reach.

use serde_json::json;

use super::{ban, made, planned, setup, until};
use crate::harness::{Plimsoll, Receiver, Setup};

#[tokio::test]
async fn what_is_not_of_the_public_internet_is_refused_when_it_is_entered() {
    let (_server, admin) = planned(Setup::new()).await;
    let id = made(&admin, json!({"url": "https://example.com/", "types": ["user.unbanned"]})).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[fd00::1]",
        "0.0.0.0",
        "2130706433",
    ] {
        let body = json!({"url": format!("http://{host}:8080/hook")});
        let refused = admin.post("/v1/admin/webhooks", body.clone()).await;
        assert_eq!(refused.fails(400, "invalid_body").issues(), ["url"], "{host}");
        assert_eq!(admin.patch(&format!("/v1/admin/webhooks/{id}"), body).await.fails(400, "invalid_body").issues(), ["url"]);
    }
    for url in ["ftp://example.com/", "https://user:password@example.com/", "example.com", ""] {
        let refused = admin.post("/v1/admin/webhooks", json!({"url": url, "types": []})).await;
        assert_eq!(refused.fails(400, "invalid_body").issues(), ["url", "types"], "{url}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    let receiver = Receiver::start().await;
    // It is entered while it is allowed, and then no longer is.
    let (server, admin) = planned(setup()).await;
    let named = made(&admin, json!({"url": format!("http://localhost:{}/", receiver.port())})).await;
    let numbered = made(&admin, json!({"url": receiver.url("/")})).await;
    let setup = server.kill().setup.without("PLIMSOLL_WEBHOOK_ALLOW_PRIVATE");
    let server = Plimsoll::on(setup).await;
    let admin = server.admin();
    ban(&admin, "acme").await;
    for id in [named, numbered] {
        let path = format!("/v1/admin/webhooks/{id}/deliveries");
        let told = until(&admin, &path, |told| told[0]["attempts"].as_u64() >= Some(1)).await;
        let error = told[0]["lastError"].as_str().expect("a reason");
        assert!(error.contains("loopback"), "{error}");
    }
    assert_eq!(receiver.received().len(), 0);
}
