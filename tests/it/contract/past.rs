//! How things were: what was answered at a moment is answered of that moment for ever after.

use plimsoll::domain::time::UtcMillis;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use super::schedule::planned;
use crate::harness::{Actor, Answer, Plimsoll, Setup};
use crate::ledger::chance::Chance;
use crate::ledger::clock::SetClock;

const START: &str = "2027-03-01T12:00:00Z";
const HOUR: i64 = 3_600_000;
/// Moments that each run of the property looks at, each after a random change or none.
const MOMENTS: usize = 70;
/// `PAST_SEED=n` repeats one.
const SEEDS: std::ops::Range<u64> = 0..2;
const ORGS: [&str; 3] = ["o0", "o1", "o2"];
const TIERS: [&str; 3] = ["t0", "t1", "t2"];
const LIMIT_KEYS: [&str; 4] = ["seats", "calls", "days", "sso"];

fn time(millis: i64) -> String {
    UtcMillis::new(millis).to_string()
}

fn entitlements(org: &str, at: &str) -> String {
    format!("/v1/orgs/{org}/entitlements?at={at}")
}

/// The answer without what is not kept of usage.
fn without_usage(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    for entitlement in body.pointer_mut("/data/entitlements").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["current", "held", "remaining"] {
            entitlement[field] = Value::Null;
        }
    }
    (answer.status, body)
}

#[tokio::test]
async fn an_org_has_had_what_it_had() {
    let (_server, admin, clock) = planned(START).await;
    let start = clock.now();
    clock.set(start + HOUR);
    let body = json!({"tier": "ultra", "scheduled": [{"startsAt": time(start + 5 * HOUR), "tier": "free"}]});
    admin.put("/v1/admin/orgs/acme", body).await.is(201);
    clock.set(start + 2 * HOUR);
    let bonus = json!({"limitKey": "seats", "mode": "add", "value": {"max": 10}, "expiresAt": time(start + 4 * HOUR)});
    let path =
        format!("/v1/admin/orgs/acme/overrides/{}", admin.create_override("acme", &bonus).await.is(201).text_at("/data/id"));
    clock.set(start + 3 * HOUR);
    let revision = admin.put_value("ultra", "seats", json!({"max": 6})).await.is(200).revision();
    clock.set(start + 6 * HOUR);
    admin.delete(&path).await.is(200);
    admin.post("/v1/admin/orgs/acme/ban", json!({"reason": "x"})).await.is(200);
    clock.set(start + 7 * HOUR);
    admin.delete("/v1/admin/orgs/acme").await.is(200);
    admin.get("/v1/orgs/acme/entitlements").await.fails(404, "not_found");
    let seen = async |hours: i64| {
        let had = admin.get(&entitlements("acme", &time(start + hours * HOUR))).await;
        let seats = had.is(200).data()["entitlements"][0].clone();
        assert_eq!((&seats["limitKey"], &seats["current"], &seats["remaining"]), (&json!("seats"), &Value::Null, &Value::Null));
        (
            had.text_at("/data/tier").to_owned(),
            had.data()["banned"].clone(),
            seats["value"]["max"].clone(),
            seats["source"].clone(),
        )
    };
    let was = |tier: &str, banned: bool, max: u64, source: &str| (tier.to_owned(), json!(banned), json!(max), json!(source));
    assert_eq!(seen(1).await, was("ultra", false, 5, "tier"));
    assert_eq!(seen(2).await, was("ultra", false, 15, "override"));
    assert_eq!(seen(3).await, was("ultra", false, 16, "override"));
    assert_eq!(seen(4).await, was("ultra", false, 6, "tier"));
    assert_eq!(seen(5).await, was("free", false, 2, "tier"));
    assert_eq!(seen(6).await, was("free", true, 2, "tier"));
    assert_eq!(admin.get(&entitlements("acme", &time(start + 4 * HOUR))).await.data()["revision"], json!(revision));
    for hours in [0, 7, 8] {
        admin.get(&entitlements("acme", &time(start + hours * HOUR))).await.fails(404, "not_found");
    }
}

#[tokio::test]
async fn what_is_scheduled_is_answered_of_moments_to_come() {
    let (_server, admin, clock) = planned(START).await;
    let (start, change) = (clock.now(), clock.now() + HOUR);
    admin
        .put("/v1/admin/orgs/acme", json!({"tier": "ultra", "scheduled": [{"startsAt": time(change), "tier": "free"}]}))
        .await
        .is(201);
    let tier = async |at: i64| admin.get(&entitlements("acme", &time(at))).await.is(200).text_at("/data/tier").to_owned();
    assert_eq!(
        (tier(start).await, tier(change - 1).await, tier(change).await),
        ("ultra".into(), "ultra".into(), "free".into())
    );
    let now = admin.get("/v1/admin/catalog").await;
    let later = admin.get(&format!("/v1/admin/catalog?at={}", time(change))).await;
    assert_eq!((later.is(200).text.as_str(), later.etag()), (now.text.as_str(), now.etag()));
}

