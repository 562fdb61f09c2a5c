//! The store on real files.

mod answers;
mod answers_model;
mod audit_sweep;
mod checkpoint;
mod constraints;
mod key_rates;
mod key_uses;
mod keys;
mod limits;
mod once;
mod opening;
mod orgs;
mod paging;
mod plan;
mod plan_random;
mod revisions;

use std::str::FromStr;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::Map;
use tempfile::TempDir;

use super::commands::{CreateApiKey, NewSecret, PutLimitKey, PutOrg, PutTier, PutTierLimit, WrittenRates};
use super::{
    Access, Actor, ApiKeyInfo, Command, Created, Expected, IfMatch, Org, PageRequest, Store, StoreError, Stored, TierInfo,
    WriteContext, Written,
};
use crate::domain::bound::Quantity;
use crate::domain::issue::Invalid;
use crate::domain::limit_key::{LimitKey, Per, Rule};
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;
use crate::domain::window::Window;

/// A store on a file of its own, and the commands that most tests start from.
struct Db {
    store: Store,
    dir: TempDir,
}

impl Db {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&url(&dir), Access::ReadWrite).await.expect("a new database");
        Self { store, dir }
    }

    /// One with the tier `free`, the count key `seats` and the org `acme`.
    async fn furnished() -> Self {
        let db = Self::new().await;
        db.tier("free").await;
        db.limit_key("seats", Rule::Count).await;
        db.org("acme").await;
        db
    }

    async fn run<C: Command>(&self, command: C) -> Result<C::Output, StoreError> {
        self.store.run(context(), command).await.map(|written| written.output)
    }

    async fn run_expecting<C: Command>(&self, expected: Expected, command: C) -> Result<Written<C::Output>, StoreError> {
        self.store.run(WriteContext { expected, ..context() }, command).await
    }

    async fn tier(&self, name: &str) -> (Stored<TierInfo>, Created) {
        self.run(PutTier { tier: tier(name) }).await.expect("a tier")
    }

    async fn limit_key(&self, name: &str, rule: Rule) -> (Stored<LimitKey>, Created) {
        self.run(PutLimitKey { limit_key: limit_key(name, rule) }).await.expect("a limit key")
    }

    async fn org(&self, id: &str) -> (Stored<Org>, Created) {
        self.run(put_org(id, "free")).await.expect("an org")
    }

    async fn max(&self, tier: &str, limit_key: &str, max: u64) -> Result<(), StoreError> {
        let command = PutTierLimit { tier: p(tier), limit_key: p(limit_key), value: written_max(max) };
        self.run(command).await.map(|_| ())
    }

    async fn api_key(&self, secret: u8, org: Option<&str>, scopes: &[&str]) -> Stored<ApiKeyInfo> {
        self.run(create_key(secret, org, scopes)).await.expect("an API key")
    }
}

fn url(dir: &TempDir) -> String {
    format!("sqlite://{}?mode=rwc", dir.path().join("p.db").display())
}

/// The database as an earlier version left it: after so many steps.
async fn at_step(dir: &TempDir, steps: u32) -> DatabaseConnection {
    let older = Database::connect(url(dir)).await.expect("a database");
    Migrator::up(&older, Some(steps)).await.expect("built");
    older
}

/// The number that a statement answers.
async fn count(store: &Store, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let row = store
        .0
        .lane
        .lock()
        .await
        .connection
        .as_ref()
        .expect("a writer")
        .query_one_raw(statement)
        .await
        .expect("read")
        .expect("a row");
    row.try_get_by_index(0).expect("a number")
}

fn p<T: FromStr<Err = Invalid>>(text: &str) -> T {
    text.parse().expect(text)
}

fn at(text: &str) -> UtcMillis {
    UtcMillis::parse(text).expect(text)
}

fn now() -> UtcMillis {
    at("2026-11-22T12:00:00Z")
}

fn context() -> WriteContext {
    WriteContext { actor: Actor::CommandLine, now: now(), request_id: Some("req-1".to_owned()), expected: Expected::default() }
}

fn revisions(revisions: &[u64]) -> Expected {
    Expected { if_match: Some(IfMatch::Revisions(revisions.to_vec())), absent: false }
}

fn page(limit: u64) -> PageRequest {
    PageRequest { limit, after: None }
}

fn tier(name: &str) -> TierInfo {
    TierInfo { name: p(name), display_name: name.to_uppercase(), description: String::new() }
}

fn limit_key(name: &str, rule: Rule) -> LimitKey {
    let default = rule.kind().nothing();
    LimitKey {
        name: p(name),
        rule,
        per: Per::Org,
        default,
        thresholds: None,
        description: "For tests".to_owned(),
        archived: None,
    }
}

fn rules() -> [Rule; 6] {
    [
        Rule::Count,
        Rule::Quota { window: Window::Day, label: "API request".to_owned(), per_request: true },
        Rule::Rate { window_seconds: 60, bucket: "v1Api".to_owned(), per_request: false },
        Rule::Retention,
        Rule::Interval { unit: "hours".to_owned() },
        Rule::Feature,
    ]
}

fn put_org(id: &str, tier: &str) -> PutOrg {
    PutOrg { id: p(id), tier: p(tier), scheduled: Vec::new(), name: "Acme".to_owned(), metadata: Map::new() }
}

fn written_max(max: u64) -> WrittenValue {
    WrittenValue { max: Some(Quantity::saturating(max)), ..WrittenValue::default() }
}

fn secret(byte: u8) -> NewSecret {
    NewSecret { hash: [byte; 32], shown: format!("plm_{byte:08x}") }
}

fn create_key(byte: u8, org: Option<&str>, scopes: &[&str]) -> CreateApiKey {
    CreateApiKey {
        name: "Test".to_owned(),
        org: org.map(p),
        user: None,
        scopes: scopes.iter().copied().map(p).collect(),
        expires_at: None,
        rates: WrittenRates::new(),
        secret: secret(byte),
    }
}

/// The paths of the findings of a refusal.
fn paths<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Vec<String> {
    match result {
        Err(StoreError::Invalid(issues)) => issues.into_iter().map(|issue| issue.path).collect(),
        other => panic!("not a refusal of the body: {other:?}"),
    }
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}
