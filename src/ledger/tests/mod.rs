//! The ledger on a real database file.

mod batches;
pub(super) mod faults;
mod housekeeping;
mod interruptions;
mod memory;
mod sweeps;
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use super::{CounterRef, Kept, Ledger, Operation, Outcome, Render, Taking};
use crate::domain::decision::{Amounts, Decision, Detail};
use crate::domain::limit_key::{LimitKey, Rule};
use crate::domain::refusal::Refusal;
use crate::domain::reservation::{Reservation, ReservationId};
use crate::domain::testing::{at, limit_key, limited, named, of_tier, quantity};
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;
use crate::domain::window::Window;
use crate::store::{Access, IdempotentCall, Recorded, Store, StoreError};

/// More counters than any of these tests has.
const ROOMY: u64 = 10_000;
const PLACES: usize = 8_192;

/// A ledger on a file of its own, with a clock that only the test moves.
struct Scene {
    store: Store,
    ledger: Ledger,
    time: Arc<AtomicI64>,
    dir: TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::with(ROOMY, PLACES).await
    }

    async fn with(counters: u64, places: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let time = Arc::new(AtomicI64::new(noon().get()));
        Self::open(dir, time, counters, places).await
    }

    async fn open(dir: TempDir, time: Arc<AtomicI64>, counters: u64, places: usize) -> Self {
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("plimsoll.db").display());
        let store = Store::open(&url, Access::ReadWrite).await.expect("a database");
        let read = Arc::clone(&time);
        let clock = Arc::new(move || UtcMillis::new(read.load(Ordering::SeqCst)));
        let ledger = Ledger::with_queue(store.clone(), counters, clock, places);
        Self { store, ledger, time, dir }
    }

    /// Stops in good order, and starts again on the same file.
    async fn again(self) -> Self {
        let Self { store, ledger, time, dir } = self;
        ledger.close().await;
        store.close().await.expect("closed");
        drop((store, ledger));
        Self::open(dir, time, ROOMY, PLACES).await
    }

    fn now(&self) -> UtcMillis {
        UtcMillis::new(self.time.load(Ordering::SeqCst))
    }

    fn set(&self, now: UtcMillis) {
        self.time.store(now.get(), Ordering::SeqCst);
    }

    /// Does all of them at the same time: they stand in the queue together, in their order.
    async fn all(&self, operations: Vec<Operation>) -> Vec<Result<Outcome, StoreError>> {
        join_all(operations.into_iter().map(|operation| self.ledger.run(operation))).await
    }

    /// Takes, and says the usage after it; nothing when it was refused.
    async fn take(&self, org: &str, taking: &Taking) -> Option<u64> {
        taken(&self.ledger.run(consume(org, taking)).await.expect("an answer"))
    }

    /// Takes under an idempotency key.
    async fn take_once(&self, key: u8, org: &str, taking: &Taking) -> Result<Kept, StoreError> {
        self.ledger.run_once(consume(org, taking), call(key), None, render()).await
    }

    async fn reserve(&self, number: u128, org: &str, taking: &Taking, ttl_seconds: u64) -> Option<Reservation> {
        let reserve = Operation::Reserve { id: id(org, number), taking: taking.clone(), ttl_seconds };
        match self.ledger.run(reserve).await.expect("an answer") {
            Outcome::Reserved(_, reservation) => reservation,
            other @ (Outcome::Consumed(_)
            | Outcome::Withheld
            | Outcome::Released(_)
            | Outcome::Reconciled(_)
            | Outcome::Settled(_)) => {
                panic!("{other:?}")
            }
        }
    }

    /// What questions are answered with: what is used, and what is held and alive.
    async fn seen(&self, org: &str, taking: &Taking) -> (u64, u64) {
        let org = named(org);
        let key = CounterRef::new(&org, &taking.limit_key, None, self.now());
        let usage = self.ledger.counter(key, std::time::Duration::ZERO).await.expect("a counter").usage(self.now());
        (usage.used.get(), usage.held.get())
    }

    /// What stands in the file.
    async fn stored(&self, org: &str) -> i64 {
        self.scalar(&format!("SELECT COALESCE(SUM(used), 0) FROM usage WHERE org = '{org}'")).await
    }

    async fn scalar(&self, sql: &str) -> i64 {
        let db = self.store.reader();
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.expect("an answer");
        row.expect("a row").try_get_by_index(0).expect("a number")
    }

    /// Changes the database as nobody but a test does.
    async fn execute(&self, sql: &str) {
        let lane = self.store.lane().await.expect("the right to write");
        lane.db().execute_unprepared(sql).await.expect("a statement");
        lane.commit().await.expect("on disk");
    }
}

fn noon() -> UtcMillis {
    at("2026-11-22T12:00:00Z")
}

fn taking(limit_key: LimitKey, max: u64) -> Taking {
    Taking {
        limit_key: Arc::new(limit_key),
        effective: of_tier(Value::Max(limited(max))),
        resource: None,
        amount: quantity(1),
        org_banned: false,
    }
}

/// One seat of at most so many.
fn seat(max: u64) -> Taking {
    taking(limit_key("seats", Rule::Count), max)
}

/// One call of at most so many in a window.
fn call_in(window: Window, max: u64) -> Taking {
    taking(limit_key("calls", Rule::Quota { window, label: "API request".to_owned(), per_request: false }), max)
}

fn of(amount: u64, taking: &Taking) -> Taking {
    Taking { amount: quantity(amount), ..taking.clone() }
}

fn consume(org: &str, taking: &Taking) -> Operation {
    Operation::Consume { org: named(org), takings: vec![taking.clone()] }
}

fn id(org: &str, number: u128) -> ReservationId {
    ReservationId { org: named(org), number }
}

fn call(key: u8) -> IdempotentCall {
    IdempotentCall { caller: "key_1".to_owned(), key_hash: [key; 32], fingerprint: [1; 32], seal: None }
}

/// Answers with the usage after the taking.
fn render() -> Render {
    Box::new(|result| {
        let body = format!("{:?}", taken(result.ok()?)).into_bytes();
        Some(Recorded { status: 200, body, headers: Vec::new() })
    })
}

fn amounts(decision: &Decision) -> Amounts {
    match decision.detail {
        Detail::Count(amounts) | Detail::Quota { amounts, .. } => amounts,
        Detail::Rate { .. } | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => {
            panic!("not a limit that is taken from")
        }
    }
}

fn taken(outcome: &Outcome) -> Option<u64> {
    let Outcome::Consumed(decisions) = outcome else { panic!("{outcome:?}") };
    let [decision] = decisions.as_slice() else { panic!("{decisions:?}") };
    decision.refusal.is_none().then(|| amounts(decision).current.get())
}

fn refusal(outcome: Outcome) -> Option<Refusal> {
    let Outcome::Consumed(mut decisions) = outcome else { panic!("{outcome:?}") };
    decisions.pop().expect("a decision").refusal
}
