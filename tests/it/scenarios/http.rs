//! Runs the scenarios over HTTP: each case asks for an org of its own, under the plan of its file.

use plimsoll::clock;
use serde_json::json;

use crate::harness::{Actor, Plimsoll};
use crate::scenarios::{Case, Held, Only, cases};

/// Whether everything that must be so before the question can be brought about over HTTP.
fn can_be_asked(case: &Case) -> bool {
    let holds_usage = case.usage.is_some_and(|Held { used, held }| used + held > 0);
    case.only != Some(Only::Pure) && !holds_usage && case.window.is_none()
}

#[tokio::test]
async fn every_scenario_holds_over_http() {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    let asked: Vec<Case> = cases().into_iter().filter(can_be_asked).collect();
    let mut failures = Vec::new();
    for file in asked.chunk_by(|one, other| one.plan == other.plan) {
        admin.put_catalog(&file[0].plan).await.is(200);
        for case in file {
            failures.extend(failure(&admin, case).await);
        }
        clear(&admin).await;
    }
    assert!(asked.len() >= 90, "only {} scenarios were asked", asked.len());
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n{}", failures.len(), asked.len(), failures.join("\n"));
}

async fn failure(admin: &Actor, case: &Case) -> Option<String> {
    let id = set_up(admin, case).await;
    let before = case.at(clock::now(), &id);
    let answer = admin.check(before.body.clone()).await;
    let found = before.mismatch(answer.status, &answer.body)?;
    // Midnight or a whole second may pass between the clock here and the one there: then what it says now counts.
    let after = case.at(clock::now(), &id);
    (after.body == before.body || after.mismatch(answer.status, &answer.body).is_some()).then_some(found)
}

/// Brings about what must be so before the question, and says what the org's API key is called.
async fn set_up(admin: &Actor, case: &Case) -> String {
    let org = &case.at(clock::now(), "").org;
    if !org.registered {
        return "key_1".to_owned();
    }
    let body = json!({"tier": org.tier, "scheduled": org.scheduled});
    admin.put(&format!("/v1/admin/orgs/{}", org.id), body).await.is(201);
    for wanted in &org.overrides {
        admin.create_override(&org.id, wanted).await.is(201);
    }
    let key = admin.create_key(&json!({"name": "a key of the org", "org": org.id})).await;
    if org.banned {
        admin.post(&format!("/v1/admin/orgs/{}/ban", org.id), json!({})).await.is(200);
    }
    key.is(201).text_at("/data/id").to_owned()
}

/// Deletes everything, in the order in which nothing is in use.
async fn clear(admin: &Actor) {
    for (list, field) in [("orgs", "org"), ("tiers", "tier"), ("limit-keys", "limitKey")] {
        let path = format!("/v1/admin/{list}");
        // What is archived may name another as its replacement, and so goes first.
        let mut items = admin.get(&format!("{path}?limit=100")).await.items().to_vec();
        items.sort_by_key(|item| item["replacement"].is_null());
        for item in items {
            admin.delete(&format!("{path}/{}", item[field].as_str().expect("a name"))).await.is(200);
        }
    }
}
