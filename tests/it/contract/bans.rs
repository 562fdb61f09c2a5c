//! Bans of orgs and users.

use serde_json::json;

use crate::harness::{Actor, Answer, Plimsoll};

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    server
}

async fn ask(actor: &Actor) -> Answer {
    actor.check(json!({"org": "acme", "limitKey": "seats", "current": 0})).await
}

#[tokio::test]
async fn a_ban_of_an_org_holds_from_the_next_question_on() {
    let server = product().await;
    let (platform, own) = (server.key(&["read"], None).await, server.key(&["read"], Some("acme")).await);
    for round in 0..3 {
        assert_eq!(ask(&platform).await.data()["decision"], "allowed");
        ask(&own).await.is(200);
        let banned = server.admin().post("/v1/admin/orgs/acme/ban", json!({"reason": format!("chargeback {round}")})).await;
        assert_eq!(
            (&banned.data()["banned"], banned.text_at("/data/banReason")),
            (&json!(true), &*format!("chargeback {round}"))
        );
        let answer = ask(&platform).await;
        assert_eq!((&answer.is(200).data()["allowed"], answer.text_at("/data/decision")), (&json!(false), "org_banned"));
        let refused = ask(&own).await;
        let body = r#"{"data":null,"error":"This organization is banned","meta":{"code":"org_banned"}}"#;
        assert_eq!((refused.status, refused.text.as_str()), (403, body));
        let enforced = platform.enforce(json!({"org": "acme", "limitKey": "seats"})).await;
        assert_eq!((enforced.status, enforced.text.as_str()), (403, body));
        let entitlements = platform.get("/v1/orgs/acme/entitlements").await;
        assert_eq!(entitlements.is(200).data()["banned"], true);
        server.admin().post("/v1/admin/orgs/acme/unban", json!({})).await.is(200);
    }
    ask(&own).await.is(200);
}

#[tokio::test]
async fn a_ban_of_a_user_refuses_the_users_keys() {
    let server = product().await;
    let admin = server.admin();
    let of = async |user: &str, org: Option<&str>| {
        let mut body = json!({"name": "x", "user": user});
        if let Some(org) = org {
            body["org"] = json!(org);
        }
        server.bearer(admin.create_key(&body).await.is(201).text_at("/data/key"))
    };
    let (jane, janes_other, joe) = (of("jane", Some("acme")).await, of("jane", None).await, of("joe", Some("acme")).await);
    for key in [&jane, &janes_other, &joe] {
        ask(key).await.is(200);
    }
    let banned = admin.post("/v1/admin/users/jane/ban", json!({"reason": "abuse"})).await;
    assert_eq!(banned.is(200).text_at("/data/banReason"), "abuse");
    for key in [&jane, &janes_other] {
        let answer = ask(key).await;
        assert_eq!(answer.fails(403, "user_banned").error(), "This user is banned");
    }
    ask(&joe).await.is(200);
    admin.request("POST", "/v1/admin/users/jane/unban").send().await.is(200);
    ask(&jane).await.is(200);
}

#[tokio::test]
async fn a_user_who_was_never_heard_of_is_not_banned_and_can_be() {
    let server = product().await;
    let admin = server.admin();
    let unknown = admin.get("/v1/admin/users/nobody@example.com").await;
    assert_eq!((unknown.text_at("/data/user"), &unknown.data()["banned"]), ("nobody@example.com", &json!(false)));
    admin.post("/v1/admin/users/nobody@example.com/unban", json!({})).await.is(200);
    admin.post("/v1/admin/users/nobody@example.com/ban", json!({})).await.is(200);
    let banned = admin.get("/v1/admin/users/nobody@example.com").await;
    assert!(banned.data()["banned"] == true && banned.data()["bannedAt"].is_string() && banned.data()["banReason"].is_null());
}

#[tokio::test]
async fn a_ban_stays_when_the_org_is_put_again() {
    let server = product().await;
    server.admin().post("/v1/admin/orgs/acme/ban", json!({})).await.is(200);
    let put = server.admin().put_org("acme", "free").await;
    assert_eq!(put.is(200).data()["banned"], true);
    server.admin().post("/v1/admin/orgs/nobody/ban", json!({})).await.fails(404, "not_found");
    server.admin().post("/v1/admin/orgs/nobody/unban", json!({})).await.fails(404, "not_found");
}

#[tokio::test]
async fn a_ban_may_come_without_a_body_but_not_with_a_wrong_one() {
    let server = product().await;
    let admin = server.admin();
    admin.request("POST", "/v1/admin/orgs/acme/ban").send().await.is(200);
    for (body, path) in
        [(json!({"reason": 5}), "reason"), (json!({"why": "x"}), "why"), (json!({"reason": "x".repeat(513)}), "reason")]
    {
        assert_eq!(admin.post("/v1/admin/orgs/acme/ban", body).await.fails(400, "invalid_body").issues(), [path]);
    }
}
