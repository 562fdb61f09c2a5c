//! Plimsoll as it is shipped: the release binary, on a database of its own in a temporary folder.

use std::path::Path;
use std::process::Command;

use sea_orm::{ConnectionTrait, Database, DatabaseBackend, Statement};
use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;
use crate::{Candidate, Outcome, client, load};

/// The limit key that is asked about.
pub(crate) const LIMIT_KEY: &str = "max_creators_per_org";
/// Its value in the tier.
pub(crate) const MAX: u64 = 5;
/// The key that sets up.
pub(crate) const ADMIN_KEY: &str = "plm_00000000000000000000000000000000000000000000000000000000000000aa";

/// Sets up a tier and so many orgs, and starts Plimsoll again on that database.
pub(crate) fn start(orgs: usize) -> Outcome<Candidate> {
    let folder = TempDir::new()?;
    let file = folder.path().join("plimsoll.db");
    let server = serve(&file)?;
    let key = set_up(&server)?;
    server.stop()?;
    seed_orgs(&file, orgs)?;
    let server = serve(&file)?.keeping(folder);
    let started_in = server.started_in;
    Ok(Candidate { name: "plimsoll", server, key, started_in })
}

fn serve(file: &Path) -> Outcome<Server> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("serve").env("PLIMSOLL_LISTEN", "127.0.0.1:0").env("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", ADMIN_KEY);
    command.env("PLIMSOLL_DATABASE_URL", format!("sqlite://{}?mode=rwc", file.display()));
    Server::start(command)
}

/// A limit key, a tier, the first org, and a platform key to ask with.
fn set_up(server: &Server) -> Outcome<String> {
    let put = |path: &str, body: serde_json::Value| client::call(server, "PUT", path, ADMIN_KEY, Some(&body.to_string()));
    put(&format!("/v1/admin/limit-keys/{LIMIT_KEY}"), json!({"kind": "count", "per": "org", "default": {"max": 0}}))?;
    put("/v1/admin/tiers/free", json!({"name": "Free"}))?;
    put(&format!("/v1/admin/tiers/free/limits/{LIMIT_KEY}"), json!({"max": MAX}))?;
    put(&format!("/v1/admin/orgs/{}", load::org(0)), json!({"tier": "free", "name": "An org"}))?;
    let wanted = json!({"name": "benchmark", "scopes": ["read", "write"]}).to_string();
    let made = client::call(server, "POST", "/v1/admin/api-keys", ADMIN_KEY, Some(&wanted))?.json()?;
    let key = made.pointer("/data/key").and_then(serde_json::Value::as_str).ok_or("the answer holds no key")?;
    Ok(key.to_owned())
}

/// Copies the first org until there are `count`, right in the file: a million requests would take minutes. The columns are
/// taken from the table, so that it follows the schema. Plimsoll must not run meanwhile.
fn seed_orgs(file: &Path, count: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let database = Database::connect(format!("sqlite://{}?mode=rw", file.display())).await?;
        let query = Statement::from_string(DatabaseBackend::Sqlite, "SELECT name FROM pragma_table_info('org')");
        let rows = database.query_all_raw(query).await?;
        let columns = rows.iter().map(|row| row.try_get::<String>("", "name")).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<&str> = columns.iter().map(|column| if column == "id" { NUMBERED } else { column.as_str() }).collect();
        let insert = format!(
            "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < {count}) \
             INSERT INTO org ({}) SELECT {} FROM org, numbers WHERE id = '{}'",
            columns.join(", "),
            values.join(", "),
            load::org(0),
        );
        database.execute_unprepared(&insert).await?;
        database.close().await?;
        Ok(())
    })
}

/// The same id as `load::org` writes.
const NUMBERED: &str = "printf('org-%07d', number)";
