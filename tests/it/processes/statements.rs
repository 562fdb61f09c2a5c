//! What PostgreSQL is asked for takings and for questions about them, as it counts that itself.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};

use super::patient;
use crate::harness::postgres::until;
use crate::harness::{Actor, Plimsoll, Postgres};

const CALLERS: usize = 100;
/// What takings are kept in.
const TABLES: [&str; 4] = ["usage", "reservation", "answer", "limit_key_use"];

/// A PostgreSQL that counts statements.
pub(super) fn counting() -> Postgres {
    let postgres = Postgres::with(|options| options.setting("shared_preload_libraries", "pg_stat_statements"));
    postgres.sql("CREATE EXTENSION pg_stat_statements");
    postgres
}

/// One process on it, with a count for each project, which was taken from before.
async fn product(postgres: &Postgres) -> (Plimsoll, Actor) {
    let server = Plimsoll::on(patient(postgres)).await;
    let admin = server.admin().unjudged();
    admin.put_limit_key("posts", json!({"kind": "count", "per": "project", "default": {"max": 1_000_000}})).await.is(201);
    admin.put_tier("free").await.is(201);
    for org in (0..CALLERS).map(org) {
        admin.put_org(&org, "free").await.is(201);
    }
    admin.post("/v1/consume", taking(0, "first")).await.is(200);
    (server, admin)
}

fn org(number: usize) -> String {
    format!("org-{number}")
}

fn taking(number: usize, project: &str) -> Value {
    json!({"org": org(number), "limitKey": "posts", "resource": project})
}

/// How often each statement was executed for the program.
pub(super) fn executed(postgres: &Postgres) -> BTreeMap<String, i64> {
    let query = "SELECT query, calls FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'plimsoll'";
    let mut executed = BTreeMap::new();
    for row in postgres.sql(query) {
        *executed.entry(row[0].clone()).or_default() += row[1].parse::<i64>().expect("a number");
    }
    executed
}

