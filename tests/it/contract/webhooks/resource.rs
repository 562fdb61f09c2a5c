//! Webhooks as a resource: versions, secrets, bounds, what is logged.

use serde_json::{Value, json};

use super::{ban, made, planned, setup, until};
use crate::harness::Receiver;

const PATH: &str = "/v1/admin/webhooks";

#[tokio::test]
async fn a_webhook_is_made_changed_and_deleted_like_every_resource() {
    let (_server, admin) = planned(setup()).await;
    let wanted = json!({"url": "http://127.0.0.1:9/", "types": ["org.unbanned", "org.banned"]});
    let request = || admin.request("POST", PATH).header("Idempotency-Key", "once").json(&wanted);
    let made = request().send().await;
    let id = made.is(201).text_at("/data/id").to_owned();
    assert_eq!(request().send().await.text, made.text, "done once, and the secret is told again");
    assert_eq!(admin.get(PATH).await.is(200).items().len(), 1);
    let path = format!("{PATH}/{id}");
    let found = admin.get(&path).await;
    assert_eq!(found.is(200).data()["types"], json!(["org.banned", "org.unbanned"]));
    assert_eq!((&found.data()["enabled"], &found.data()["org"]), (&json!(true), &Value::Null));
    let tag = found.etag().to_owned();
    let patched = admin.patch(&path, json!({"types": null, "org": "acme", "description": "Other"})).await;
    assert_eq!((&patched.is(200).data()["types"], &patched.data()["org"]), (&Value::Null, &json!("acme")));
    let stale = admin.request("PATCH", &path).header("If-Match", &tag).json(&json!({"org": null})).send().await;
    stale.fails(412, "precondition_failed");
    let same = admin.patch(&path, json!({"org": "acme"})).await;
    assert_eq!(same.etag(), patched.etag(), "what stays as it is has no new version");
    let disabled = admin.post(&format!("{path}/disable"), json!({})).await;
    assert_eq!((&disabled.is(200).data()["enabled"], &disabled.data()["disabledBecause"]), (&json!(false), &json!("admin")));
    admin.delete(&path).await.is(200);
    admin.get(&path).await.fails(404, "not_found");
    admin.get(&format!("{path}/deliveries")).await.fails(404, "not_found");
    let audit = admin.get("/v1/admin/audit?object=webhook").await.is(200).items().to_vec();
    let actions: Vec<&str> = audit.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["delete", "disable", "update", "create"]);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_an_older_one_signs_until_the_overlap_ends() {
    let receiver = Receiver::start().await;
    let (server, admin) = planned(setup().variable("PLIMSOLL_LOG", "trace")).await;
    let made = admin.post(PATH, json!({"url": receiver.url("/")})).await;
    let (id, first) = (made.is(201).text_at("/data/id").to_owned(), made.text_at("/data/secret").to_owned());
    let rotate = format!("{PATH}/{id}/rotate-secret");
    let rotated = admin.post(&rotate, json!({"overlapSeconds": 3})).await;
    let second = rotated.is(201).text_at("/data/secret").to_owned();
    assert_ne!(first, second);
    ban(&admin, "acme").await;
    let received = receiver.wait_for(1).await;
    assert_eq!(received[0].headers["webhook-signature"].split(' ').count(), 2, "both sign");
    let mut signatures = 2;
    while signatures == 2 {
        let before = receiver.received().len();
        admin.post(&format!("{PATH}/{id}/test"), json!({})).await.is(200);
        signatures = receiver.wait_for(before + 1).await[before].headers["webhook-signature"].split(' ').count();
    }
    for expected in 2..=5 {
        let again = admin.post(&rotate, json!({"overlapSeconds": 60})).await;
        assert_eq!(again.is(201).status, 201, "{expected}");
    }
    admin.post(&rotate, json!({})).await.fails(409, "state_conflict");
    let refused = admin.post(&rotate, json!({"overlapSeconds": 2_592_001})).await;
    assert_eq!(refused.fails(400, "invalid_body").issues(), ["overlapSeconds"]);
    let mut texts = vec![admin.get(PATH).await.text, admin.get(&format!("{PATH}/{id}")).await.text];
    texts.push(admin.get("/v1/admin/audit?limit=100").await.text);
    texts.push(admin.get(&format!("{PATH}/{id}/deliveries")).await.text);
    texts.push(server.terminate().stderr);
    for (place, text) in texts.iter().enumerate() {
        assert!(!text.contains("whsec_") && !text.contains(&first[6..]) && !text.contains(&second[6..]), "{place}");
    }
}

