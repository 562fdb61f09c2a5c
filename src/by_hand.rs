//! What is done by hand, at the command line and at the start, where no caller is judged.

use std::path::Path;

use serde_json::Value as Json;

use crate::clock;
use crate::domain::issue::Issue;
use crate::domain::plan::Plan;
use crate::store::commands::ApplyPlan;
use crate::store::{Actor, Expected, PlanChanges, Store, StoreError, WriteContext};
use crate::wire::plan::PlanDocument;

/// What a command says whose picture of the catalogue is too old.
pub const CHANGED: &str = "The catalogue has changed: it is not at the expected revision. Nothing was applied";

/// Who did it, for the log of changes.
pub fn context() -> WriteContext {
    WriteContext { actor: Actor::CommandLine, now: clock::now(), request_id: None, expected: Expected::default() }
}

/// The document in a file. Errors name the file.
pub fn document_in(file: &Path) -> Result<Json, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("The catalogue file {} cannot be read: {error}", file.display()))?;
    document(&text).map_err(|error| refused(file, &error))
}

/// That a file is refused, and why.
pub fn refused(file: &Path, why: &str) -> String {
    format!("The catalogue file {} is refused:\n{why}", file.display())
}

/// The document of a catalogue file's text. YAML is read, and so JSON, which is a part of it.
fn document(text: &str) -> Result<Json, String> {
    // Not straight to JSON, which takes the last of two entries of one name: here that is an error.
    let document: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    serde_json::to_value(document).map_err(|error| error.to_string())
}

/// The plan that a document says to this store. Errors name every finding.
pub async fn plan_in(store: &Store, document: Json, prune: bool) -> Result<Plan, String> {
    let known = if prune { Plan::default() } else { store.plan().await.map_err(|error| error.to_string())?.0 };
    PlanDocument::read(document, &known, clock::now()).map_err(|issues| catalogued(&issues))
}

/// Applies a document, whole or not at all, to the catalogue as it is expected to be. Errors name every finding.
pub async fn apply(store: &Store, document: Json, prune: bool, expected: Expected) -> Result<PlanChanges, String> {
    let change = plan_in(store, document, prune).await?;
    let context = WriteContext { expected, ..context() };
    let written = store.run(context, ApplyPlan { change, prune, dry_run: false }).await;
    written.map(|written| written.output).map_err(|error| sentence(&error))
}

/// Applies a file when the service starts; deletes nothing.
pub async fn apply_file(store: &Store, file: &Path) -> Result<PlanChanges, String> {
    let document = document_in(file)?;
    apply(store, document, false, Expected::default()).await.map_err(|error| refused(file, &error))
}

/// Applies the text of a catalogue file; deletes nothing.
pub async fn apply_text(store: &Store, text: &str) -> Result<PlanChanges, String> {
    apply(store, document(text)?, false, Expected::default()).await
}

/// What a refused command says, with every finding.
pub fn sentence(error: &StoreError) -> String {
    match error {
        StoreError::Invalid(issues) | StoreError::InUse(issues) => catalogued(issues),
        StoreError::PreconditionFailed => CHANGED.to_owned(),
        StoreError::NotFound(_)
        | StoreError::NoReservation
        | StoreError::NoDelivery
        | StoreError::Duplicate(_)
        | StoreError::Conflict(_)
        | StoreError::Gone { .. }
        | StoreError::IdempotencyKeyReused
        | StoreError::IdempotencyInProgress
        | StoreError::Overtaken
        | StoreError::NotKept(_)
        | StoreError::Unavailable(_)
        | StoreError::TooManyAnswers { .. }
        | StoreError::Internal(_) => error.to_string(),
    }
}

/// Findings, one a line.
pub fn catalogued(issues: &[Issue]) -> String {
    let lines = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message));
    lines.collect::<Vec<_>>().join("\n")
}
