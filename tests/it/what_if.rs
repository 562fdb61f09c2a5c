//! What-if names exactly those whom the real change then leaves over.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll};

/// How many random products, each on the same server.
const PRODUCTS: u32 = 60;
/// What is counted, and how.
const LIMIT_KEYS: [&str; 3] = ["calls", "seats", "tasks"];
const TIERS: [&str; 3] = ["t0", "t1", "t2"];
const ORGS: [&str; 5] = ["o0", "o1", "o2", "o3", "o4"];

/// An org, a limit key and a resource.
type Place = (String, String, Option<String>);

/// A catalogue: the defaults, and what each tier says.
#[derive(Clone, Debug)]
struct Values {
    defaults: Vec<Option<u64>>,
    tiers: Vec<Vec<Option<Option<u64>>>>,
}

#[derive(Clone, Debug)]
struct Customer {
    tier: usize,
    used: Vec<u64>,
    held: Vec<u64>,
    overrides: Vec<(usize, bool, Option<u64>)>,
}

#[derive(Clone, Debug)]
enum Change {
    Limit(Option<usize>, usize, Option<u64>),
    Tier(usize, usize),
    Catalog(Values),
}

fn caps() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![6 => (0..8_u64).prop_map(Some), 1 => Just(None)]
}

fn values() -> impl Strategy<Value = Values> {
    let of_tier = prop::collection::vec(prop::option::of(caps()), LIMIT_KEYS.len());
    (prop::collection::vec(caps(), LIMIT_KEYS.len()), prop::collection::vec(of_tier, TIERS.len()))
        .prop_map(|(defaults, tiers)| Values { defaults, tiers })
}

fn customers() -> impl Strategy<Value = Customer> {
    let amounts = || prop::collection::vec(0..8_u64, LIMIT_KEYS.len());
    let overrides = prop::collection::vec((0..LIMIT_KEYS.len(), any::<bool>(), caps()), 0..3);
    (0..TIERS.len(), amounts(), amounts().prop_map(|held| held.into_iter().map(|n| n.saturating_sub(5)).collect()), overrides)
        .prop_map(|(tier, used, held, overrides)| Customer { tier, used, held, overrides })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (prop::option::of(0..TIERS.len()), 0..LIMIT_KEYS.len(), caps()).prop_map(|(tier, key, cap)| Change::Limit(tier, key, cap)),
        1 => (0..ORGS.len(), 0..TIERS.len()).prop_map(|(org, tier)| Change::Tier(org, tier)),
        2 => values().prop_map(Change::Catalog),
    ]
}

fn value(cap: Option<u64>) -> Value {
    cap.map_or(json!({"unlimited": true}), |max| json!({"max": max}))
}

fn limit_key(key: usize, default: Option<u64>) -> Value {
    match LIMIT_KEYS[key] {
        // A month, so that hardly any run meets the end of one.
        "calls" => json!({"kind": "quota", "window": "month", "default": value(default)}),
        "tasks" => json!({"kind": "count", "per": "project", "default": value(default)}),
        _ => json!({"kind": "count", "default": value(default)}),
    }
}

fn document(values: &Values) -> Value {
    let limit_keys = values.defaults.iter().enumerate().map(|(key, cap)| (LIMIT_KEYS[key].to_owned(), limit_key(key, *cap)));
    let tiers = values.tiers.iter().zip(TIERS).map(|(caps, tier)| {
        let said = caps.iter().zip(LIMIT_KEYS).filter_map(|(cap, key)| Some((key.to_owned(), value((*cap)?))));
        (tier.to_owned(), json!({"limits": said.collect::<serde_json::Map<_, _>>()}))
    });
    json!({"limitKeys": limit_keys.collect::<serde_json::Map<_, _>>(), "tiers": tiers.collect::<serde_json::Map<_, _>>()})
}

fn resource(key: usize) -> Option<&'static str> {
    (LIMIT_KEYS[key] == "tasks").then_some("project-1")
}

fn about(org: &str, key: usize, more: &Value) -> Value {
    let mut body = json!({"org": org, "limitKey": LIMIT_KEYS[key]});
    let fields = body.as_object_mut().expect("an object");
    fields.extend(resource(key).map(|resource| ("resource".to_owned(), json!(resource))));
    fields.extend(more.as_object().expect("an object").clone());
    body
}