#[tokio::test]
async fn where_there_is_a_key_no_secret_is_stored_as_it_is() {
    let receiver = Receiver::start().await;
    let key = "a key of the settings, of 32 characters";
    let (server, admin) = planned(setup().variable("PLIMSOLL_WEBHOOK_KEY", key)).await;
    made(&admin, json!({"url": receiver.url("/")})).await;
    let secret = admin.post(PATH, json!({"url": receiver.url("/")})).await.is(201).text_at("/data/secret").to_owned();
    ban(&admin, "acme").await;
    receiver.wait_for(2).await;
    let setup = server.terminate().setup;
    let secret = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &secret[6..]).expect("base64");
    let at_rest = setup.bytes_at_rest();
    assert!(!at_rest.windows(secret.len()).any(|window| window == secret));
    let other = setup.variable("PLIMSOLL_WEBHOOK_KEY", "another key, which also has 32 characters");
    let server = crate::harness::Plimsoll::on(other).await;
    let said = server.stderr.wait_for(super::DEADLINE, |line| line.contains("PLIMSOLL_WEBHOOK_KEY").then_some(()));
    assert!(said.is_some(), "that nothing can be signed is said");
}

#[tokio::test]
async fn there_are_so_many_webhooks_and_no_more() {
    let (_server, admin) = planned(setup()).await;
    for number in 0..64 {
        made(&admin, json!({"url": format!("http://127.0.0.1:9/{number}"), "types": ["user.unbanned"]})).await;
    }
    let one_more = json!({"url": "http://127.0.0.1:9/"});
    admin.post(PATH, one_more).await.fails(409, "state_conflict");
}

#[tokio::test]
async fn deliveries_are_filtered_and_paged_newest_first() {
    let receiver = Receiver::start().await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/")})).await;
    for org in ["acme", "globex", "initech"] {
        ban(&admin, org).await;
    }
    super::unban(&admin, "acme").await;
    let path = format!("{PATH}/{id}/deliveries");
    let all = until(&admin, &format!("{path}?state=delivered"), |told| told.as_array().map(Vec::len) == Some(4)).await;
    let ids = |told: &Value| told.as_array().expect("a list").iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{path}?limit=3{cursor}")).await;
        paged.extend(ids(page.is(200).data()));
        let Some(next) = page.body["meta"]["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, ids(&all));
    let count = async |query: &str| super::deliveries(&admin, &id, query).await.len();
    assert_eq!(count("org=acme").await, 2);
    assert_eq!(count("type=org.banned").await, 3);
    assert_eq!(count("type=org.banned&org=acme&state=delivered").await, 1);
    assert_eq!(count("state=failed").await, 0);
    for (query, name) in [("state=lost", "state"), ("type=nothing", "type"), ("limit=0", "limit"), ("cursor=x", "cursor")] {
        let refused = admin.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.fails(400, "invalid_query").issues(), [name]);
    }
}

#[tokio::test]
async fn what_was_missed_may_be_left_out() {
    let receiver = Receiver::start().await;
    let (_server, admin) = planned(setup()).await;
    let id = made(&admin, json!({"url": receiver.url("/"), "types": ["org.banned", "org.unbanned"]})).await;
    admin.post(&format!("{PATH}/{id}/disable"), json!({})).await.is(200);
    ban(&admin, "acme").await;
    admin.get("/v1/admin/events").await.is(200);
    admin.post(&format!("{PATH}/{id}/enable"), json!({"skipMissed": true})).await.is(200);
    super::unban(&admin, "acme").await;
    let received = receiver.wait_for(1).await;
    assert_eq!(received[0].kind(), "org.unbanned");
}