#[tokio::test]
async fn an_old_catalogue_can_be_looked_at_and_put_again() {
    let (_server, admin, clock) = planned(START).await;
    let before = admin.get("/v1/admin/catalog").await;
    let old = time(clock.now());
    clock.set(clock.now() + HOUR);
    let other =
        json!({"limitKeys": {"other": {"kind": "feature"}}, "tiers": {"pro": {"limits": {"other": {"enabled": true}}}}});
    admin.put("/v1/admin/catalog?prune=true", other).await.is(200);
    let then = admin.get(&format!("/v1/admin/catalog?at={old}")).await;
    assert_eq!((then.is(200).text.as_str(), then.etag()), (before.text.as_str(), before.etag()));
    admin.put("/v1/admin/catalog?prune=true", then.data().clone()).await.is(200);
    assert_eq!(admin.get("/v1/admin/catalog").await.text, before.text);
    let long_ago = admin.get("/v1/admin/catalog?at=2020-01-01T00:00:00Z").await;
    assert_eq!((long_ago.is(200).data(), long_ago.etag()), (&json!({"limitKeys": {}, "tiers": {}}), "\"0\""));
}

#[tokio::test]
async fn a_moment_is_a_timestamp_and_another_org_stays_unseen() {
    let (server, admin, clock) = planned(START).await;
    admin.put_org("acme", "free").await.is(201);
    admin.put_org("globex", "free").await.is(201);
    for at in ["yesterday", "2027-03-01", "2027-03-01T12:00:00%2B01:00", ""] {
        for path in ["/v1/orgs/acme/entitlements", "/v1/admin/catalog"] {
            assert_eq!(admin.get(&format!("{path}?at={at}")).await.fails(400, "invalid_query").issues(), ["at"]);
        }
    }
    let key = server.key(&["read"], Some("acme")).await;
    let now = time(clock.now());
    key.get(&entitlements("acme", &now)).await.is(200);
    key.get(&entitlements("globex", &now)).await.fails(404, "not_found");
    key.get(&format!("/v1/admin/catalog?at={now}")).await.fails(403, "insufficient_scope");
}

#[tokio::test]
async fn an_unregistered_org_had_the_default_tier_as_soon_as_there_was_one() {
    let (clock, setup) = SetClock::new(Setup::new(), UtcMillis::parse(START).expect("a timestamp").get());
    let server = Plimsoll::on(setup.variable("PLIMSOLL_DEFAULT_TIER", "free")).await;
    let (admin, start) = (server.admin(), clock.now());
    clock.set(start + HOUR);
    admin.put_tier("free").await.is(201);
    admin.get(&entitlements("nobody", &time(start))).await.fails(404, "not_found");
    assert_eq!(admin.get(&entitlements("nobody", &time(start + HOUR))).await.is(200).text_at("/data/tier"), "free");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_refused_with_the_moment_from_which_it_is() {
    let (clock, setup) = SetClock::new(Setup::embedded(), UtcMillis::parse(START).expect("a timestamp").get());
    let server = Plimsoll::on(setup).await;
    let start = clock.now();
    for (number, tier) in ["free", "pro", "ultra"].into_iter().enumerate() {
        clock.set(start + i64::try_from(number).expect("few") * HOUR);
        server.admin().put_tier(tier).await.is(201);
    }
    let setup = server.terminate().setup;
    let swept = Database::connect(format!("sqlite://{}", setup.database().display())).await.expect("a database");
    swept.execute_unprepared("DELETE FROM change_log WHERE revision = 1").await.expect("swept");
    swept.close().await.expect("closed");
    let server = Plimsoll::on(setup).await;
    let at = async |millis: i64| server.admin().get(&format!("/v1/admin/catalog?at={}", time(millis))).await;
    let refused = at(start + HOUR - 1).await;
    assert_eq!(refused.fails(400, "invalid_query").issues(), ["at"]);
    assert!(refused.text.contains(&format!("before {}", time(start + HOUR))), "{}", refused.text);
    let names = |answer: &Answer| answer.data()["tiers"].as_object().expect("tiers").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(at(start + HOUR).await.is(200)), ["free", "pro"]);
    assert_eq!(names(at(start + 2 * HOUR).await.is(200)), ["free", "pro", "ultra"]);
}