/// Makes the product, taking under a plan without limits what the plan will not allow. Answers the paths of the overrides.
async fn make(admin: &Actor, before: &Values, customers: &[Customer]) -> Vec<String> {
    let mut overrides = Vec::new();
    for org in ORGS {
        // It may be left of a product that did not hold.
        assert!([200, 404].contains(&admin.delete(&format!("/v1/admin/orgs/{org}")).await.status));
    }
    let generous = Values { defaults: vec![None; LIMIT_KEYS.len()], tiers: vec![vec![None; LIMIT_KEYS.len()]; TIERS.len()] };
    admin.put("/v1/admin/catalog?prune=true", document(&generous)).await.is(200);
    for (customer, org) in customers.iter().zip(ORGS) {
        admin.put_org(org, TIERS[customer.tier]).await.is(201);
        for key in 0..LIMIT_KEYS.len() {
            if customer.used[key] > 0 {
                admin.post("/v1/consume", about(org, key, &json!({"amount": customer.used[key]}))).await.is(200);
            }
            if customer.held[key] > 0 {
                let held = about(org, key, &json!({"amount": customer.held[key], "ttlSeconds": 3_600}));
                admin.post("/v1/reservations", held).await.is(201);
            }
        }
        for (key, is_set, cap) in &customer.overrides {
            let mode = if *is_set { "set" } else { "add" };
            let given = json!({"limitKey": LIMIT_KEYS[*key], "mode": mode, "value": value(*cap)});
            let made = admin.create_override(org, &given).await;
            overrides.push(format!("/v1/admin/orgs/{org}/overrides/{}", made.is(201).text_at("/data/id")));
        }
    }
    admin.put("/v1/admin/catalog?prune=true", document(before)).await.is(200);
    overrides
}

/// Every counter that is over, with its excess, as the usage of the orgs shows it.
async fn over(admin: &Actor) -> BTreeMap<Place, u64> {
    let mut over = BTreeMap::new();
    for org in ORGS {
        let usage = admin.get(&format!("/v1/orgs/{org}/usage?limit=100")).await;
        for counter in usage.is(200).items().iter().filter(|counter| counter["over"] == true) {
            let number = |field: &str| counter[field].as_u64().expect("a number");
            over.insert(place(org, counter), number("current") - number("max"));
        }
    }
    over
}

fn place(org: &str, counter: &Value) -> Place {
    let text = |field: &str| counter[field].as_str().map(str::to_owned);
    (org.to_owned(), text("limitKey").expect("a limit key"), text("resource"))
}

/// What would happen, asked page by page.
struct Foretold {
    over: BTreeMap<Place, u64>,
    already: BTreeSet<Place>,
    saved: BTreeMap<Place, (u64, Vec<String>)>,
    summary: Value,
}

async fn foretold(admin: &Actor, change: &Change) -> Foretold {
    let (path, body) = match change {
        Change::Limit(tier, key, cap) => {
            ("limit", json!({"tier": tier.map(|tier| TIERS[tier]), "limitKey": LIMIT_KEYS[*key], "value": value(*cap)}))
        }
        Change::Tier(org, tier) => ("tier", json!({"org": ORGS[*org], "tier": TIERS[*tier]})),
        Change::Catalog(values) => ("catalog", document(values)),
    };
    let prune = if path == "catalog" { "&prune=true" } else { "" };
    let (mut over, mut already, mut saved) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut cursor = String::new();
    loop {
        let page = admin.post(&format!("/v1/admin/what-if/{path}?limit=2{prune}{cursor}"), body.clone()).await;
        let orgs = page.is(200).data()["orgs"].as_array().expect("orgs");
        assert!(orgs.len() <= 2, "{}", page.text);
        for org in orgs {
            let name = org["org"].as_str().expect("an org");
            for limit in org["limits"].as_array().expect("limits") {
                let excess = limit["excess"].as_u64().expect("a number");
                if limit["over"] == true {
                    over.insert(place(name, limit), excess);
                    already.extend((limit["alreadyOver"] == true).then(|| place(name, limit)));
                } else {
                    let by = limit["savedBy"].as_array().expect("ids").iter();
                    saved.insert(place(name, limit), (excess, by.map(|id| id.as_str().expect("an id").to_owned()).collect()));
                }
            }
        }
        match page.body["meta"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Foretold { over, already, saved, summary: page.data().clone() },
        }
    }
}

