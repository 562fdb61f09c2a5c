//! Lists: every page in order, nothing twice, nothing left out.

use super::super::commands::{BanUser, PutScope, PutTier};
use super::super::{ApiKeyFilter, AuditEntry, AuditFilter, Listing, Object, OrgFilter, PageRequest, StoreError};
use super::*;

/// The keys of all pages of this size, each asked for with the key that the page before answered.
async fn all_keys<T>(
    limit: u64,
    page: impl AsyncFn(PageRequest) -> Result<Listing<T>, StoreError>,
    key: impl Fn(&T) -> String,
) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let listing = page(PageRequest { limit, after }).await.expect("a page");
        assert!(listing.items.len() <= usize::try_from(limit).expect("small"));
        assert!(listing.next.is_none() || !listing.items.is_empty(), "an empty page leads nowhere");
        keys.extend(listing.items.iter().map(&key));
        after = match listing.next {
            Some(next) => Some(next),
            None => return keys,
        };
    }
}

#[tokio::test]
async fn pages_of_every_size_hold_the_whole_list_in_order() {
    let db = Db::furnished().await;
    for number in 0..6 {
        db.org(&format!("org-{number}")).await;
        db.api_key(number, Some("acme"), &["read"]).await;
    }
    for limit in 1..=8 {
        let store = &db.store;
        let orgs = all_keys(limit, async |page| store.orgs(&page, &OrgFilter::default()).await, |org| org.value.id.to_string());
        assert_eq!(orgs.await, ["acme", "org-0", "org-1", "org-2", "org-3", "org-4", "org-5"], "{limit}");
        let filter = ApiKeyFilter { org: Some(p("acme")), user: None };
        let keys = async |page| store.api_keys(&page, &filter, now()).await;
        let shown: Vec<_> = (0..6).map(|byte| secret(byte).shown).collect();
        assert_eq!(all_keys(limit, keys, |key| key.value.shown.concat()).await, shown, "{limit}");
    }
}

#[tokio::test]
async fn scopes_are_paged_across_the_built_in_ones() {
    let db = Db::new().await;
    let scopes =
        async |limit| all_keys(limit, async |page| db.store.scopes(&page).await, |scope| scope.value.name.to_string()).await;
    for limit in 1..=4 {
        assert_eq!(scopes(limit).await, ["read", "write", "admin"], "{limit}");
    }
    for name in ["zebra", "alpha"] {
        db.run(PutScope { name: p(name), description: String::new() }).await.expect("a scope");
    }
    for limit in 1..=6 {
        assert_eq!(scopes(limit).await, ["read", "write", "admin", "alpha", "zebra"], "{limit}");
    }
}

#[tokio::test]
async fn the_log_is_read_newest_first_and_filtered() {
    let db = Db::furnished().await;
    let by_ann = WriteContext { actor: Actor::Token("ann".to_owned()), now: at("2026-12-01T00:00:00Z"), ..context() };
    db.store.run(by_ann, BanUser { id: p("bob"), reason: Some("spam".to_owned()) }).await.expect("banned");
    let revision = |entry: &AuditEntry| entry.revision.to_string();
    let found = async |filter: &AuditFilter| all_keys(2, async |page| db.store.audit(&page, filter).await, revision).await;
    let none = AuditFilter::default();
    assert_eq!(found(&none).await, ["4", "3", "2", "1"]);
    let later = Some(at("2026-11-30T00:00:00Z"));
    let cases = [
        (AuditFilter { object: Some(Object::Tier), ..none.clone() }, vec!["1"]),
        (AuditFilter { object_id: Some("seats".to_owned()), ..none.clone() }, vec!["2"]),
        (AuditFilter { org: Some(p("acme")), ..none.clone() }, vec!["3"]),
        (AuditFilter { actor: Some("ann".to_owned()), ..none.clone() }, vec!["4"]),
        (AuditFilter { actor: Some("commandLine".to_owned()), ..none.clone() }, vec!["3", "2", "1"]),
        (AuditFilter { action: Some("ban".to_owned()), ..none.clone() }, vec!["4"]),
        (AuditFilter { from: later, ..none.clone() }, vec!["4"]),
        (AuditFilter { to: later, ..none.clone() }, vec!["3", "2", "1"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&filter).await, expected, "{filter:?}");
    }
    let bad = PageRequest { limit: 1, after: Some("x".to_owned()) };
    assert_eq!(paths(db.store.audit(&bad, &none).await), ["cursor"]);
}

#[tokio::test]
async fn an_entry_says_who_did_what_before_and_after() {
    let db = Db::furnished().await;
    let renamed = TierInfo { display_name: "Free of charge".to_owned(), ..tier("free") };
    db.run(PutTier { tier: renamed }).await.expect("replaced");
    let entry = db.store.audit(&page(1), &AuditFilter::default()).await.expect("the log").items.remove(0);
    let name = |json: &Option<serde_json::Value>| json.as_ref().map(|json| json["name"].to_string());
    assert_eq!((name(&entry.before), name(&entry.after)), (Some("\"FREE\"".into()), Some("\"Free of charge\"".into())));
    assert_eq!((entry.action.as_str(), entry.actor, entry.request_id), ("update", Actor::CommandLine, Some("req-1".into())));
    db.api_key(7, None, &["admin"]).await;
    let entry = db.store.audit(&page(1), &AuditFilter::default()).await.expect("the log").items.remove(0);
    let told = serde_json::to_string(&entry).expect("JSON");
    assert!(told.contains("plm_00000007") && !told.contains("hash") && !told.contains(&"07".repeat(32)), "{told}");
}
