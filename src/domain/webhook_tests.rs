//! Which events an endpoint is told of, and when a delivery is tried again.

use super::*;
use crate::domain::testing::named;

fn now() -> UtcMillis {
    UtcMillis::new(1_000_000)
}

fn occurrence<'a>(kind: EventKind, org: Option<&'a OrgId>) -> Occurrence<'a> {
    Occurrence { kind, org, webhook: None }
}

#[test]
fn an_endpoint_is_told_of_what_it_wants() {
    let (id, acme, globex): (RecordId, OrgId, OrgId) = (named("whk_1"), named("acme"), named("globex"));
    let all = Wanted::default();
    for kind in EventKind::ALL.into_iter().filter(|kind| *kind != EventKind::WebhookTested) {
        assert!(all.takes(&id, occurrence(kind, Some(&acme))) && all.takes(&id, occurrence(kind, None)), "{kind}");
    }
    let some = Wanted { types: Some(BTreeSet::from([EventKind::OrgBanned])), org: Some(acme.clone()) };
    assert!(some.takes(&id, occurrence(EventKind::OrgBanned, Some(&acme))));
    assert!(!some.takes(&id, occurrence(EventKind::OrgUnbanned, Some(&acme))));
    assert!(!some.takes(&id, occurrence(EventKind::OrgBanned, Some(&globex))));
    assert!(!some.takes(&id, occurrence(EventKind::OrgBanned, None)));
}

#[test]
fn a_test_is_for_the_endpoint_that_is_tested() {
    let some = Wanted { types: Some(BTreeSet::from([EventKind::OrgBanned])), org: Some(named("acme")) };
    let test = |webhook| Occurrence { kind: EventKind::WebhookTested, org: None, webhook: Some(webhook) };
    assert!(some.takes(&named("whk_1"), test("whk_1")));
    assert!(!Wanted::default().takes(&named("whk_2"), test("whk_1")));
}

#[test]
fn only_2xx_is_a_success_and_410_is_the_end() {
    let schedule = Schedule::default();
    for status in [200, 204, 299] {
        assert_eq!(schedule.after(Some(status), 3, now(), 50), Next::Delivered);
    }
    assert_eq!(schedule.after(Some(410), 0, now(), 50), Next::Gone);
    for status in [Some(100), Some(199), Some(301), Some(302), Some(307), Some(400), Some(429), Some(500), None] {
        assert!(matches!(schedule.after(status, 0, now(), 50), Next::Again(_)), "{status:?}");
    }
}

#[test]
fn a_delivery_is_tried_for_three_days_with_waits_that_grow() {
    let schedule = Schedule::default();
    let waits = |chance| {
        let next = |failures| match schedule.after(None, failures, now(), chance) {
            Next::Again(at) => at.get() - now().get(),
            other @ (Next::Delivered | Next::GivenUp | Next::Gone) => panic!("{other:?}"),
        };
        (0..9).map(next).collect::<Vec<_>>()
    };
    let (least, most) = (waits(0), waits(99));
    assert_eq!(least[..2], [4_000, 240_000]);
    assert_eq!(most[..2], [6_000, 360_000]);
    assert!(least.is_sorted() && most.is_sorted());
    let hours = |waits: &[i64]| waits.iter().sum::<i64>() / 3_600_000;
    assert_eq!((hours(&least), hours(&most)), (60, 90));
    assert_eq!(schedule.after(Some(500), 9, now(), 0), Next::GivenUp);
}

#[test]
fn a_schedule_is_written_as_seconds() {
    assert_eq!("1, 2,604800".parse::<Schedule>().map(|schedule| schedule.to_string()).as_deref(), Ok("1,2,604800"));
    assert_eq!(Schedule::default().to_string().parse(), Ok(Schedule::default()));
    for bad in ["", "0", "604801", "1,,2", "x", "-1", &["1"; 33].join(",")] {
        assert!(bad.parse::<Schedule>().is_err(), "{bad}");
    }
}

#[test]
fn the_id_the_moment_and_the_body_are_signed() {
    assert_eq!(signed_content("evt_1", 1_700_000_000, r#"{"a":1}"#), r#"evt_1.1700000000.{"a":1}"#);
}