/// The words of a statement, in lower case.
pub(super) fn words(statement: &str) -> Vec<String> {
    let lower = statement.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub(super) fn is_about(statement: &str, table: &str) -> bool {
    words(statement).windows(2).any(|pair| ["from", "join", "into", "update"].contains(&pair[0].as_str()) && pair[1] == table)
}

/// The statements about these tables that something executes, and how often.
async fn statements_of(postgres: &Postgres, tables: &[&str], does: impl AsyncFnOnce()) -> BTreeMap<String, i64> {
    let before = executed(postgres);
    does().await;
    let mut after = executed(postgres);
    after.retain(|statement, calls| {
        *calls -= before.get(statement).copied().unwrap_or_default();
        *calls > 0 && tables.iter().any(|table| is_about(statement, table))
    });
    after
}

/// Somebody who keeps everybody else from the counters.
struct Locked(Child);

impl Locked {
    fn counters(postgres: &Postgres) -> Self {
        let mut psql = postgres.psql();
        let mut child = psql.args(["-X", "-q", &postgres.url()]).stdin(Stdio::piped()).spawn().expect("psql");
        let lock = b"BEGIN; LOCK TABLE usage IN ACCESS EXCLUSIVE MODE;\n";
        std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), lock).expect("psql reads");
        until("the counters are locked", || is_locked(postgres, true) == 1);
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many have a lock on the counters, the strongest there is; or how many wait for any.
fn is_locked(postgres: &Postgres, is_granted: bool) -> i64 {
    let mode = if is_granted { "AND mode = 'AccessExclusiveLock'" } else { "" };
    let granted = if is_granted { "granted" } else { "NOT granted" };
    postgres.number(&format!("SELECT count(*) FROM pg_locks WHERE relation = 'usage'::regclass AND {granted} {mode}"))
}

async fn connections(server: &Plimsoll) -> usize {
    let metrics = server.anonymous().get("/metrics").await;
    let line = metrics.text.lines().find_map(|line| line.strip_prefix("plimsoll_connections "));
    line.and_then(|figure| figure.parse().ok()).expect("a number")
}

/// Lets one caller wait for the database, and then all others for that one; then everybody goes on.
async fn behind_one<F: Future<Output = ()> + Send + 'static>(
    (postgres, server): (&Postgres, &Plimsoll),
    call: impl Fn(usize) -> F,
) {
    let locked = block_in_place(|| Locked::counters(postgres));
    let mut callers = JoinSet::new();
    callers.spawn(call(0));
    block_in_place(|| until("the first one waits", || is_locked(postgres, false) == 1));
    (1..CALLERS).map(call).for_each(|call| drop(callers.spawn(call)));
    while connections(server).await < CALLERS {
        tokio::task::yield_now().await;
    }
    drop(locked);
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_do_not_grow_with_what_is_taken() {
    let postgres = counting();
    let (_server, admin) = product(&postgres).await;
    let take = async |projects: std::ops::Range<usize>, key: Option<&str>| {
        let items: Vec<Value> = projects.map(|n| json!({"limitKey": "posts", "resource": format!("p-{n}")})).collect();
        let mut request = admin.request("POST", "/v1/consume/batch");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let taken = request.json(&json!({"org": org(0), "items": items})).send().await;
        assert_eq!(taken.is(200).data()["allowed"], json!(true), "{}", taken.text);
    };
    // New counters, then the same again; without an idempotency key and under one.
    for (start, key) in [(0, None), (0, None), (100, Some("new")), (100, Some("known"))] {
        let of_one = statements_of(&postgres, &TABLES, async || take(start..start + 1, key).await).await;
        let other = key.as_ref().map(|key| format!("{key}-too"));
        let of_many = statements_of(&postgres, &TABLES, async || take(start + 1..start + 21, other.as_deref()).await).await;
        assert!(!of_one.is_empty());
        assert_eq!(of_one, of_many);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_wait_are_written_together_and_nobody_is_notified() {
    let postgres = counting();
    let (server, admin) = product(&postgres).await;
    let notified = |executed: &BTreeMap<String, i64>| -> i64 {
        executed.iter().filter(|(statement, _)| statement.contains("pg_notify")).map(|(_, calls)| calls).sum()
    };
    let before = notified(&executed(&postgres));
    let statements = statements_of(&postgres, &TABLES, async || {
        let call = |number: usize| {
            let admin = admin.clone();
            async move {
                let taken = admin.post("/v1/consume", taking(number, "p-1")).await;
                assert_eq!(taken.is(200).data()["allowed"], json!(true), "{}", taken.text);
            }
        };
        behind_one((&postgres, &server), call).await;
    })
    .await;
    let most = statements.values().max().copied().expect("statements");
    assert!(most <= i64::try_from(CALLERS / 2).expect("a number"), "{CALLERS} takings were {statements:#?}");
    assert_eq!(notified(&executed(&postgres)), before, "a taking notifies");
    admin.put_org("another", "free").await.is(201);
    assert_eq!(notified(&executed(&postgres)), before + 1, "a change of the catalogue does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_about_tracked_usage_are_read_together() {
    let postgres = counting();
    let (server, admin) = product(&postgres).await;
    let question = |number: usize| taking(number, "p-1");
    let admin = Arc::new(admin);
    let statements = statements_of(&postgres, &TABLES, async || {
        let call = |number: usize| {
            let admin = Arc::clone(&admin);
            async move {
                assert_eq!(admin.check(question(number)).await.is(200).data()["current"], json!(0));
            }
        };
        behind_one((&postgres, &server), call).await;
    })
    .await;
    let [(statement, calls)] = statements.iter().collect::<Vec<_>>()[..] else { panic!("one statement: {statements:#?}") };
    let most = i64::try_from(CALLERS / 2).expect("a number");
    assert!(*calls <= most, "{calls} times {statement}");
    let checks: Vec<Value> = (0..CALLERS).map(question).collect();
    let together = statements_of(&postgres, &TABLES, async || {
        admin.post("/v1/check/batch", json!({"checks": checks})).await.is(200);
    })
    .await;
    assert!(together.len() == 1 && together[statement] <= most, "{CALLERS} in one batch were {together:#?}");
}
