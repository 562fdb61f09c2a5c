//! The rates that API keys have of their own.

use super::super::commands::{ApplyPlan, ArchiveLimitKey, DeleteLimitKey, DeleteOrg, PatchApiKey};
use super::constraints::execute;
use super::*;
use crate::domain::api_key::OwnRates;
use crate::domain::bound::Bound;
use crate::domain::names::RecordId;
use crate::domain::plan::Plan;
use crate::domain::value::Value;

fn rate() -> Rule {
    Rule::Rate { window_seconds: 60, bucket: "v1Api".to_owned(), per_request: true }
}

fn written(rates: &[(&str, u64)]) -> WrittenRates {
    rates.iter().map(|(name, limit)| (p(name), written_max(*limit))).collect()
}

fn own(rates: &[(&str, u64)]) -> OwnRates {
    rates.iter().map(|(name, limit)| (p(name), Value::Max(Bound::Limited(Quantity::saturating(*limit))))).collect()
}

fn rates(id: &RecordId, rates: &[(&str, u64)]) -> PatchApiKey {
    let rates = Some(written(rates));
    PatchApiKey { id: id.clone(), name: None, user: None, scopes: None, expires_at: None, rates, revoked: None }
}

async fn with_rates() -> Db {
    let db = Db::furnished().await;
    db.limit_key("minute", rate()).await;
    db.limit_key("hour", rate()).await;
    db
}

#[tokio::test]
async fn a_keys_own_rates_are_kept_replaced_and_cleared() {
    let db = with_rates().await;
    let command =
        CreateApiKey { rates: written(&[("minute", 600), ("hour", 0)]), ..create_key(1, Some("acme"), &["read", "write"]) };
    let made = db.run(command).await.expect("an API key");
    let id = &made.value.id;
    let presented = async || db.store.api_key_by_hash(&[1; 32], now()).await.expect("read").expect("found");
    assert_eq!(db.store.api_key(id, now()).await, Ok(made.clone()));
    assert_eq!(
        (made.value.rates, presented().await.rates),
        (own(&[("minute", 600), ("hour", 0)]), own(&[("minute", 600), ("hour", 0)]))
    );
    assert_eq!(presented().await.scopes.to_string(), "[read, write]", "each is there once");
    assert_eq!(db.store.rates_of_key(id).await, Ok(Some((Some(p("acme")), own(&[("minute", 600), ("hour", 0)])))));

    let unlimited = WrittenRates::from([(p("minute"), WrittenValue { unlimited: Some(true), ..WrittenValue::default() })]);
    let changed = db.run(PatchApiKey { rates: Some(unlimited), ..rates(id, &[]) }).await.expect("patched");
    assert_eq!(changed.value.rates, OwnRates::from([(p("minute"), Value::Max(Bound::Unlimited))]));
    assert_eq!((changed.revision, presented().await.rates), (made.revision + 1, changed.value.rates.clone()));
    let same = db.run(PatchApiKey { rates: None, ..rates(id, &[]) }).await.expect("nothing to change");
    assert_eq!(same, changed);
    let cleared = db.run(rates(id, &[])).await.expect("patched");
    assert_eq!((cleared.value.rates, presented().await.rates), (OwnRates::new(), OwnRates::new()));
    assert_eq!(db.store.rates_of_key(&p("key_none")).await, Ok(None));
}

