//! The whole ladder: for every pair of refusals that can meet, which one wins; and each of them to the letter.

use serde_json::{Value, json};

use super::{Product, customer, plan};
use crate::harness::{Answer, Plimsoll};

/// What can be wrong with a request, in the order of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Revoked,
    OrgBanned,
    UserBanned,
    Removed,
    NoScope,
    WindowFull,
    QuotaUsedUp,
    CountReached,
    BeyondRetention,
    NotInPlan,
}

const ALL: [Wrong; 10] = [
    Wrong::Revoked,
    Wrong::OrgBanned,
    Wrong::UserBanned,
    Wrong::Removed,
    Wrong::NoScope,
    Wrong::WindowFull,
    Wrong::QuotaUsedUp,
    Wrong::CountReached,
    Wrong::BeyondRetention,
    Wrong::NotInPlan,
];

impl Wrong {
    /// The response to the customer, to the letter.
    fn response(self) -> (u16, &'static str) {
        match self {
            Self::Revoked => (401, r#"{"data":null,"error":"Invalid or expired API key","meta":{"code":"invalid_api_key"}}"#),
            Self::OrgBanned => (403, r#"{"data":null,"error":"This organization is banned","meta":{"code":"org_banned"}}"#),
            Self::UserBanned => (403, r#"{"data":null,"error":"This user is banned","meta":{"code":"user_banned"}}"#),
            Self::Removed => {
                (410, r#"{"data":null,"error":"This endpoint has been removed","meta":{"code":"gone","replacement":"/new"}}"#)
            }
            Self::NoScope => (
                403,
                r#"{"data":null,"error":"This action requires the 'write' scope. Granted: [read]","meta":{"code":"insufficient_scope","required":"write","granted":["read"]}}"#,
            ),
            Self::WindowFull => (
                429,
                r#"{"data":null,"error":"Rate limit exceeded","meta":{"code":"rate_limit_exceeded","bucket":"v1Api","retryAfter":60}}"#,
            ),
            Self::QuotaUsedUp => {
                (429, r#"{"data":null,"error":"Daily API request limit exceeded","meta":{"code":"rate_limit_exceeded"}}"#)
            }
            Self::CountReached => (
                402,
                r#"{"data":null,"error":"Limit reached: seats","meta":{"code":"limit_reached","limitKey":"seats","current":0,"max":0}}"#,
            ),
            Self::BeyondRetention => (402, ""),
            Self::NotInPlan => (
                402,
                r#"{"data":null,"error":"Feature not in plan: sso","meta":{"code":"feature_unavailable","limitKey":"sso"}}"#,
            ),
        }
    }

    /// Whether the response is this one.
    fn is(self, answer: &Answer) -> bool {
        let (status, body) = self.response();
        // The first day changes with the calendar.
        let is_body = if body.is_empty() { answer.code() == "retention_exceeded" } else { answer.text == body };
        answer.status == status && is_body
    }
}

/// An org of its own in which these are wrong, and the request of its customer.
async fn wronged(server: &Plimsoll, wrongs: &[Wrong]) -> Value {
    let has = |wrong| wrongs.contains(&wrong);
    let admin = server.admin();
    let org = wrongs.iter().map(|wrong| format!("{wrong:?}")).collect::<Vec<_>>().join("-");
    admin.put_org(&org, "free").await.is(201);
    let scopes = if has(Wrong::NoScope) { json!(["read"]) } else { json!(["read", "write"]) };
    let (secret, id) = customer(server, &json!({"org": org, "user": format!("user-of-{org}"), "scopes": scopes})).await;
    let limits = [
        (Wrong::WindowFull, "calls", json!({"max": 0})),
        (Wrong::QuotaUsedUp, "requests", json!({"max": 0})),
        (Wrong::CountReached, "seats", json!({"max": 0})),
        (Wrong::NotInPlan, "sso", json!({"enabled": false})),
    ];
    for (_, limit_key, value) in limits.into_iter().filter(|(wrong, ..)| has(*wrong)) {
        let wanted = json!({"limitKey": limit_key, "mode": "set", "value": value});
        admin.create_override(&org, &wanted).await.is(201);
    }
    if has(Wrong::Revoked) {
        admin.patch(&format!("/v1/admin/api-keys/{id}"), json!({"revoked": true})).await.is(200);
    }
    if has(Wrong::OrgBanned) {
        admin.post(&format!("/v1/admin/orgs/{org}/ban"), json!({})).await.is(200);
    }
    if has(Wrong::UserBanned) {
        admin.post(&format!("/v1/admin/users/user-of-{org}/ban"), json!({})).await.is(200);
    }
    let path = if has(Wrong::Removed) { "/creators/7/stats?x=y" } else { "/creators" };
    let mut check = Vec::new();
    if has(Wrong::BeyondRetention) {
        check.push(json!({"limitKey": "history", "from": "2020-01-01"}));
    }
    check.push(json!({"limitKey": "sso"}));
    json!({"apiKey": secret, "method": "POST", "path": path, "consume": [{"limitKey": "seats"}], "check": check})
}

async fn product() -> Plimsoll {
    let server = Plimsoll::start().await;
    server.admin().put_catalog(&plan()).await.is(200);
    let removed = json!({"method": "POST", "path": "/creators/{id}/stats", "replacement": "/new"});
    server.admin().post("/v1/admin/removed-endpoints", removed).await.is(201);
    server
}

#[tokio::test]
async fn each_refusal_is_answered_to_the_letter_and_of_every_pair_the_higher_one_wins() {
    let server = product().await;
    for (place, winner) in ALL.into_iter().enumerate() {
        for loser in ALL.into_iter().skip(place) {
            let request = wronged(&server, &[winner, loser]).await;
            let enforced = server.admin().post("/v1/authorize?enforce=true", request.clone()).await;
            assert!(winner.is(&enforced), "{winner:?} and {loser:?}: {} {}", enforced.status, enforced.text);
            // Asked again, it is the same; a full window stays full, and nothing else was taken.
            let answer = server.admin().post("/v1/authorize", request).await;
            let denial = &answer.is(200).data()["denial"];
            assert_eq!(
                (&denial["status"], &denial["body"]),
                (&json!(enforced.status), &enforced.body),
                "{winner:?} and {loser:?}"
            );
        }
    }
}

#[tokio::test]
async fn of_the_402s_the_first_listed_wins() {
    let server = product().await;
    let request = wronged(&server, &[Wrong::CountReached, Wrong::BeyondRetention, Wrong::NotInPlan]).await;
    let mut backwards = request.clone();
    backwards["check"].as_array_mut().expect("a list").reverse();
    backwards.as_object_mut().expect("an object").shift_remove("consume");
    let code = async |request: Value| server.admin().post("/v1/authorize", request).await.text_at("/data/decision").to_owned();
    assert_eq!(code(request).await, "limit_reached");
    assert_eq!(code(backwards).await, "feature_unavailable");
}

#[tokio::test]
async fn bans_removals_and_archived_limit_keys_take_effect_on_the_next_call_and_so_does_their_end() {
    let Product { server, asks, customer, .. } = super::product().await;
    let admin = server.admin();
    let next = async || {
        let request = json!({"apiKey": customer, "method": "POST", "path": "/creators/7/stats"});
        super::decision(&asks.post("/v1/authorize", request).await).to_owned()
    };
    assert_eq!(next().await, "allowed");
    for who in ["orgs/acme", "users/jane"] {
        admin.post(&format!("/v1/admin/{who}/ban"), json!({})).await.is(200);
        assert_eq!(next().await, if who == "orgs/acme" { "org_banned" } else { "user_banned" });
        admin.post(&format!("/v1/admin/{who}/unban"), json!({})).await.is(200);
        assert_eq!(next().await, "allowed");
    }
    let removed = admin.post("/v1/admin/removed-endpoints", json!({"method": "POST", "path": "/creators/{id}/stats"})).await;
    assert_eq!(next().await, "gone");
    admin.delete(&format!("/v1/admin/removed-endpoints/{}", removed.is(201).text_at("/data/id"))).await.is(200);
    assert_eq!(next().await, "allowed");
    admin.create_override("acme", &json!({"limitKey": "requests", "mode": "set", "value": {"max": 0}})).await.is(201);
    assert_eq!(next().await, "rate_limit_exceeded");
    admin.post("/v1/admin/limit-keys/requests/archive", json!({})).await.is(200);
    assert_eq!(next().await, "allowed", "what is archived is no longer taken");
    admin.delete("/v1/admin/orgs/acme").await.is(200);
    assert_eq!(next().await, "invalid_api_key", "a key of a deleted org is dead");
}
