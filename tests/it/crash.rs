//! Crashes, lost answers, clocks that jump and disks that are full: usage stays what was granted.

mod clock;
mod disk;
mod killed;
pub(crate) mod load;
pub(crate) mod lost;
pub(crate) mod random;
mod release;

use serde_json::{Value, json};

use crate::harness::{Actor, Answer};

/// The tier `free`, a count and two quotas with so much room each, and these orgs. Answers the revision.
pub(crate) async fn set_up(admin: &Actor, max: u64, orgs: impl IntoIterator<Item = &str>) -> u64 {
    let limit_keys = json!({
        "seats": {"kind": "count", "default": {"max": max}},
        "daily": {"kind": "quota", "window": "day", "label": "API request", "default": {"max": max}},
        "monthly": {"kind": "quota", "window": "month", "label": "API request", "default": {"max": max}},
    });
    for (name, limit_key) in limit_keys.as_object().expect("an object") {
        admin.put_limit_key(name, limit_key.clone()).await.is(201);
    }
    let mut revision = admin.put_tier("free").await.is(201).revision();
    for org in orgs {
        revision = admin.put_org(org, "free").await.is(201).revision();
    }
    revision
}

pub(crate) fn taking(org: &str, limit_key: &str, amount: u64) -> Value {
    json!({"org": org, "limitKey": limit_key, "amount": amount})
}

/// Takes under an idempotency key.
pub(crate) async fn take_once(actor: &Actor, key: &str, body: &Value) -> Answer {
    actor.request("POST", "/v1/consume").header("Idempotency-Key", key).json(body).send().await
}

/// What is used and held, as a question is answered.
pub(crate) async fn current(actor: &Actor, org: &str, limit_key: &str) -> u64 {
    let answer = actor.check(json!({"org": org, "limitKey": limit_key})).await;
    answer.is(200).data()["current"].as_u64().expect("a number")
}