async fn make_real(admin: &Actor, before: &Values, change: &Change) {
    match change {
        Change::Limit(Some(tier), key, cap) => {
            let answer = admin.put_value(TIERS[*tier], LIMIT_KEYS[*key], value(*cap)).await;
            assert!([200, 201].contains(&answer.status), "{}", answer.text);
        }
        Change::Limit(None, key, cap) => {
            admin.put_limit_key(LIMIT_KEYS[*key], limit_key(*key, *cap)).await.is(200);
        }
        Change::Tier(org, tier) => {
            admin.put_org(ORGS[*org], TIERS[*tier]).await.is(200);
        }
        Change::Catalog(values) => {
            assert_eq!(values.tiers.len(), before.tiers.len());
            admin.put("/v1/admin/catalog?prune=true", document(values)).await.is(200);
        }
    }
}

/// Whether a change is about this counter.
fn is_about(change: &Change, before: &Values, customers: &[Customer], (org, limit_key, _): &Place) -> bool {
    let position = ORGS.iter().position(|known| known == org).expect("an org");
    match change {
        Change::Limit(Some(tier), key, _) => customers[position].tier == *tier && LIMIT_KEYS[*key] == limit_key,
        Change::Limit(None, key, _) => before.tiers[customers[position].tier][*key].is_none() && LIMIT_KEYS[*key] == limit_key,
        Change::Tier(moved, _) => *moved == position,
        Change::Catalog(_) => true,
    }
}

async fn is_foretold(admin: &Actor, before: &Values, customers: &[Customer], change: &Change) {
    let overrides = make(admin, before, customers).await;
    let relevant = |all: BTreeMap<Place, u64>| -> BTreeMap<Place, u64> {
        all.into_iter().filter(|(place, _)| is_about(change, before, customers, place)).collect()
    };
    let now = over(admin).await;
    let told = foretold(admin, change).await;
    assert_eq!(over(admin).await, now, "asking changes nothing");
    make_real(admin, before, change).await;
    let then = relevant(over(admin).await);
    assert_eq!(told.over, then);
    let already: BTreeSet<Place> = then.keys().filter(|place| now.contains_key(*place)).cloned().collect();
    assert_eq!(told.already, already);
    let orgs_of = |places: &BTreeSet<Place>| places.iter().map(|(org, ..)| org.clone()).collect::<BTreeSet<_>>();
    let all: BTreeSet<Place> = then.keys().cloned().collect();
    let newly = orgs_of(&all).difference(&orgs_of(&already)).count();
    let figures = [orgs_of(&all).len() as u64, newly as u64, orgs_of(&told.saved.keys().cloned().collect()).len() as u64];
    assert_eq!(["over", "newlyOver", "saved"].map(|figure| told.summary[figure].as_u64().expect("a figure")), figures);
    assert_eq!(told.summary["excess"], json!(then.values().sum::<u64>()));
    // Without any override, those that are saved are over by as much as was said, and nobody else is beside those that are anyway.
    for path in &overrides {
        admin.delete(path).await.is(200);
    }
    let unsaved = relevant(over(admin).await).into_iter().filter(|(place, _)| !then.contains_key(place));
    let told_saved: BTreeMap<Place, u64> = told.saved.iter().map(|(place, (excess, _))| (place.clone(), *excess)).collect();
    assert_eq!(told_saved, unsaved.collect());
    let is_there = |id: &String| overrides.iter().any(|path| path.ends_with(id));
    assert!(told.saved.values().all(|(_, ids)| !ids.is_empty() && ids.iter().all(is_there)), "each is saved by an override");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_if_names_exactly_the_orgs_that_a_real_change_then_leaves_over() {
    let server = Plimsoll::with(|setup| setup.variable("PLIMSOLL_ADMIN_REQUESTS_PER_MINUTE", "0")).await;
    let admin = server.admin();
    let mut runner =
        TestRunner::new(Config { cases: PRODUCTS, failure_persistence: None, max_shrink_iters: 50, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    let products = (values(), prop::collection::vec(customers(), ORGS.len()), changes());
    let outcome = runner.run(&products, |(before, customers, change)| {
        tokio::task::block_in_place(|| handle.block_on(is_foretold(&admin, &before, &customers, &change)));
        Ok(())
    });
    outcome.expect("all of them, and no other");
}