/// A server by a clock that stands still until it is set, which is changed at random.
struct World {
    server: Plimsoll,
    admin: Actor,
    clock: SetClock,
    chance: Chance,
}

/// What was answered at a moment.
struct Seen {
    at: String,
    orgs: Vec<(u16, Value)>,
    catalogue: (String, String),
}

impl World {
    fn tier(&mut self) -> &'static str {
        TIERS[self.chance.index(TIERS.len())]
    }

    fn limit_key(&mut self) -> &'static str {
        LIMIT_KEYS[self.chance.index(LIMIT_KEYS.len())]
    }

    /// A moment up to two days from now, and sometimes one that was.
    fn moment(&mut self) -> String {
        let millis = i64::try_from(self.chance.below(52)).expect("small") - 4;
        time(self.clock.now() + millis * HOUR)
    }

    /// A value, mostly of the kind that the limit key has.
    fn value(&mut self, limit_key: &str) -> Value {
        let number = self.chance.below(9);
        match limit_key {
            _ if self.chance.percent(5) => json!({"min": number}),
            "sso" => json!({"enabled": number > 4}),
            "days" if number > 0 => json!({"days": number}),
            "seats" | "calls" if number > 0 => json!({"max": number}),
            _ => json!({"unlimited": true}),
        }
    }

    fn scheduled_tiers(&mut self) -> Value {
        let mut moments: Vec<String> = (0..self.chance.below(3)).map(|_| self.moment()).collect();
        moments.sort_unstable();
        moments.into_iter().map(|starts_at| json!({"startsAt": starts_at, "tier": self.tier()})).collect()
    }

    fn scheduled_values(&mut self, limit_key: &str) -> Value {
        let mut moments: Vec<String> = (0..self.chance.below(3)).map(|_| self.moment()).collect();
        moments.sort_unstable();
        moments.into_iter().map(|starts_at| json!({"startsAt": starts_at, "value": self.value(limit_key)})).collect()
    }

    fn limit_key_body(&mut self, limit_key: &str) -> Value {
        match limit_key {
            "calls" => {
                json!({"kind": "quota", "window": *self.chance.pick(&["hour", "day", "month"]), "default": {"max": self.chance.below(5)}})
            }
            "days" => json!({"kind": "retention", "default": {"days": self.chance.below(5)}}),
            // Of one kind after another.
            "sso" if self.chance.percent(20) => json!({"kind": "count"}),
            "sso" => json!({"kind": "feature", "default": {"enabled": self.chance.percent(50)}}),
            _ => json!({"kind": "count", "default": {"max": self.chance.below(5)}}),
        }
    }

    fn document(&mut self) -> Value {
        let (mut limit_keys, mut tiers) = (json!({}), json!({}));
        for limit_key in LIMIT_KEYS {
            limit_keys[limit_key] = self.limit_key_body(limit_key);
        }
        for tier in TIERS {
            tiers[tier] = json!({"name": format!("{tier} {}", self.chance.below(3)), "limits": {}});
            for limit_key in LIMIT_KEYS {
                if self.chance.percent(60) {
                    let mut limit =
                        if limit_keys[limit_key]["kind"] == "count" { self.value("seats") } else { self.value(limit_key) };
                    if self.chance.percent(40) && limit_keys[limit_key]["kind"] != "count" {
                        limit["scheduled"] = self.scheduled_values(limit_key);
                    }
                    tiers[tier]["limits"][limit_key] = limit;
                }
            }
        }
        json!({"limitKeys": limit_keys, "tiers": tiers})
    }

    /// Some override of the org, if it has any.
    async fn some_override(&mut self, org: &str) -> String {
        let list = self.admin.get(&format!("/v1/admin/orgs/{org}/overrides")).await;
        let ids: Vec<String> =
            list.body["data"].as_array().into_iter().flatten().filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect();
        let id = if ids.is_empty() { "none".to_owned() } else { self.chance.pick(&ids).clone() };
        format!("/v1/admin/orgs/{org}/overrides/{id}")
    }

    /// Changes something, or tries to.
    async fn change(&mut self) -> Answer {
        let (org, tier, limit_key) = (*self.chance.pick(&ORGS), self.tier(), self.limit_key());
        let (of_org, of_tier) = (format!("/v1/admin/orgs/{org}"), format!("/v1/admin/tiers/{tier}"));
        let (of_key, of_limit) = (format!("/v1/admin/limit-keys/{limit_key}"), format!("{of_tier}/limits/{limit_key}"));
        match self.chance.below(100) {
            0..20 => {
                let scheduled = self.scheduled_tiers();
                self.admin.put(&of_org, json!({"tier": tier, "scheduled": scheduled})).await
            }
            20..25 => self.admin.delete(&of_org).await,
            25..32 => self.admin.post(&format!("{of_org}/{}", *self.chance.pick(&["ban", "unban"])), json!({})).await,
            32..47 => {
                let mode = *self.chance.pick(&["set", "add"]);
                let mut body =
                    json!({"limitKey": limit_key, "mode": mode, "value": self.value(limit_key), "startsAt": self.moment()});
                if self.chance.percent(60) {
                    body["expiresAt"] = json!(self.moment());
                }
                self.admin.create_override(org, &body).await
            }
            47..52 => {
                let path = self.some_override(org).await;
                self.admin.delete(&path).await
            }
            52..62 => {
                let value = self.value(limit_key);
                self.admin.put(&of_limit, value).await
            }
            62..65 => self.admin.delete(&of_limit).await,
            65..77 => {
                let scheduled = self.scheduled_values(limit_key);
                self.admin.put(&format!("{of_limit}/scheduled"), json!({"scheduled": scheduled})).await
            }
            77..83 => {
                let body = self.limit_key_body(limit_key);
                self.admin.put(&of_key, body).await
            }
            83..86 => self.admin.post(&format!("{of_key}/archive"), json!({})).await,
            86..88 => self.admin.delete(&of_key).await,
            88..90 => self.admin.delete(&of_tier).await,
            90..93 => self.admin.put(&of_tier, json!({"name": format!("{tier} {}", self.chance.below(3))})).await,
            _ => {
                let (prune, document) = (self.chance.percent(50), self.document());
                self.admin.put(&format!("/v1/admin/catalog?prune={prune}"), document).await
            }
        }
    }

    async fn look(&self) -> Seen {
        let mut orgs = Vec::new();
        for org in ORGS {
            orgs.push(without_usage(&self.admin.get(&format!("/v1/orgs/{org}/entitlements")).await));
        }
        let catalogue = self.admin.get("/v1/admin/catalog").await;
        Seen { at: time(self.clock.now()), orgs, catalogue: (catalogue.etag().to_owned(), catalogue.text) }
    }

    /// Whether a moment is remembered as it was seen.
    async fn is_remembered(&self, seen: &Seen, seed: u64) {
        for (org, then) in ORGS.iter().zip(&seen.orgs) {
            let told = self.admin.get(&entitlements(org, &seen.at)).await;
            assert_eq!((told.status, &told.body), (then.0, &then.1), "{org} at {}, PAST_SEED={seed}", seen.at);
        }
        let told = self.admin.get(&format!("/v1/admin/catalog?at={}", seen.at)).await;
        assert_eq!(
            (told.etag(), &told.text),
            (seen.catalogue.0.as_str(), &seen.catalogue.1),
            "at {}, PAST_SEED={seed}",
            seen.at
        );
    }
}

