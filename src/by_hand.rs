//! What is done by hand, at the command line and at the start, where no caller is judged.

use std::path::Path;

use serde_json::Value as Json;

use crate::clock;
use crate::domain::issue::Issue;
use crate::domain::plan::Change;
use crate::store::commands::ApplyPlan;
use crate::store::{Actor, Expected, Store, StoreError, WriteContext};
use crate::wire::plan::PlanDocument;

/// Who did it, for the log of changes.
pub fn context() -> WriteContext {
    WriteContext { actor: Actor::CommandLine, now: clock::now(), request_id: None, expected: Expected::default() }
}

/// Applies a file, whole or not at all. Errors name every finding.
pub async fn apply(store: &Store, file: &Path, dry_run: bool) -> Result<Vec<Change>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("The catalogue file {} cannot be read: {error}", file.display()))?;
    apply_text(store, &text, dry_run)
        .await
        .map_err(|error| format!("The catalogue file {} is refused:\n{error}", file.display()))
}

/// Applies the text of a catalogue file. YAML is read, and so JSON, which is a part of it.
pub async fn apply_text(store: &Store, text: &str, dry_run: bool) -> Result<Vec<Change>, String> {
    // Not straight to JSON, which takes the last of two entries of one name: here that is an error.
    let document: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let document: Json = serde_json::to_value(document).map_err(|error| error.to_string())?;
    let (known, _) = store.plan().await.map_err(|error| error.to_string())?;
    let change = PlanDocument::read(document, &known, clock::now()).map_err(|issues| catalogued(&issues))?;
    let written = store.run(context(), ApplyPlan { change, dry_run }).await;
    written.map(|written| written.output).map_err(|error| sentence(&error))
}

/// What a refused command says, with every finding.
pub fn sentence(error: &StoreError) -> String {
    match error {
        StoreError::Invalid(issues) => catalogued(issues),
        StoreError::NotFound(_)
        | StoreError::NoReservation
        | StoreError::Duplicate(_)
        | StoreError::Conflict(_)
        | StoreError::PreconditionFailed
        | StoreError::Gone { .. }
        | StoreError::IdempotencyKeyReused
        | StoreError::IdempotencyInProgress
        | StoreError::Overtaken
        | StoreError::Unavailable(_)
        | StoreError::TooManyAnswers { .. }
        | StoreError::Internal(_) => error.to_string(),
    }
}

/// Findings, one a line.
fn catalogued(issues: &[Issue]) -> String {
    let lines = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message));
    lines.collect::<Vec<_>>().join("\n")
}
