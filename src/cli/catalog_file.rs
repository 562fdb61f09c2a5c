//! `plimsoll catalog`: the catalogue as a file, in YAML or JSON.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{close, open, say};
use crate::by_hand::apply;
use crate::config::DatabaseSettings;
use crate::domain::plan::{Change, Plan};
use crate::store::{Access, Store};

/// What can be done with the catalogue.
#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Create and replace what a file names; delete nothing
    Apply(ApplyArguments),
    /// Print the catalogue; the same catalogue prints the same bytes
    Export(ExportArguments),
}

#[derive(Args, Debug)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    database: DatabaseSettings,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// A YAML or JSON file
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    database: DatabaseSettings,
    /// How it is written
    #[arg(long, default_value = "yaml")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) async fn run(command: CatalogCommand) -> Result<(), String> {
    match command {
        CatalogCommand::Apply(ApplyArguments { database, dry_run, file }) => {
            let store = open(&database).await?;
            let applied = apply(&store, &file, dry_run).await;
            close(&store).await?;
            say(&report(&applied?, dry_run))
        }
        CatalogCommand::Export(ExportArguments { database, format }) => export(&database, format).await,
    }
}

/// What changed, a line each, and how many.
fn report(changes: &[Change], dry_run: bool) -> String {
    let line = |change: &Change| {
        let is_new = match change {
            Change::LimitKey { before, .. } => before.is_none(),
            Change::Tier { before, .. } => before.is_none(),
            Change::Limit { before, .. } => before.is_none(),
        };
        format!("{} {}\n", if is_new { "+" } else { "~" }, change.path())
    };
    let lines: String = changes.iter().map(line).collect();
    let verb = if dry_run { "would change" } else { "changed" };
    format!("{lines}{} {verb}.\n", changes.len())
}

async fn export(database: &DatabaseSettings, format: Format) -> Result<(), String> {
    let store = Store::open(&database.database_url, Access::ReadOnly).await.map_err(|error| error.to_string())?;
    let (plan, _) = store.plan().await.map_err(|error| error.to_string())?;
    close(&store).await?;
    say(&written(&plan, format)?)
}

fn written(plan: &Plan, format: Format) -> Result<String, String> {
    match format {
        Format::Yaml => yaml_serde::to_string(plan).map_err(|error| error.to_string()),
        Format::Json => serde_json::to_string_pretty(plan).map(|text| text + "\n").map_err(|error| error.to_string()),
    }
}
