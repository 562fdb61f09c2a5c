//! Times in scenarios, written relative to the moment of the question.

use plimsoll::domain::time::UtcMillis;
use serde_json::Value;

const DAY_SECONDS: i64 = 86_400;

/// The value with the placeholders in all of its strings filled in.
pub(super) fn resolved(value: &Value, now: UtcMillis, key_id: &str) -> Value {
    let within = |value: &Value| resolved(value, now, key_id);
    match value {
        Value::String(text) => Value::String(filled(text, now, key_id)),
        Value::Array(items) => Value::Array(items.iter().map(within).collect()),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), within(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn filled(text: &str, now: UtcMillis, key_id: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (name, after) = rest.split_once('}').unwrap_or_else(|| panic!("no closing brace in {text}"));
    format!("{before}{}{}", replacement(name, now, key_id), filled(after, now, key_id))
}

fn replacement(name: &str, now: UtcMillis, key_id: &str) -> String {
    let later = |offset: &str, unit: i64| {
        let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().expect("a whole number with its sign") };
        now.plus_millis(offset * unit * 1_000)
    };
    if let Some(days) = name.strip_prefix("today") {
        later(days, DAY_SECONDS).day().to_string()
    } else if let Some(seconds) = name.strip_prefix("now") {
        later(seconds, 1).to_string()
    } else if name == "key" {
        key_id.to_owned()
    } else {
        // Left for the comparison: `${any}`.
        format!("${{{name}}}")
    }
}

#[test]
fn times_are_filled_in_relative_to_now() {
    let now = UtcMillis::parse("2026-11-22T17:05:53.250Z").expect("a timestamp");
    let table = [
        ("${today}", "2026-11-22"),
        ("${today-30}", "2026-10-23"),
        ("${today+1}T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("${now-60}", "2026-11-22T17:04:53.25Z"),
        ("from ${today-1} to ${now}", "from 2026-11-21 to 2026-11-22T17:05:53.25Z"),
        ("${key}", "key_1"),
        ("${any}", "${any}"),
        ("plain", "plain"),
    ];
    for (text, expected) in table {
        assert_eq!(filled(text, now, "key_1"), expected);
    }
}
