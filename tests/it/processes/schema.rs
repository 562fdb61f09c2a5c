//! What lets the hot tables be spread by org over the nodes of a cluster: their keys, and how statements name their rows.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::json;

use super::patient;
use super::statements::{counting, executed, is_about, words};
use crate::harness::{Actor, Plimsoll, Postgres, Setup};

/// The tables that usage is in.
const HOT: [&str; 2] = ["usage", "reservation"];
/// Words that follow a table's name where it has no other.
const NO_ALIAS: [&str; 7] = ["where", "set", "on", "values", "select", "using", "order"];

async fn texts(database: &DatabaseConnection, query: String) -> Vec<String> {
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), query)).await.expect("rows");
    rows.iter().map(|row| row.try_get_by_index(0).expect("text")).collect()
}

async fn embedded() -> (DatabaseConnection, Plimsoll) {
    let server = Plimsoll::on(Setup::embedded()).await;
    let url = format!("sqlite://{}?mode=ro", server.database().display());
    (Database::connect(url).await.expect("a database"), server)
}

#[tokio::test]
async fn the_primary_keys_of_hot_tables_begin_with_the_org_in_the_embedded_database() {
    let (database, _server) = embedded().await;
    for table in HOT {
        let key = texts(&database, format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk")).await;
        assert_eq!(key.first().map(String::as_str), Some("org"), "{table}: {key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_unique_in_hot_tables_begins_with_the_org_on_postgresql_and_nothing_is_numbered() {
    let postgres = Postgres::start();
    let _server = Plimsoll::on(patient(&postgres)).await;
    for table in HOT {
        let firsts = postgres.sql(&format!(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             WHERE i.indrelid = '{table}'::regclass AND i.indisunique"
        ));
        assert_eq!(firsts, [["org"]], "{table}");
        let others = postgres.sql(&format!(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND '{table}'::regclass IN (conrelid, confrelid) UNION ALL \
             SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' \
             AND (column_default LIKE 'nextval%' OR is_identity = 'YES')"
        ));
        assert!(others.is_empty(), "{table} refers to other rows, or has a sequence: {others:?}");
    }
}

/// Every operation of the ledger, and what asks for its rows. Answers the revision.
async fn use_all(admin: &Actor) -> u64 {
    let mut revision = 0;
    admin.put_limit_key("seats", json!({"kind": "count", "default": {"max": 5}})).await.is(201);
    admin
        .put_limit_key("calls", json!({"kind": "quota", "window": "day", "label": "Call", "default": {"max": 5}}))
        .await
        .is(201);
    admin.put_tier("free").await.is(201);
    for org in ["acme", "beta"] {
        revision = admin.put_org(org, "free").await.is(201).revision();
        let body = json!({"org": org, "limitKey": "seats"});
        let items = json!({"org": org, "items": [{"limitKey": "seats"}, {"limitKey": "calls", "amount": 6}]});
        for _ in 0..2 {
            admin.post("/v1/consume", body.clone()).await.is(200);
            admin.post("/v1/consume/batch", items.clone()).await.is(200);
            admin.post("/v1/release", body.clone()).await.is(200);
            admin.check(body.clone()).await.is(200);
        }
        for end in ["confirm", "release"] {
            let id = admin.post("/v1/reservations", body.clone()).await.is(201).text_at("/data/id").to_owned();
            admin.get(&format!("/v1/reservations/{id}")).await.is(200);
            admin.post(&format!("/v1/reservations/{id}/{end}"), json!({})).await.is(200);
        }
        admin.put(&format!("/v1/orgs/{org}/usage/seats"), json!({"current": 2})).await.is(200);
        admin.get(&format!("/v1/orgs/{org}/usage")).await.is(200);
        admin.get(&format!("/v1/orgs/{org}/entitlements")).await.is(200);
    }
    revision
}

/// What a statement calls a table, each time that it names it.
fn names_of<'a>(words: &'a [String], table: &'a str) -> Vec<&'a str> {
    let is_named = |at: &usize| words[*at] == table && ["from", "join", "update", "into"].contains(&words[*at - 1].as_str());
    let alias = |at: usize| match (words.get(at + 1).map(String::as_str), words.get(at + 2)) {
        (Some("as"), Some(alias)) => alias.as_str(),
        (Some(alias), _) if !NO_ALIAS.contains(&alias) => alias,
        (_, _) => table,
    };
    (1..words.len()).filter(is_named).map(alias).collect()
}

/// Whether every row that it names, it names by its org, which is given to the table, or compared to that of what is given.
fn names_rows_by_org(statement: &str, table: &str) -> bool {
    let words = words(statement);
    let flat = words.join(" ");
    let is_given = flat.contains(&format!("into {table} org")) || flat.contains(&format!("into {table} as u org"));
    let is_parameter = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_compared = |name: &&str| {
        let at = |at: usize| words.get(at).map_or("", String::as_str);
        let is_own = |place: usize| at(place) == *name || at(place) == "where";
        (0..words.len())
            .any(|place| is_own(place) && at(place + 1) == "org" && (is_parameter(at(place + 2)) || at(place + 3) == "org"))
    };
    is_given || names_of(&words, table).iter().all(is_compared)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_the_ledger_names_its_rows_by_their_org() {
    let postgres = counting();
    let servers = Plimsoll::all(vec![patient(&postgres); 2]).await;
    let revision = use_all(&servers[0].admin().unjudged()).await;
    // Another process takes too, so that rows are also locked before they are judged.
    for turn in 0..6 {
        let admin = servers[turn % 2].admin().at_least(revision);
        admin.put("/v1/orgs/acme/usage/seats", json!({"current": turn})).await.is(200);
    }
    let statements: BTreeSet<(String, &str)> = executed(&postgres)
        .into_keys()
        .flat_map(|text| HOT.map(|table| (text.clone(), table)))
        .filter(|(text, table)| is_about(text, table))
        .collect();
    assert!(statements.len() > 8, "too few: {statements:#?}");
    assert!(statements.iter().any(|(text, _)| text.contains("FOR UPDATE")), "none locks: {statements:#?}");
    for (text, table) in &statements {
        assert!(names_rows_by_org(text, table), "of {table} by something else than the org: {text}");
    }
    assert!(!names_rows_by_org("DELETE FROM usage WHERE window_end < $1", "usage"), "it tells");
    assert!(
        !names_rows_by_org("SELECT u.used FROM wanted JOIN usage u ON u.limit_key = wanted.limit_key", "usage"),
        "it tells"
    );
}
