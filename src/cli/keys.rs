//! `plimsoll keys`: API keys made by hand.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::{close, open, say};
use crate::by_hand::{context, sentence};
use crate::config::DatabaseSettings;
use crate::domain::names::{OrgId, ScopeName, UserId};
use crate::domain::time::UtcMillis;
use crate::identity::secret::NewSecret;
use crate::store::commands;
use crate::store::commands::CreateApiKey;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make an API key and print it, this once
    Create(CreateArguments),
}

#[derive(Args, Debug)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    database: DatabaseSettings,
    /// For people
    #[arg(long)]
    name: String,
    /// The org that it belongs to; a platform key has none
    #[arg(long)]
    org: Option<OrgId>,
    /// The user that it belongs to
    #[arg(long)]
    user: Option<UserId>,
    /// What it may do, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "read,write")]
    scopes: Vec<ScopeName>,
    /// The first moment that it is no longer good at, such as 2027-01-01T00:00:00Z
    #[arg(long, value_parser = UtcMillis::parse)]
    expires_at: Option<UtcMillis>,
}

pub(super) async fn run(command: KeysCommand) -> Result<(), String> {
    match command {
        KeysCommand::Create(arguments) => create(arguments).await,
    }
}

async fn create(arguments: CreateArguments) -> Result<(), String> {
    let CreateArguments { database, name, org, user, scopes, expires_at } = arguments;
    let store = open(&database).await?;
    let NewSecret { secret, hash, shown } = NewSecret::generate().map_err(|error| error.to_string())?;
    let secret_record = commands::NewSecret { hash, shown };
    let command = CreateApiKey { name, org, user, scopes, expires_at, rates: BTreeMap::new(), secret: secret_record };
    let made = store.run(context(), command).await;
    close(&store).await?;
    made.map_err(|error| sentence(&error))?;
    say(&format!("{}\n", secret.expose_secret()))
}