#[tokio::test]
async fn only_limit_keys_of_kind_rate_are_named_by_a_key() {
    let db = with_rates().await;
    let wrong = written(&[("seats", 1), ("none", 1), ("minute", 1)]);
    let refused = db.run(CreateApiKey { rates: wrong, ..create_key(1, Some("acme"), &["nothing"]) }).await;
    assert_eq!(paths(refused), ["scopes[0]", "rateLimits.none", "rateLimits.seats"]);
    let id = db.api_key(1, Some("acme"), &["read"]).await.value.id;
    let days = WrittenRates::from([(p("minute"), WrittenValue { days: Some(Quantity::ONE), ..WrittenValue::default() })]);
    assert_eq!(paths(db.run(PatchApiKey { rates: Some(days), ..rates(&id, &[]) }).await), ["rateLimits.minute"]);
    db.run(rates(&id, &[("minute", 5)])).await.expect("patched");
    db.run(ArchiveLimitKey { name: p("minute"), replacement: None }).await.expect("archived");
    assert_eq!(paths(db.run(rates(&id, &[("minute", 6)])).await), ["rateLimits.minute"]);
    let kept = db.run(rates(&id, &[("minute", 5), ("hour", 5)])).await.expect("what it had may stay");
    assert_eq!(kept.value.rates, own(&[("minute", 5), ("hour", 5)]));
    let platforms = db.run(CreateApiKey { rates: written(&[("hour", 1)]), ..create_key(2, None, &["read"]) }).await;
    assert_eq!(paths(platforms), ["rateLimits"], "a platform key has no windows");
}

#[tokio::test]
async fn a_limit_key_that_a_key_names_stays_and_stays_a_rate() {
    let db = with_rates().await;
    let made = db.run(CreateApiKey { rates: written(&[("minute", 5)]), ..create_key(1, Some("acme"), &[]) }).await;
    let id = made.expect("an API key").value.id;
    let delete = || DeleteLimitKey { name: p("minute") };
    assert!(is_conflict(&db.run(delete()).await));
    assert!(is_conflict(&db.run(PutLimitKey { limit_key: limit_key("minute", Rule::Count) }).await));
    let to_count = Plan { limit_keys: [(p("minute"), limit_key("minute", Rule::Count))].into(), ..Plan::default() };
    let apply = |dry_run| ApplyPlan { change: to_count.clone(), prune: false, dry_run };
    assert_eq!(paths(db.run(apply(true)).await), ["limitKeys.minute.kind"]);
    assert_eq!(paths(db.run(apply(false)).await), ["limitKeys.minute.kind"]);
    db.limit_key("minute", Rule::Rate { window_seconds: 1, bucket: "b".to_owned(), per_request: false }).await;
    for sql in [
        "UPDATE limit_key SET kind = 'count', window_seconds = NULL, bucket = NULL, per_request = NULL WHERE name = 'minute'",
        "DELETE FROM limit_key WHERE name = 'minute'",
        "UPDATE api_key_rate SET limit_key = 'seats'",
        "UPDATE api_key_rate SET kind = 'count'",
        "UPDATE api_key_rate SET max = -1",
        "UPDATE api_key_rate SET key_id = 'none'",
    ] {
        let error = execute(&db, sql).await.expect_err(sql).to_string();
        assert!(error.contains("constraint failed"), "{sql}: {error}");
    }
    db.run(rates(&id, &[])).await.expect("patched");
    db.run(apply(true)).await.expect("nothing is in its way");
    db.run(rates(&id, &[("minute", 5)])).await.expect("patched");
    db.run(DeleteOrg { id: p("acme") }).await.expect("deleted");
    assert_eq!(count(&db.store, "SELECT count(*) FROM api_key_rate").await, 0);
    db.run(delete()).await.expect("nobody names it any more");
}

#[tokio::test]
async fn a_database_of_the_version_before_keeps_its_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let older = at_step(&dir, 8).await;
    let rows = "INSERT INTO api_key (revision, id, name, created_at, updated_at) VALUES (1, 'key_1', 'k', 1, 1);
        INSERT INTO api_key_secret (hash, key_id, shown, created_at) VALUES (zeroblob(32), 'key_1', 'plm_00000000', 1)";
    older.execute_unprepared(rows).await.expect("rows");
    older.close().await.expect("closed");
    let store = Store::open(&url(&dir), Access::ReadWrite).await.expect("opened");
    let key = store.api_key(&p("key_1"), now()).await.expect("a key").value;
    assert_eq!((key.rates, key.last_used_at), (OwnRates::new(), None));
    assert!(store.api_key_by_hash(&[0; 32], now()).await.expect("read").is_some());
}
