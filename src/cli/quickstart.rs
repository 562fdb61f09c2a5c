//! `plimsoll quickstart`: a real product's plan, a demo org on each tier, and what to try first.

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Map;

use super::remote::Remote;
use super::say;
use crate::by_hand::{self, apply_text};
use crate::config::ServeSettings;
use crate::domain::names::{OrgId, TierName};
use crate::identity::secret::NewSecret;
use crate::server;
use crate::store::commands::PutOrg;
use crate::store::{Access, Store, StoreError};

/// A creator-tracking product's published plan.
const PLAN: &str = include_str!("quickstart.yaml");
/// An org for each tier of the plan.
const ORGS: [(&str, &str, &str); 3] = [
    ("demo-free", "free", "Demo on Free"),
    ("demo-starter", "starter", "Demo on Starter"),
    ("demo-ultra", "ultra", "Demo on Ultra"),
];

/// What they use, so that there is something to see: nobody is over a limit, but some would be in a smaller tier.
const USAGE: [(&str, &str, u64); 6] = [
    ("demo-free", "max_members_per_org", 2),
    ("demo-starter", "max_creators_per_org", 41),
    ("demo-starter", "max_members_per_org", 4),
    ("demo-ultra", "max_creators_per_org", 120),
    ("demo-ultra", "max_members_per_org", 18),
    ("demo-ultra", "max_projects_per_org", 4),
];

/// Where the quick start keeps its data: in a file of its own, so that it never mixes with another.
#[derive(Args, Debug)]
pub(super) struct QuickstartDatabase {
    /// An embedded SQLite database, or a PostgreSQL server
    #[arg(
        long,
        env = "PLIMSOLL_DATABASE_URL",
        value_name = "PLIMSOLL_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite://plimsoll-quickstart.db?mode=rwc"
    )]
    database_url: String,
}

pub(super) async fn run(mut settings: ServeSettings, database: QuickstartDatabase) -> Result<(), String> {
    let admin_key = match settings.admin_key()? {
        Some(key) => key,
        None => NewSecret::generate().map_err(|error| error.to_string())?.secret,
    };
    settings.bootstrap_admin_key = Some(admin_key.clone());
    settings.bootstrap_admin_key_file = None;
    let store = Store::open(&database.database_url, Access::ReadWrite).await.map_err(|error| error.to_string())?;
    let prepared = prepare(&store).await;
    store.close().await.map_err(|error| error.to_string())?;
    let new = prepared?;
    drop(store);
    let started = server::start(&settings, &database.database_url).await?;
    let (address, serving) = (started.running.address, started.running.until_stopped());
    // It answers only while it is waited for.
    let greeting = async {
        let service = Remote::own(address, admin_key.clone())?;
        for (org, limit_key, current) in USAGE.into_iter().filter(|(org, ..)| new.contains(org)) {
            // Who has changed the plan since may have no such limit key any more.
            if let Err(error) = service.reconcile(org, limit_key, current).await {
                tracing::warn!(org, limit_key, error, "the demo has no usage of this limit key");
            }
        }
        say(&welcome(&format!("http://{address}"), &admin_key))
    };
    tokio::try_join!(serving, greeting).map(drop)
}

/// Sees to it that there are the plan and the orgs. Answers which orgs are new.
async fn prepare(store: &Store) -> Result<Vec<&'static str>, String> {
    let mut new = Vec::new();
    let (plan, _) = store.plan().await.map_err(|error| error.to_string())?;
    // What was changed since the first start stays.
    if plan.limit_keys.is_empty() {
        apply_text(store, PLAN).await?;
    }
    for (org, tier, name) in ORGS {
        let id = OrgId::parse(org).map_err(|invalid| invalid.0)?;
        match store.org(&id).await {
            Ok(_) => continue,
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
        let tier = TierName::parse(tier).map_err(|invalid| invalid.0)?;
        let command = PutOrg { id, tier, scheduled: Vec::new(), name: name.to_owned(), metadata: Map::new() };
        store.run(by_hand::context(), command).await.map_err(|error| error.to_string())?;
        new.push(org);
    }
    Ok(new)
}

fn welcome(address: &str, admin_key: &SecretString) -> String {
    let key = admin_key.expose_secret();
    let curl = |body: &str| {
        format!("curl -s {address}/v1/check -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{body}'")
    };
    let full = curl(r#"{"org":"demo-free","limitKey":"max_creators_per_org","current":5}"#);
    let old = curl(r#"{"org":"demo-free","limitKey":"stats_history_retention_days","from":"2020-01-01"}"#);
    format!(
        "\nPlimsoll is ready.\n\n  UI         {address}/docs/  (Authorize with the admin key)\n  Admin key  {key}\n  Orgs       demo-free, demo-starter, demo-ultra\n\n\
         Free may track 5 creators. It has 5, so one more is refused with limit_reached:\n\n  {full}\n\n\
         Free may look back 30 days. 2020 is further, so it is refused with retention_exceeded:\n\n  {old}\n\n\
         Stop with Ctrl-C.\n\n"
    )
}
