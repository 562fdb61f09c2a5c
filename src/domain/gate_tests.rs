//! Every set of refusals that can meet, and which of them wins.

use super::*;
use crate::domain::api_key::OwnRates;
use crate::domain::bound::Quantity;
use crate::domain::names::{RecordId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::testing::*;
use crate::domain::window::Window;

fn noon() -> UtcMillis {
    at("2026-11-22T12:00:00Z")
}

fn good_key() -> ApiKey {
    ApiKey {
        id: RecordId::parse("key_1").expect("an id"),
        org: None,
        user: UserId::parse("jane").ok(),
        scopes: Scopes::built_in(&["read", "write"]),
        expires_at: None,
        revoked: false,
        org_banned: false,
        user_banned: false,
        rates: OwnRates::new(),
    }
}

/// What can be wrong with a request before anything is counted, from the top of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Revoked,
    Expired,
    OrgBanned,
    UserBanned,
    Removed,
    NoScope,
}

const ALL: [Wrong; 6] = [Wrong::Revoked, Wrong::Expired, Wrong::OrgBanned, Wrong::UserBanned, Wrong::Removed, Wrong::NoScope];

fn code(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Revoked | Wrong::Expired => "invalid_api_key",
        Wrong::OrgBanned => "org_banned",
        Wrong::UserBanned => "user_banned",
        Wrong::Removed => "gone",
        Wrong::NoScope => "insufficient_scope",
    }
}

fn judged(wrongs: &[Wrong]) -> Result<(), &'static str> {
    let has = |wrong| wrongs.contains(&wrong);
    let key = ApiKey {
        revoked: has(Wrong::Revoked),
        expires_at: has(Wrong::Expired).then(noon),
        org_banned: has(Wrong::OrgBanned),
        user_banned: has(Wrong::UserBanned),
        scopes: if has(Wrong::NoScope) { Scopes::built_in(&["read"]) } else { Scopes::built_in(&["write"]) },
        ..good_key()
    };
    let gone = has(Wrong::Removed).then(|| ("POST".to_owned(), "/old".to_owned(), None));
    let request = Request { key: Ok(&key), method: Some("POST"), path: Some("/old"), required_scope: None };
    request.admit(&RemovedEndpoints::of(gone), noon()).map_err(|refusal| refusal.code())
}

#[test]
fn of_every_set_of_wrongs_the_highest_on_the_ladder_wins() {
    for set in 0..1_u32 << ALL.len() {
        let wrongs: Vec<Wrong> = (0..).zip(ALL).filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, wrong)| wrong).collect();
        let expected = wrongs.first().map_or(Ok(()), |first| Err(code(*first)));
        assert_eq!(judged(&wrongs), expected, "{wrongs:?}");
    }
}

#[test]
fn a_request_without_a_key_is_refused_before_its_path_is_looked_at() {
    let removed = RemovedEndpoints::of([("GET".to_owned(), "/old".to_owned(), None)]);
    for presented in [Presented::Nothing, Presented::Something] {
        let request = Request { key: Err(presented), method: Some("GET"), path: Some("/old"), required_scope: None };
        assert_eq!(request.admit(&removed, noon()), Err(Refusal::InvalidApiKey(presented)));
    }
}

#[test]
fn the_method_says_which_scope_is_needed_unless_the_request_does() {
    let own: ScopeName = named("reports");
    let with = |scopes: &[&str], method, required_scope| {
        let key = ApiKey { scopes: Scopes::built_in(scopes), ..good_key() };
        let request = Request { key: Ok(&key), method, path: None, required_scope };
        match request.admit(&RemovedEndpoints::default(), noon()) {
            Ok(()) => None,
            Err(Refusal::InsufficientScope { required, .. }) => Some(required.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    };
    for method in ["GET", "HEAD"] {
        assert_eq!(with(&["read"], Some(method), None), None);
        assert_eq!(with(&["write"], Some(method), None).as_deref(), Some("read"));
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"] {
        assert_eq!(with(&["write"], Some(method), None), None);
        assert_eq!(with(&["read"], Some(method), None).as_deref(), Some("write"), "{method}");
    }
    assert_eq!(with(&["read"], None, None).as_deref(), Some("write"));
    assert_eq!(with(&["read", "write"], Some("GET"), Some(&own)).as_deref(), Some("reports"));
    assert_eq!(with(&["reports"], Some("POST"), Some(&own)), None);
}

/// One refusal of each rung that windows and limits can give, in the order of the ladder.
fn counted() -> Vec<Refusal> {
    let quota = |retry_after| Refusal::QuotaExceeded { window: Window::Day, label: "API request".to_owned(), retry_after };
    vec![
        Refusal::RateExceeded { bucket: "v1Api".to_owned(), retry_after: 7 },
        quota(60),
        Refusal::LimitReached { limit_key: named("max_creators_per_org"), current: Quantity::ONE, max: Quantity::ONE },
    ]
}

#[test]
fn of_every_pair_of_refusals_the_lower_rung_wins_in_either_order() {
    let ladder = counted();
    for (place, winner) in ladder.iter().enumerate() {
        for loser in ladder.iter().skip(place + 1) {
            assert_eq!(first([winner, loser]), Some(winner));
            assert_eq!(first([loser, winner]), Some(winner));
        }
    }
    assert_eq!(first([]), None);
}

#[test]
fn of_two_full_windows_the_longer_wait_is_told_and_of_two_limits_the_first_listed() {
    let quota = |window, retry_after| Refusal::QuotaExceeded { window, label: "x".to_owned(), retry_after };
    let (day, month) = (quota(Window::Day, 60), quota(Window::Month, 900));
    assert_eq!(first([&day, &month]), Some(&month));
    assert_eq!(first([&month, &day]), Some(&month));
    let full = |name| Refusal::LimitReached { limit_key: named(name), current: Quantity::ONE, max: Quantity::ONE };
    let sso = Refusal::FeatureUnavailable { limit_key: named("sso") };
    let (a, b) = (full("a"), full("b"));
    assert_eq!(first([&b, &a, &sso]), Some(&b));
    assert_eq!(first([&sso, &a]), Some(&sso));
}
