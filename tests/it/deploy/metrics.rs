//! The alerts and the dashboard ask for what a running process has to tell.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{document, words};
use crate::harness::Plimsoll;

/// Told only when it has happened: a test cannot easily fill the memory of the sliding windows.
const RARE: [&str; 1] = ["plimsoll_limiter_full_total"];
/// Labels that whoever scrapes adds.
const ADDED: [&str; 2] = ["job", "instance"];

/// Every query of the alerts and the dashboard.
fn queries() -> Vec<String> {
    let mut found = Vec::new();
    for name in ["prometheus/alerts.yaml", "grafana/plimsoll.json"] {
        let before = found.len();
        collect(&document(name), &mut found);
        assert!(found.len() > before + 5, "{name} was not understood");
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| collect(item, found));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        if let (Some(text), "expr" | "query") = (member.as_str(), name.as_str()) {
            found.push(text.to_owned());
        }
        collect(member, found);
    }
}

/// A metric in a query, and the labels that it must have: with a value if that must be equal.
#[derive(Debug)]
struct Selected {
    name: String,
    labels: Vec<(String, Option<String>)>,
}

fn selected(query: &str) -> Vec<Selected> {
    let of = |name: &str| -> Vec<Selected> {
        let after = query.match_indices(name).map(|(at, _)| &query[at + name.len()..]);
        let whole = after.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
        let select = |rest: &str| {
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            Selected { name: name.to_owned(), labels: labels(matchers) }
        };
        whole.map(select).collect()
    };
    words(query, "plimsoll_").into_iter().flat_map(of).collect()
}

fn labels(matchers: &str) -> Vec<(String, Option<String>)> {
    let each = matchers.split(',').filter(|matcher| !matcher.trim().is_empty()).map(|matcher| {
        let (name, value) = matcher.split_once('=').expect("a matcher");
        let is_equal = !name.ends_with('!') && !value.starts_with('~');
        let value = value.trim_start_matches('~').trim_matches('"').to_owned();
        (name.trim_end_matches('!').trim().to_owned(), is_equal.then_some(value))
    });
    each.filter(|(name, _)| !ADDED.contains(&name.as_str())).collect()
}

/// The labels that a query sums by: a metric that does not have them would be one line without a name.
fn grouped(query: &str) -> Vec<(String, Option<String>)> {
    let lists = query.match_indices("by (").filter_map(|(at, _)| query[at + 4..].split(')').next());
    let names = lists.flat_map(|list| list.split(',')).map(str::trim).filter(|name| !ADDED.contains(name));
    names.map(|name| (name.to_owned(), None)).collect()
}

/// Whether a process tells something that this selects.
fn is_told(selected: &Selected, told: &str) -> bool {
    told.lines().filter(|line| !line.starts_with('#')).any(|line| {
        let Some(rest) = line.strip_prefix(selected.name.as_str()) else { return false };
        rest.starts_with(['{', ' '])
            && selected.labels.iter().all(|(name, value)| match value {
                Some(value) => rest.contains(&format!("{name}=\"{value}\"")),
                None => rest.contains(&format!("{name}=\"")),
            })
    })
}

/// A process that was used a bit.
async fn used() -> Plimsoll {
    let server = Plimsoll::start().await;
    let admin = server.admin();
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 1}})).await.is(201);
    admin.put_tier("free").await.is(201);
    admin.put_org("acme", "free").await.is(201);
    for allowed in [true, false] {
        let answer = admin.post("/v1/consume", json!({"org": "acme", "limitKey": "seats"})).await;
        assert_eq!(answer.is(200).data()["allowed"], allowed);
    }
    server
}

#[tokio::test]
async fn every_metric_and_label_that_is_asked_for_is_told() {
    let server = used().await;
    let told = server.anonymous().get("/metrics").await.is(200).text.clone();
    let described = include_str!("../../../src/telemetry.rs");
    let mut asked = BTreeSet::new();
    for query in queries() {
        let grouped = grouped(&query);
        for mut selected in selected(&query) {
            selected.labels.extend(grouped.clone());
            let is_rare = RARE.contains(&selected.name.as_str())
                && described.contains(&format!("describe_counter!(\"{}\"", selected.name));
            assert!(is_rare || is_told(&selected, &told), "{query}\nasks for {selected:?}, of which nothing is told:\n{told}");
            asked.insert(selected.name);
        }
    }
    let of_histogram = |name: &str| ["_bucket", "_sum", "_count"].iter().any(|part| asked.contains(&format!("{name}{part}")));
    let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE plimsoll_")?.split(' ').next());
    let forgotten: Vec<String> =
        types.map(|name| format!("plimsoll_{name}")).filter(|name| !asked.contains(name) && !of_histogram(name)).collect();
    assert!(forgotten.is_empty(), "nobody looks at {forgotten:?}");
}

#[test]
fn a_query_is_taken_apart_into_what_it_asks_for() {
    let query = "sum by (le) (rate(plimsoll_a_bucket{job=\"p\",status=\"5xx\",kind!=\"x\",way=~\".*\"}[5m])) / plimsoll_a > 1";
    let found = selected(query);
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["plimsoll_a", "plimsoll_a_bucket"]);
    assert!(found[0].labels.is_empty());
    let expected = [("status", Some("5xx")), ("kind", None), ("way", None)];
    assert_eq!(found[1].labels, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    assert!(
        is_told(&found[0], "plimsoll_a 1") && !is_told(&found[0], "plimsoll_ab 1") && !is_told(&found[0], "# plimsoll_a 1")
    );
    let sample = "plimsoll_a_bucket{status=\"5xx\",kind=\"y\",way=\"z\"} 1";
    assert!(is_told(&found[1], sample) && !is_told(&found[1], &sample.replace("5xx", "4xx")));
}
