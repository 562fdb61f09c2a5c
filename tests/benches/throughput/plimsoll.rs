//! Plimsoll as it is shipped: the release binary, on a database of its own in a temporary folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, Statement, TransactionTrait};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::scenario::{Scenario, org, secret};
use crate::server::Server;
use crate::{Contender, Outcome, client};

/// The limit key that is asked about.
pub(crate) const LIMIT_KEY: &str = "max_creators_per_org";
/// Its value in the tier.
pub(crate) const MAX: u64 = 5;
/// The key that sets up.
pub(crate) const ADMIN_KEY: &str = "plm_00000000000000000000000000000000000000000000000000000000000000aa";

/// The limit key whose usage is taken; nobody ever reaches its cap.
pub(crate) const COUNTED_KEY: &str = "max_items_per_org";
/// The orgs that are kept in memory by default.
const USUAL_CACHE: usize = 100_000;
/// Orgs in one batch of questions.
const BATCH: usize = 100;
/// Callers that ask about every org at once, before anything is measured.
const FILLERS: usize = 8;

/// Every build that is named, or the one that cargo made for this benchmark.
pub(crate) fn start_all(scenario: Scenario, binaries: &[PathBuf]) -> Outcome<Vec<Contender>> {
    if binaries.is_empty() {
        return Ok(vec![start(scenario, Path::new(env!("CARGO_BIN_EXE_plimsoll")), "plimsoll".to_owned())?]);
    }
    let name = |binary: &PathBuf| binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
    binaries.iter().map(|binary| start(scenario, binary, name(binary))).collect()
}

/// Sets up a tier and the orgs, starts Plimsoll again on that database, and asks about every org once.
fn start(scenario: Scenario, binary: &Path, name: String) -> Outcome<Contender> {
    let folder = TempDir::new()?;
    let file = folder.path().join("plimsoll.db");
    let cache = cache_for(scenario.orgs());
    let server = serve(binary, &file, cache)?;
    let key = set_up(&server, scenario)?;
    server.stop()?;
    let begun = Instant::now();
    seed_orgs(&file, scenario.orgs())?;
    seed_counters(&file, scenario.counters())?;
    if scenario.is_authorized() {
        seed_keys(&file, scenario.orgs())?;
    }
    let seeded = begun.elapsed();
    let server = serve(binary, &file, cache)?.keeping(folder);
    let mut notes = vec![format!("{} KiB when idle", server.resident_kib()?)];
    let begun = Instant::now();
    ask_about_all(&server, &key, scenario.orgs())?;
    if scenario.is_authorized() {
        (0..scenario.orgs()).try_for_each(|number| authorize_first(&server, &key, scenario, number))?;
    }
    notes.push(format!("its orgs written in {seeded:.1?} and all asked about once in {:.1?}", begun.elapsed()));
    notes.extend(cache.map(|cache| format!("PLIMSOLL_CACHE_ORGS={cache}")));
    Ok(Contender { name, server, key, is_reference: false, notes })
}

/// What an operator with so many orgs would set: room for all of them, since they do not spread evenly over the cache's parts.
fn cache_for(orgs: usize) -> Option<usize> {
    (orgs > USUAL_CACHE).then_some(orgs + orgs / 4)
}

fn serve(binary: &Path, file: &Path, cache: Option<usize>) -> Outcome<Server> {
    let mut command = Command::new(binary);
    command.arg("serve").env("PLIMSOLL_LISTEN", "127.0.0.1:0").env("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", ADMIN_KEY);
    command.env("PLIMSOLL_DATABASE_URL", format!("sqlite://{}?mode=rwc", file.display()));
    if let Some(cache) = cache {
        command.env("PLIMSOLL_CACHE_ORGS", cache.to_string());
    }
    Server::start(command)
}

/// Several callers together ask about each org once, many orgs at a time, so that every one is in memory.
fn ask_about_all(server: &Server, key: &str, orgs: usize) -> Outcome<()> {
    let fill = move |first: usize| {
        let mut batches = (first * BATCH..orgs).step_by(FILLERS * BATCH);
        batches.try_for_each(|batch| ask_about(server, key, batch..orgs.min(batch + BATCH)))
    };
    thread::scope(|scope| {
        let fillers: Vec<_> = (0..FILLERS).map(|first| scope.spawn(move || fill(first))).collect();
        fillers.into_iter().try_for_each(|filler| filler.join().map_err(|_| "a caller has panicked")?)
    })
}

fn ask_about(server: &Server, key: &str, numbers: Range<usize>) -> Outcome<()> {
    let check = |number| json!({"org": org(number), "limitKey": LIMIT_KEY, "current": 0});
    let checks = json!({"checks": numbers.map(check).collect::<Vec<_>>()}).to_string();
    let answer = client::call(server, "POST", "/v1/check/batch", key, Some(&checks))?.json()?;
    let results = answer.pointer("/data/results").and_then(Value::as_array).ok_or("the answer holds no results")?;
    match results.iter().find(|result| result.pointer("/allowed") != Some(&Value::Bool(true))) {
        Some(result) => Err(format!("a first question was answered {result}").into()),
        None => Ok(()),
    }
}

