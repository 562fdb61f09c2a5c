//! `plimsoll catalog`: the catalogue as a file, in YAML or JSON.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::catalog_report::{readable, warned};
use super::remote::{Remote, ServerSettings};
use super::{Failure, close, open, say};
use crate::by_hand::{self, document_in, refused};
use crate::clock;
use crate::config::DatabaseSettings;
use crate::domain::plan::Plan;
use crate::store::{Access, Expected, IfMatch, PlanChanges, Store};
use crate::wire::difference::Difference;
use crate::wire::plan::PlanDocument;

/// The exit code of `diff` when there is a difference.
const DIFFERS: u8 = 2;

/// What can be done with the catalogue.
#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Print the catalogue; the same catalogue prints the same bytes
    Export(ExportArguments),
    /// Print what applying a file would change: exit 0 if nothing, 2 if something, 1 if it cannot be told
    Diff(DiffArguments),
    /// Create and replace what a file names, whole or not at all; delete nothing unless told to
    Apply(ApplyArguments),
}

/// Whose catalogue it is: that of a running service, if one is named, or else that of a database.
#[derive(Args, Debug)]
struct Place {
    #[command(flatten)]
    server: ServerSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// A document, and how it is compared with the catalogue.
#[derive(Args, Debug)]
struct Document {
    /// Delete what the file does not name
    #[arg(long)]
    prune: bool,
    /// How the difference is written
    #[arg(long, default_value = "text")]
    output: Output,
    /// A YAML or JSON file
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct DiffArguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    document: Document,
}

#[derive(Args, Debug)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    place: Place,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The revision that the catalogue must still be at, as `diff` prints it; otherwise nothing is applied
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    #[command(flatten)]
    document: Document,
}

#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    place: Place,
    /// How it is written
    #[arg(long, default_value = "yaml")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A line for each change, for people
    Text,
    /// One object, as `PUT /v1/admin/catalog` answers it, with the catalogue's revision
    Json,
}

/// What applying a document changes.
pub(super) struct Compared {
    pub(super) difference: Difference,
    /// The revision of the catalogue's last change.
    pub(super) revision: u64,
}

pub(super) async fn run(command: CatalogCommand) -> Result<(), Failure> {
    match command {
        CatalogCommand::Export(ExportArguments { place, format }) => Ok(say(&written(&place.plan().await?, format)?)?),
        CatalogCommand::Diff(DiffArguments { place, document }) => {
            let compared = place.compared(&document, None).await?;
            shown(&compared, document.output, true)?;
            let differs = !compared.difference.changes.is_empty();
            if differs { Err(Failure { sentence: String::new(), code: DIFFERS }) } else { Ok(()) }
        }
        CatalogCommand::Apply(ApplyArguments { place, dry_run, if_revision, document }) => {
            let compared = match dry_run {
                true => place.compared(&document, if_revision).await?,
                false => place.applied(&document, if_revision).await?,
            };
            Ok(shown(&compared, document.output, false)?)
        }
    }
}

impl Place {
    /// The catalogue.
    async fn plan(&self) -> Result<Plan, String> {
        if let Some(remote) = self.server.remote()? {
            let found = PlanDocument::read(remote.catalog().await?, &Plan::default(), clock::now());
            return found.map_err(|issues| by_hand::catalogued(&issues));
        }
        let store = self.looking().await?;
        let plan = store.plan().await.map_err(|error| error.to_string());
        close(&store).await?;
        Ok(plan?.0)
    }

    /// What applying a document would change. It works beside a process that serves the database.
    async fn compared(&self, document: &Document, if_revision: Option<u64>) -> Result<Compared, String> {
        if let Some(remote) = self.server.remote()? {
            return sent(&remote, document, if_revision, true).await;
        }
        let store = self.looking().await?;
        let found = compared(&store, document, if_revision).await;
        close(&store).await?;
        found.map(|found| found.as_compared(true))
    }

    /// Applies a document.
    async fn applied(&self, document: &Document, if_revision: Option<u64>) -> Result<Compared, String> {
        if let Some(remote) = self.server.remote()? {
            return sent(&remote, document, if_revision, false).await;
        }
        let store = open(&self.database).await?;
        let applied = applied(&store, document, if_revision).await;
        close(&store).await?;
        applied.map(|found| found.as_compared(false))
    }

    async fn looking(&self) -> Result<Store, String> {
        Store::open(&self.database.database_url, Access::ReadOnly).await.map_err(|error| error.to_string())
    }
}

fn expected(if_revision: Option<u64>) -> Expected {
    Expected { if_match: if_revision.map(|revision| IfMatch::Revisions(vec![revision])), absent: false }
}

async fn compared(store: &Store, document: &Document, if_revision: Option<u64>) -> Result<PlanChanges, String> {
    let why = |why: String| refused(&document.file, &why);
    let change = by_hand::plan_in(store, document_in(&document.file)?, document.prune).await.map_err(why)?;
    let found =
        store.plan_changes(change, document.prune, clock::now()).await.map_err(|error| why(by_hand::sentence(&error)))?;
    expected(if_revision).check(Some(found.revision)).map_err(|error| why(by_hand::sentence(&error)))?;
    Ok(found)
}

async fn applied(store: &Store, document: &Document, if_revision: Option<u64>) -> Result<PlanChanges, String> {
    let applied = by_hand::apply(store, document_in(&document.file)?, document.prune, expected(if_revision)).await;
    applied.map_err(|why| refused(&document.file, &why))
}

async fn sent(remote: &Remote, document: &Document, if_revision: Option<u64>, dry_run: bool) -> Result<Compared, String> {
    let answered = remote.apply(&document_in(&document.file)?, if_revision, dry_run, document.prune).await;
    answered.map_err(|why| refused(&document.file, &why))
}

impl PlanChanges {
    fn as_compared(&self, dry_run: bool) -> Compared {
        Compared { difference: Difference::of(dry_run, &self.changes, &self.oddities), revision: self.revision }
    }
}

/// Prints what changes on standard output, and what is odd on standard error.
fn shown(compared: &Compared, output: Output, is_diff: bool) -> Result<(), String> {
    let Compared { difference, revision } = compared;
    eprint!("{}", warned(&difference.warnings));
    match output {
        Output::Text => say(&readable(difference, is_diff.then_some(*revision))),
        Output::Json => {
            let Difference { dry_run, changes, warnings } = difference;
            let whole = json!({"dryRun": dry_run, "revision": revision, "changes": changes, "warnings": warnings});
            say(&(serde_json::to_string_pretty(&whole).map_err(|error| error.to_string())? + "\n"))
        }
    }
}

fn written(plan: &Plan, format: Format) -> Result<String, String> {
    match format {
        Format::Yaml => yaml_serde::to_string(plan).map_err(|error| error.to_string()),
        Format::Json => serde_json::to_string_pretty(plan).map(|text| text + "\n").map_err(|error| error.to_string()),
    }
}
