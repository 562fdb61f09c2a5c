//! The command line.

mod backup;
mod catalog_file;
mod catalog_report;
mod doctor;
mod keys;
mod quickstart;
mod remote;
mod transfer;

use std::io::{ErrorKind, Write};

use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;

use crate::config::{DatabaseSettings, LogSettings, ServeSettings, check_variables};
use crate::store::{Access, Store};
use crate::{http, server, telemetry};

/// Plimsoll: the plan-limits service. One place that knows what an org may do.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    log: LogSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and its UI
    Serve {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(flatten)]
        settings: Box<ServeSettings>,
    },
    /// Try it: serve a real product's plan with a demo org on each tier
    Quickstart {
        #[command(flatten)]
        settings: Box<ServeSettings>,
        #[command(flatten)]
        database: quickstart::QuickstartDatabase,
    },
    /// Make the database, or bring it up to date
    Migrate {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// The catalogue as a file
    #[command(subcommand)]
    Catalog(catalog_file::CatalogCommand),
    /// Copy the database to a new file, also while it is served
    Backup(backup::BackupArguments),
    /// Look for what cannot be in a database, also while it is served: exit 0 if there is nothing, 1 if there is, 2 if it cannot look
    Doctor {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Move an embedded database to an empty PostgreSQL database, whole or not at all
    Transfer(transfer::TransferArguments),
    /// Print the OpenAPI document
    Openapi,
}

/// Why the program ends before its work is done.
#[derive(Debug)]
pub struct Failure {
    /// A sentence for whoever started it; empty when what was printed says it all.
    pub sentence: String,
    /// The exit code.
    pub code: u8,
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self { sentence, code: 1 }
    }
}

/// The exit code of the command line's own errors.
const MISUSED: u8 = 2;

/// Settings that cannot be. Of `catalog diff`, whose 2 says that there is a difference, they are errors like all others.
fn misused(sentence: String, is_diff: bool) -> Failure {
    Failure { sentence, code: if is_diff { 1 } else { MISUSED } }
}

/// Whether it is `catalog diff` that was started, understood or not.
fn is_diff() -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    words.iter().zip(words.iter().skip(1)).any(|(command, next)| command == "catalog" && next == "diff")
}

/// Prints what the command line says of itself: help that was asked for, or what cannot be understood.
fn unparsed(error: &clap::Error) -> Result<Cli, Failure> {
    // There is nothing left to do if even that cannot be written.
    drop(error.print());
    if error.use_stderr() { Err(misused(String::new(), is_diff())) } else { Err(Failure { sentence: String::new(), code: 0 }) }
}

/// Runs the command that was given. Errors are sentences.
pub fn run() -> Result<(), Failure> {
    let misused = |sentence| misused(sentence, is_diff());
    // An unknown variable first: clap would name the settings that it knows only.
    check_variables::<Cli>().map_err(misused)?;
    let Cli { log, command } = Cli::try_parse().or_else(|error| unparsed(&error))?;
    telemetry::start_logs(&log.log, log.log_format).map_err(misused)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("The runtime cannot be started: {error}"))?;
    runtime.block_on(dispatch(command))
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { database, settings } => serve(&database, &settings).await?,
        Command::Quickstart { settings, database } => quickstart::run(*settings, database).await?,
        Command::Migrate { database } => migrate(&database).await?,
        Command::Keys(command) => keys::run(command).await?,
        Command::Catalog(command) => catalog_file::run(command).await?,
        Command::Backup(arguments) => backup::run(arguments).await?,
        Command::Doctor { database } => doctor::run(&database).await?,
        Command::Transfer(arguments) => transfer::run(arguments).await?,
        Command::Openapi => say(&http::openapi::text(&http::routes::table()))?,
    }
    Ok(())
}

async fn serve(database: &DatabaseSettings, settings: &ServeSettings) -> Result<(), String> {
    let started = server::start(settings, &database.database_url).await?;
    if let Some(secret) = &started.new_admin_key {
        say(&format!("Admin API key, shown this once: {}\n", secret.expose_secret()))?;
    }
    started.running.until_stopped().await
}

async fn migrate(database: &DatabaseSettings) -> Result<(), String> {
    let store = open(database).await?;
    close(&store).await?;
    say("The database is up to date.\n")
}

/// Writes to standard output at once. Who reads no further has read enough.
fn say(text: &str) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("Standard output cannot be written: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn open(database: &DatabaseSettings) -> Result<Store, String> {
    Store::open(&database.database_url, Access::ReadWrite).await.map_err(|error| error.to_string())
}

async fn close(store: &Store) -> Result<(), String> {
    store.close().await.map_err(|error| format!("The database could not be closed: {error}"))
}
