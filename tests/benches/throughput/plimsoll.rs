//! Plimsoll as it is shipped: the release binary, on a database of its own in a temporary folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::postgres::Postgres;
use crate::scenario::{DIGITS, ORG, Scenario, org, secret};
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

/// Every build that is named, or the one that cargo made for this benchmark; on PostgreSQL also what it is compared with.
pub(crate) fn start_all(scenario: Scenario, binaries: &[PathBuf], cluster: Option<&Arc<Postgres>>) -> Outcome<Vec<Contender>> {
    let own = [PathBuf::from(env!("CARGO_BIN_EXE_plimsoll"))];
    let binaries = if binaries.is_empty() { own.as_slice() } else { binaries };
    let mut contenders = Vec::new();
    for (number, binary) in binaries.iter().enumerate() {
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(cluster) = cluster else {
            contenders.push(start(scenario, binary, name, &Place::file()?, 1)?);
            continue;
        };
        let place = |what: &str| Place::postgres(cluster, &format!("{what}_{number}"));
        if scenario == Scenario::PgCheck {
            let embedded = start(scenario, binary, "embedded".to_owned(), &Place::file()?, 1)?;
            contenders.push(Contender { is_reference: true, ..embedded });
        }
        let has_two = scenario == Scenario::PgConsumeTwo;
        if has_two {
            let one = start(scenario, binary, "one".to_owned(), &place("one"), 1)?;
            contenders.push(Contender { is_reference: true, ..one });
        }
        contenders.push(start(scenario, binary, name, &place("plimsoll"), if has_two { 2 } else { 1 })?);
    }
    Ok(contenders)
}

/// Sets up a tier and the orgs, starts Plimsoll again on that database in so many processes, and asks about every org once.
fn start(scenario: Scenario, binary: &Path, name: String, place: &Place, processes: usize) -> Outcome<Contender> {
    let cache = cache_for(scenario.orgs());
    let server = serve(binary, place, cache)?;
    let key = set_up(&server, scenario)?;
    server.stop()?;
    let begun = Instant::now();
    seed_orgs(place, scenario.orgs())?;
    seed_counters(place, scenario.counters())?;
    if scenario.is_authorized() {
        seed_keys(place, scenario.orgs())?;
    }
    let seeded = begun.elapsed();
    let mut servers = Vec::new();
    let mut notes = Vec::new();
    for _ in 0..processes {
        servers.push(serve(binary, place, cache)?.keeping(place.clone()));
    }
    let begun = Instant::now();
    for server in &servers {
        notes.push(format!("{} KiB when idle", server.resident_kib()?));
        ask_about_all(server, &key, scenario.orgs())?;
        if scenario.is_authorized() {
            (0..scenario.orgs()).try_for_each(|number| authorize_first(server, &key, scenario, number))?;
        }
    }
    notes.push(format!("its orgs written in {seeded:.1?} and all asked about once in {:.1?}", begun.elapsed()));
    notes.extend(cache.map(|cache| format!("PLIMSOLL_CACHE_ORGS={cache}")));
    let mut servers = servers.into_iter();
    let server = servers.next().ok_or("no process is to be measured")?;
    Ok(Contender { name, server, more: servers.collect(), key, is_reference: false, notes })
}

/// What an operator with so many orgs would set: room for all of them, since they do not spread evenly over the cache's parts.
fn cache_for(orgs: usize) -> Option<usize> {
    (orgs > USUAL_CACHE).then_some(orgs + orgs / 4)
}

fn serve(binary: &Path, place: &Place, cache: Option<usize>) -> Outcome<Server> {
    let mut command = Command::new(binary);
    command.arg("serve").env("PLIMSOLL_LISTEN", "127.0.0.1:0").env("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", ADMIN_KEY);
    command.env("PLIMSOLL_DATABASE_URL", place.url());
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

/// Copies the first org until there are `count`, right in the database: a million requests would take minutes. The columns are
/// taken from the table, so that it follows the schema. Plimsoll must not run meanwhile.
fn seed_orgs(place: &Place, count: usize) -> Outcome<()> {
    let (columns, id) = (place.columns("org")?, place.numbered(ORG, DIGITS));
    let values: Vec<&str> = columns.iter().map(|column| if column == "id" { id.as_str() } else { column.as_str() }).collect();
    place.execute(&format!(
        "INSERT INTO org ({}) SELECT {} FROM org, {} WHERE id = '{}'",
        columns.join(", "),
        values.join(", "),
        place.numbers(1, count - 1),
        org(0),
    ))
}

/// The first question with a key, which is read from the database.
fn authorize_first(server: &Server, key: &str, scenario: Scenario, number: usize) -> Outcome<()> {
    let answer = client::call(server, "POST", scenario.path(), key, Some(&scenario.body(number)))?.json()?;
    if scenario.is_answered_by(number, &answer) { Ok(()) } else { Err(format!("a first request was answered {answer}").into()) }
}

/// An API key for each org, right in the file, with the scopes that keys usually have.
fn seed_keys(place: &Place, count: usize) -> Outcome<()> {
    place.in_file(async |database| {
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

/// Counters of other orgs, in a database that is large before anything is asked.
fn seed_counters(place: &Place, count: usize) -> Outcome<()> {
    if count == 0 {
        return Ok(());
    }
    place.execute(&format!(
        "INSERT INTO usage (org, limit_key, resource, window_start, window_end, used) \
         SELECT {}, '{COUNTED_KEY}', '', 0, NULL, 1 FROM {}",
        place.numbered("another-", 8),
        place.numbers(1, count),
    ))
}