async fn every_moment_is_remembered(seed: u64) {
    let (clock, setup) = SetClock::new(Setup::new(), UtcMillis::parse(START).expect("a timestamp").get());
    let server = Plimsoll::on(setup.variable("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "0")).await;
    let mut world = World { admin: server.admin(), server, clock, chance: Chance::new(seed) };
    let (mut seen, mut done) = (vec![world.look().await], 0);
    let document = world.document();
    world.clock.set(world.clock.now() + 1);
    world.admin.put_catalog(&document).await;
    for _ in 0..MOMENTS {
        let next = if world.chance.percent(30) { 1 } else { i64::try_from(world.chance.below(6)).expect("small") * HOUR + 7 };
        world.clock.set(world.clock.now() + next);
        if world.chance.percent(80) {
            let answer = world.change().await;
            assert!(answer.status < 500, "{}", answer.text);
            done += usize::from(answer.status < 300);
        }
        seen.push(world.look().await);
    }
    assert!(done >= MOMENTS / 4, "only {done} changes were made, PAST_SEED={seed}");
    for seen in &seen {
        world.is_remembered(seen, seed).await;
    }
    drop(world.server);
}

#[expect(clippy::disallowed_methods, reason = "a seed to repeat is no setting of the product")]
fn seeds() -> std::ops::Range<u64> {
    std::env::var("PAST_SEED").map_or(SEEDS, |seed| {
        let seed: u64 = seed.parse().expect("a number");
        seed..seed + 1
    })
}

#[tokio::test]
async fn entitlements_and_the_catalogue_at_every_past_moment_are_what_was_answered_then() {
    for seed in seeds() {
        every_moment_is_remembered(seed).await;
    }
}