/// A limit key, a tier, the first org, and a platform key to ask with.
fn set_up(server: &Server, scenario: Scenario) -> Outcome<String> {
    let put = |path: &str, body: Value| client::call(server, "PUT", path, ADMIN_KEY, Some(&body.to_string()));
    for (limit_key, default) in [(LIMIT_KEY, json!({"max": 0})), (COUNTED_KEY, json!({"unlimited": true}))] {
        put(&format!("/v1/admin/limit-keys/{limit_key}"), json!({"kind": "count", "per": "org", "default": default}))?;
    }
    put(
        "/v1/admin/limit-keys/calls",
        json!({"kind": "rate", "windowSeconds": 60, "perRequest": true, "default": {"max": 1_000_000}}),
    )?;
    let quota =
        json!({"kind": "quota", "window": "day", "perRequest": scenario.takes_quota(), "default": {"max": 1_000_000_000}});
    put("/v1/admin/limit-keys/requests", quota)?;
    put("/v1/admin/tiers/free", json!({"name": "Free"}))?;
    put(&format!("/v1/admin/tiers/free/limits/{LIMIT_KEY}"), json!({"max": MAX}))?;
    put(&format!("/v1/admin/orgs/{}", org(0)), json!({"tier": "free", "name": "An org"}))?;
    let wanted = json!({"name": "benchmark", "scopes": ["read", "write"]}).to_string();
    let made = client::call(server, "POST", "/v1/admin/api-keys", ADMIN_KEY, Some(&wanted))?.json()?;
    let key = made.pointer("/data/key").and_then(Value::as_str).ok_or("the answer holds no key")?;
    Ok(key.to_owned())
}

/// Copies the first org until there are `count`, right in the file: a million requests would take minutes. The columns are
/// taken from the table, so that it follows the schema. Plimsoll must not run meanwhile.
fn seed_orgs(file: &Path, count: usize) -> Outcome<()> {
    in_file(file, async |database| {
        let query = Statement::from_string(DatabaseBackend::Sqlite, "SELECT name FROM pragma_table_info('org')");
        let rows = database.query_all_raw(query).await?;
        let columns = rows.iter().map(|row| row.try_get::<String>("", "name")).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<&str> = columns.iter().map(|column| if column == "id" { NUMBERED } else { column.as_str() }).collect();
        let insert = format!(
            "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < {count}) \
             INSERT INTO org ({}) SELECT {} FROM org, numbers WHERE id = '{}'",
            columns.join(", "),
            values.join(", "),
            org(0),
        );
        database.execute_unprepared(&insert).await?;
        Ok(())
    })
}

/// The first question with a key, which is read from the database.
fn authorize_first(server: &Server, key: &str, scenario: Scenario, number: usize) -> Outcome<()> {
    let answer = client::call(server, "POST", scenario.path(), key, Some(&scenario.body(number)))?.json()?;
    if scenario.is_answered_by(number, &answer) { Ok(()) } else { Err(format!("a first request was answered {answer}").into()) }
}

/// An API key for each org, right in the file, with the scopes that keys usually have.
fn seed_keys(file: &Path, count: usize) -> Outcome<()> {
    in_file(file, async |database| {
        let transaction = database.begin().await?;
        for number in 0..count {
            let hash: String = Sha256::digest(secret(number)).iter().map(|byte| format!("{byte:02x}")).collect();
            let (id, org) = (format!("key_{number:032}"), org(number));
            let statements = [
                format!(
                    "INSERT INTO api_key (id, name, org, revision, created_at, updated_at) VALUES ('{id}', 'x', '{org}', 1, 0, 0)"
                ),
                format!("INSERT INTO api_key_scope (key_id, scope) VALUES ('{id}', 'read'), ('{id}', 'write')"),
                format!(
                    "INSERT INTO api_key_secret (hash, key_id, shown, created_at) VALUES (x'{hash}', '{id}', 'plm_00000000', 0)"
                ),
            ];
            for statement in statements {
                transaction.execute_unprepared(&statement).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    })
}

/// Counters of other orgs, in a file that is large before anything is asked.
fn seed_counters(file: &Path, count: usize) -> Outcome<()> {
    if count == 0 {
        return Ok(());
    }
    in_file(file, async |database| {
        let insert = format!(
            "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {count}) \
             INSERT INTO usage (org, limit_key, resource, window_start, window_end, used) \
             SELECT printf('another-%08d', number), '{COUNTED_KEY}', '', 0, NULL, 1 FROM numbers"
        );
        database.execute_unprepared(&insert).await?;
        Ok(())
    })
}

fn in_file(file: &Path, work: impl AsyncFnOnce(&DatabaseConnection) -> Outcome<()>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let database = Database::connect(format!("sqlite://{}?mode=rw", file.display())).await?;
        work(&database).await?;
        database.close().await?;
        Ok(())
    })
}

/// The same id as `scenario::org` writes.
const NUMBERED: &str = "printf('org-%07d', number)";
