//! Whether an answer holds what a scenario names of it.

use serde_json::Value;

/// Where the answer is other than expected. Fields that are not named are not looked at, but a `denial` is matched in full.
pub(super) fn mismatch(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::String(any), _) if any == "${any}" => found.is_null().then(|| format!("{path} is null")),
        (Value::Object(fields), Value::Object(others)) => {
            let is_whole = path.contains(".denial");
            let surplus = others.keys().find(|name| is_whole && !fields.contains_key(*name));
            let surplus = surplus.map(|name| format!("{path}.{name} is one too many"));
            surplus.or_else(|| fields.iter().find_map(|(name, field)| in_field(path, name, field, others.get(name))))
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let mut pairs = items.iter().zip(others).enumerate();
            pairs.find_map(|(index, (item, other))| mismatch(&format!("{path}[{index}]"), item, other))
        }
        _ => (expected != found).then(|| format!("{path} is {found} instead of {expected}")),
    }
}

fn in_field(path: &str, name: &str, expected: &Value, found: Option<&Value>) -> Option<String> {
    let path = format!("{path}.{name}");
    match found {
        Some(found) => mismatch(&path, expected, found),
        None => Some(format!("{path} is missing")),
    }
}

#[test]
fn a_part_matches_and_a_difference_is_named() {
    use serde_json::json;
    let found = json!({"a": 1, "b": [{"c": "x", "d": 2}], "n": null, "denial": {"status": 402, "body": {"e": 1}}});
    let table = [
        (json!({"a": 1}), None),
        (json!({"b": [{"c": "x"}]}), None),
        (json!({"a": "${any}", "n": null}), None),
        (json!({"a": 2}), Some("data.a is 1 instead of 2")),
        (json!({"b": []}), Some("data.b is [{\"c\":\"x\",\"d\":2}] instead of []")),
        (json!({"b": [{"d": 3}]}), Some("data.b[0].d is 2 instead of 3")),
        (json!({"n": "${any}"}), Some("data.n is null")),
        (json!({"z": null}), Some("data.z is missing")),
        (json!({"denial": {"status": 402, "body": {}}}), Some("data.denial.body.e is one too many")),
        (json!({"denial": {"status": 402}}), Some("data.denial.body is one too many")),
        (json!({"denial": null}), Some("data.denial is {\"status\":402,\"body\":{\"e\":1}} instead of null")),
    ];
    for (expected, difference) in table {
        assert_eq!(mismatch("data", &expected, &found).as_deref(), difference, "{expected}");
    }
}
