//! `plimsoll backup`: a copy of the database, made while it is served.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::say;
use crate::config::DatabaseSettings;
use crate::store::Store;

#[derive(Args, Debug)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    database: DatabaseSettings,
    /// The copy; a file that exists is not replaced
    file: PathBuf,
}

pub(super) async fn run(arguments: BackupArguments) -> Result<(), String> {
    let BackupArguments { database, file } = arguments;
    let failed = |error| format!("Signals cannot be received: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // Whoever is told to stop takes away what is not whole, which dropping the work does.
    let bytes = tokio::select! {
        done = Store::back_up(&database.database_url, &file) => done.map_err(|error| error.to_string())?,
        _ = terminate.recv() => return Err(stopped()),
        _ = interrupt.recv() => return Err(stopped()),
    };
    say(&format!("{} holds the database as it was: {bytes} bytes.\n", file.display()))
}

fn stopped() -> String {
    "The backup was stopped: there is none".to_owned()
}
