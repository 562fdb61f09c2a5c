//! What a document changes in the catalogue, for people to read.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::wire::difference::{ChangeView, Difference, Warning};

/// Each change, and how many; with the revision that was looked at, if it is asked for.
pub(super) fn readable(difference: &Difference, revision: Option<u64>) -> String {
    let lines: String = difference.changes.iter().map(change).collect();
    let verb = if difference.dry_run { "would change" } else { "changed" };
    let at = revision.map(|revision| format!(", at revision {revision}")).unwrap_or_default();
    format!("{lines}{} {verb}{at}.\n", difference.changes.len())
}

/// Each warning.
pub(super) fn warned(warnings: &[Warning]) -> String {
    warnings.iter().map(|Warning { path, message }| format!("warning: {path}: {message}\n")).collect()
}

/// One change: what is new or gone as a whole, and of what is other each field that differs.
fn change(ChangeView { path, before, after, .. }: &ChangeView) -> String {
    match (before, after) {
        (None, Some(after)) => format!("+ {path}: {after}\n"),
        (Some(before), None) => format!("- {path}: {before}\n"),
        (Some(Json::Object(before)), Some(Json::Object(after))) if is_record(before) && is_record(after) => {
            format!("~ {path}\n{}", fields(before, after))
        }
        (Some(before), Some(after)) => format!("~ {path}: {before} -> {after}\n"),
        (None, None) => String::new(),
    }
}

/// Whether it is more than a value, which has one field.
fn is_record(object: &Map<String, Json>) -> bool {
    object.len() > 1
}

fn fields(before: &Map<String, Json>, after: &Map<String, Json>) -> String {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let field = |name: &String| match (before.get(name), after.get(name)) {
        (before, after) if before == after => String::new(),
        (before, after) => format!("    {name}: {} -> {}\n", shown(before), shown(after)),
    };
    names.into_iter().map(field).collect()
}

fn shown(value: Option<&Json>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}
