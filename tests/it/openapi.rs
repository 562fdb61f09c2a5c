//! The document as it is committed: up to date, and well made.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Document, Operation, Plimsoll, Setup};

fn committed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    std::fs::read_to_string(path).expect("openapi/openapi.json")
}

fn document() -> Document {
    Document::parse(&committed())
}

/// Every value under a key, wherever it stands, with the JSON pointer to it.
fn find<'a>(value: &'a Value, key: &str, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                if name == key {
                    found.push((path.clone(), field));
                }
                find(field, key, &path, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(item, key, &format!("{path}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn all<'a>(value: &'a Value, key: &str) -> Vec<(String, &'a Value)> {
    let mut found = Vec::new();
    find(value, key, "", &mut found);
    found
}

#[test]
fn the_committed_document_is_the_one_that_the_program_makes() {
    let made = Plimsoll::run(&Setup::new(), ["openapi"]);
    assert!(made.status.success(), "{}", made.stderr);
    let is_same = made.stdout.trim_end() == committed().trim_end();
    assert!(is_same, "openapi/openapi.json is out of date: cargo run -- openapi > openapi/openapi.json");
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let server = Plimsoll::start().await;
    let served = server.anonymous().get("/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert!(served.text == committed(), "the served document differs");
    let again = server.anonymous().request("GET", "/openapi.json").header("If-None-Match", served.etag()).send().await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}

#[test]
fn every_operation_is_introduced() {
    let document = document();
    let tags: BTreeSet<&str> =
        document.value["tags"].as_array().expect("tags").iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut ids = BTreeSet::new();
    let mut used = BTreeSet::new();
    for Operation { id, value, method, template } in document.operations() {
        assert!(ids.insert(id), "{id} is there twice");
        assert!(value["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id} has no summary");
        let own = value["tags"].as_array().expect("tags");
        assert_eq!(own.len(), 1, "{id} stands in one group");
        assert!(tags.contains(own[0].as_str().expect("a name")), "{id} has an undeclared tag");
        used.insert(own[0].as_str().expect("a name"));
        assert!(value["security"].as_array().is_some_and(|security| !security.is_empty()), "{id} says nothing of security");
        let has_body = ["PUT", "POST", "PATCH"].contains(&method.as_str());
        assert_eq!(has_body, value["requestBody"].is_object(), "{id}");
        if has_body {
            let examples = &value["requestBody"]["content"]["application/json"]["examples"];
            assert!(examples.as_object().is_some_and(|examples| !examples.is_empty()), "{id} has no example");
        }
        let names: BTreeSet<&str> = template.split(['{', '}']).skip(1).step_by(2).collect();
        let parameters = value["parameters"].as_array().cloned().unwrap_or_default();
        let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
        assert_eq!(described.filter_map(|parameter| parameter["name"].as_str()).collect::<BTreeSet<_>>(), names, "{id}");
    }
    assert_eq!(used, tags, "every declared group is used");
}

#[test]
fn every_operation_has_the_errors_that_follow_from_what_it_takes() {
    for Operation { id, value, template, .. } in document().operations() {
        let has =
            |status: &str, code: &str| !value["responses"][status]["content"]["application/json"]["examples"][code].is_null();
        assert!(has("500", "internal_error"), "{id}");
        if let Some(scopes) = value["security"][0]["bearer"].as_array() {
            assert!(has("401", "invalid_api_key") && has("401", "invalid_token") && has("403", "org_banned"), "{id}");
            assert_eq!(has("403", "insufficient_scope"), !scopes.is_empty(), "{id}");
        }
        if value["requestBody"].is_object() {
            let expected = [("400", "invalid_body"), ("413", "payload_too_large"), ("415", "unsupported_media_type")];
            assert!(expected.iter().all(|(status, code)| has(status, code)), "{id}");
        }
        if template.contains('{') {
            assert!(has("400", "invalid_params"), "{id}");
        }
        for (status, response) in value["responses"].as_object().expect("responses") {
            let named: Vec<&str> =
                response["headers"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let expected = match status.as_str() {
                "401" => Some("WWW-Authenticate"),
                "429" => Some("Retry-After"),
                "503" if id != "readyz" => Some("Retry-After"),
                _ => None,
            };
            assert!(expected.is_none_or(|expected| named.contains(&expected)), "{id} {status}: {named:?}");
        }
    }
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let references = all(&document.value, "$ref");
    assert!(references.len() > 100, "{}", references.len());
    for (path, reference) in references {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a reference within the document");
        assert!(document.value.pointer(pointer).is_some(), "{path} refers to {pointer}");
    }
}

#[test]
fn every_schema_is_used() {
    let document = document();
    let used: BTreeSet<&str> =
        all(&document.value, "$ref").into_iter().filter_map(|(_, reference)| reference.as_str()).collect();
    let schemas = document.value["components"]["schemas"].as_object().expect("schemas");
    let unused: Vec<&String> =
        schemas.keys().filter(|name| !used.contains(format!("#/components/schemas/{name}").as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// A schema, its examples, and where they stand.
fn examples(document: &Document) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    // Request and response bodies, parameters and headers hold examples beside their schema.
    for (path, holder) in all(&document.value, "examples") {
        let place = path.strip_suffix("/examples").expect("a suffix");
        let beside = document.value.pointer(place).expect("the place");
        for (name, example) in holder.as_object().into_iter().flatten() {
            found.push((format!("{path}/{name}"), beside["schema"].clone(), example["value"].clone()));
        }
        // In a schema they are a list.
        for (index, example) in holder.as_array().into_iter().flatten().enumerate() {
            found.push((format!("{path}/{index}"), beside.clone(), example.clone()));
        }
    }
    for (path, example) in all(&document.value, "example") {
        let place = path.strip_suffix("/example").expect("a suffix");
        let beside = document.value.pointer(place).expect("the place");
        // A schema may hold one itself.
        let schema = beside.get("schema").unwrap_or(beside);
        found.push((path.clone(), schema.clone(), example.clone()));
    }
    found
}

#[test]
fn every_example_is_as_its_schema_says() {
    let document = document();
    let examples = examples(&document);
    assert!(examples.len() > 300, "{}", examples.len());
    let wrong: Vec<String> = examples.iter().filter_map(|example| contradiction(&document, example)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn contradiction(document: &Document, (path, schema, example): &(String, Value, Value)) -> Option<String> {
    assert!(schema.is_object(), "{path} stands beside no schema");
    // Equal schemas are compiled once.
    document.valid(&schema.to_string(), schema, example).err().map(|why| format!("{path}: {why}"))
}
