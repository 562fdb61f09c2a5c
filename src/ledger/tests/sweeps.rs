//! What housekeeping deletes, how much at a time, and what it never touches.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;

use crate::domain::bound::Quantity;
use crate::domain::effective::{Effective, Source};
use crate::domain::limit_key::{LimitKey, Per, Rule};
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;
use crate::domain::window::Window;
use crate::ledger::{Ledger, Operation, Swept, Taking};
use crate::store::{Access, Store};

const DAY: i64 = 86_400_000;

fn at(text: &str) -> UtcMillis {
    UtcMillis::parse(text).expect(text)
}

fn now() -> UtcMillis {
    at("2026-11-22T12:00:00Z")
}

struct Ground {
    ledger: Ledger,
    store: Store,
    _folder: TempDir,
}

impl Ground {
    async fn at(moment: UtcMillis) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("p.db").display());
        let store = Store::open(&url, Access::ReadWrite).await.expect("a database");
        let ledger = Ledger::start(store.clone(), 100, Arc::new(move || moment));
        Self { ledger, store, _folder: folder }
    }

    async fn execute(&self, sql: &str) {
        let lane = self.store.lane().await.expect("the lane");
        lane.db().execute_unprepared(sql).await.expect(sql);
        lane.commit().await.expect("committed");
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.store.reader().query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.expect(sql);
        rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
    }

    async fn orgs(&self) -> Vec<String> {
        self.texts("SELECT org FROM usage ORDER BY org").await
    }

    async fn take(&self, rule: Rule) {
        let value = Value::Max(crate::domain::bound::Bound::Limited(Quantity::saturating(100)));
        let name = "calls".parse().expect("a name");
        let limit_key = LimitKey {
            name,
            rule,
            per: Per::Org,
            default: value,
            thresholds: None,
            description: String::new(),
            archived: None,
        };
        let effective = Effective { value, source: Source::Default };
        let amount = Quantity::saturating(1);
        let taking = Taking { limit_key: Arc::new(limit_key), effective, resource: None, amount, org_banned: false };
        let consume = Operation::Consume { org: "acme".parse().expect("an id"), takings: vec![taking] };
        self.ledger.run(consume).await.expect("taken");
    }
}

fn day_window(org: &str, days_ago: i64) -> String {
    let start = at("2026-11-22T00:00:00Z").get() - days_ago * DAY;
    format!("('{org}', 'calls', '', {start}, {}, 7, 0)", start + DAY)
}

fn quota(window: Window) -> Rule {
    Rule::Quota { window, label: "call".to_owned(), per_request: false }
}

#[tokio::test]
async fn windows_go_when_they_ended_longer_ago_than_the_setting_says() {
    let ground = Ground::at(now()).await;
    let windows: Vec<String> =
        [("today", 0), ("three", 4), ("seven", 8), ("nine", 10)].map(|(org, ago)| day_window(org, ago)).into();
    ground.execute(&format!("INSERT INTO usage VALUES {}, ('count', 'seats', '', 0, NULL, 7, 0)", windows.join(", "))).await;
    let sweep = async |days| ground.ledger.sweep(now(), days).await.expect("swept").windows;
    assert_eq!((sweep(30).await, sweep(8).await), (0, 1));
    assert_eq!(ground.orgs().await, ["count", "seven", "three", "today"]);
    assert_eq!(sweep(7).await, 1);
    assert_eq!(sweep(1).await, 1);
    assert_eq!(ground.orgs().await, ["count", "today"], "counts have no end, and the present window has not come to it");
}

#[tokio::test]
async fn a_step_deletes_a_bounded_number_and_says_whether_there_may_be_more() {
    let ground = Ground::at(now()).await;
    let rows: Vec<String> = (0..1_100).map(|number| day_window(&format!("org-{number}"), 30)).collect();
    ground.execute(&format!("INSERT INTO usage VALUES {}, {}", rows.join(", "), day_window("today", 0))).await;
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(ground.ledger.sweep(now(), 7).await.expect("swept"));
    }
    assert_eq!(steps.iter().map(|step| step.windows).collect::<Vec<_>>(), [500, 500, 100, 0]);
    assert_eq!(steps.iter().map(|step| step.is_full()).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(ground.orgs().await, ["today"]);
}

#[tokio::test]
async fn reservations_go_a_day_after_their_time_and_never_while_they_hold() {
    let ground = Ground::at(now()).await;
    let row = |id: &str, status: &str, hours: i64| {
        let end = now().get() + hours * 3_600_000;
        let settled = if status == "held" { "NULL".to_owned() } else { (end - 2).to_string() };
        format!("('acme', 'seats', '', 0, '{id}', NULL, 1, '{status}', NULL, {}, {end}, {settled})", end - 3)
    };
    let rows = [
        row("alive", "held", 1),
        row("dead", "held", -23),
        row("gone", "held", -24),
        row("back", "released", -23),
        row("long-back", "released", -25),
    ];
    let columns = "org, limit_key, resource, window_start, id, window_end, amount, status, confirmed, created_at, expires_at, \
                   settled_at";
    ground.execute(&format!("INSERT INTO reservation ({columns}) VALUES {}", rows.join(", "))).await;
    assert_eq!(ground.ledger.sweep(now(), 7).await, Ok(Swept { windows: 0, reservations: 2 }));
    assert_eq!(ground.texts("SELECT id FROM reservation ORDER BY id").await, ["alive", "back", "dead"]);
}

#[tokio::test]
async fn a_counter_whose_window_became_longer_is_kept_as_long_as_it_counts() {
    let first = Ground::at(at("2026-11-01T09:00:00Z")).await;
    first.take(quota(Window::Day)).await;
    first.take(quota(Window::Month)).await;
    let later = at("2026-11-22T12:00:00Z");
    assert_eq!(first.ledger.sweep(later, 7).await.expect("swept").windows, 0, "the month is not over");
    assert_eq!(first.texts("SELECT used || '' FROM usage").await, ["2"]);
    assert_eq!(first.ledger.sweep(at("2026-12-09T00:00:00Z"), 7).await.expect("swept").windows, 1);
}
