//! The checker on histories made by hand: it explains what can be explained, and it can fail.

use std::sync::Arc;

use super::checker::explain;
use super::history::{Call, of_org, of_place, places};
use super::model::{End, Place, Request, Seen, Shown, State};
use super::plan::{BOTS, Cap, Override, Plan, SEATS};

const PLACE: Place = Place { key: SEATS, project: None };
const OTHER: Place = Place { key: BOTS, project: None };
const NOW: i64 = 1_800_000_000_000;

/// An org with this cap for every limit key of the tests.
fn capped(max: u64) -> Arc<Plan> {
    let set = |key| Override { id: String::new(), key, is_set: true, cap: Some(max), until: None };
    Arc::new(Plan { tier: 1, overrides: vec![set(SEATS), set(BOTS)] })
}

fn call(span: (u64, u64), max: u64, request: Request, seen: Seen) -> Call {
    Call { caller: 0, request, seen, span, moments: vec![NOW], plans: vec![capped(max)] }
}

/// A decision about `requested` that shows these figures.
fn shown(place: Place, allowed: bool, requested: u64, (current, held, max): (u64, u64, u64)) -> Shown {
    let (tier, source) = ("small".to_owned(), "override".to_owned());
    let remaining: Cap = Some(max.saturating_sub(current));
    Shown { place, allowed, current, held, max: Some(max), requested, remaining, window: None, tier, source }
}

fn decided(allowed: bool, requested: u64, figures: (u64, u64, u64)) -> Seen {
    Seen::Decision(shown(PLACE, allowed, requested, figures))
}

fn granted(span: (u64, u64), amount: u64, current: u64) -> Call {
    call(span, 3, Request::Consume(PLACE, amount), decided(true, amount, (current, 0, 3)))
}

fn refused(span: (u64, u64), amount: u64, current: u64) -> Call {
    call(span, 3, Request::Consume(PLACE, amount), decided(false, amount, (current, 0, 3)))
}

fn checked(span: (u64, u64), allowed: bool, current: u64) -> Call {
    call(span, 3, Request::Check(PLACE, 1), decided(allowed, 1, (current, 0, 3)))
}

fn holds(calls: &[Call]) -> bool {
    explain(calls, &State::default()).is_ok()
}

#[test]
fn what_one_order_explains_is_good() {
    assert!(holds(&[]));
    assert!(holds(&[granted((0, 1), 1, 1), granted((2, 3), 2, 3), refused((4, 5), 1, 3), checked((6, 7), false, 3)]));
    // The one that was sent last came first.
    assert!(holds(&[granted((0, 9), 1, 3), granted((1, 8), 1, 2), granted((2, 7), 1, 1)]));
    // A check beside a consume sees it or does not.
    assert!(holds(&[granted((0, 9), 3, 3), checked((1, 2), true, 0), checked((3, 4), false, 3)]));
}

#[test]
fn a_lost_update_is_found() {
    assert!(!holds(&[granted((0, 5), 1, 1), granted((1, 6), 1, 1)]));
    assert!(!holds(&[granted((0, 1), 1, 1), granted((2, 3), 1, 2), granted((4, 5), 1, 2)]));
}

#[test]
fn a_grant_above_the_cap_is_found() {
    let all: Vec<Call> = (1..=4).map(|current| granted((0, 9), 1, current)).collect();
    assert!(holds(&all[..3]));
    assert!(!holds(&all));
    assert!(!holds(&[granted((0, 1), 4, 4)]));
}

#[test]
fn a_false_refusal_is_found() {
    assert!(!holds(&[granted((0, 1), 2, 2), refused((2, 3), 1, 2)]));
    // It shows a full counter that was never full.
    assert!(!holds(&[granted((0, 1), 2, 2), refused((2, 3), 1, 3)]));
    // It was answered before the one that filled it was sent.
    assert!(!holds(&[refused((0, 1), 1, 3), granted((2, 3), 3, 3)]));
    assert!(holds(&[refused((0, 3), 1, 3), granted((2, 5), 3, 3)]));
}

#[test]
fn a_stale_read_after_an_acknowledged_write_is_found() {
    assert!(!holds(&[granted((0, 1), 1, 1), checked((2, 3), true, 0)]));
    // What one has seen, the next one cannot see undone.
    assert!(!holds(&[granted((0, 9), 1, 1), checked((1, 2), true, 1), checked((3, 4), true, 0)]));
}

#[test]
fn wrong_figures_and_a_cap_that_was_not_in_force_are_found() {
    let request = || Request::Consume(PLACE, 1);
    assert!(!holds(&[call((0, 1), 3, request(), decided(true, 1, (1, 1, 3)))]));
    assert!(!holds(&[call((0, 1), 3, request(), decided(true, 1, (1, 0, 4)))]));
    let Seen::Decision(right) = decided(true, 1, (1, 0, 3)) else { unreachable!("a decision") };
    for wrong in [
        Shown { remaining: Some(3), ..right.clone() },
        Shown { requested: 2, ..right.clone() },
        Shown { source: "tier".to_owned(), ..right.clone() },
        Shown { tier: "nano".to_owned(), ..right.clone() },
    ] {
        assert!(!holds(&[call((0, 1), 3, request(), Seen::Decision(wrong))]));
    }
    assert!(!holds(&[call((0, 1), 3, request(), Seen::Wrong("whatever".to_owned()))]));
    // Either plan may apply while it is being changed.
    let mut either = call((0, 1), 3, request(), decided(true, 1, (1, 0, 4)));
    either.plans.push(capped(4));
    assert!(holds(&[either]));
}

#[test]
fn giving_back_more_than_was_taken_and_losing_what_was_given_back_are_found() {
    let release = |span, amount, seen| call(span, 3, Request::Release(PLACE, amount), seen);
    let back = |amount, current| decided(true, amount, (current, 0, 3));
    assert!(holds(&[granted((0, 1), 3, 3), release((2, 3), 2, back(2, 1)), granted((4, 5), 2, 3)]));
    assert!(holds(&[granted((0, 1), 1, 1), release((2, 3), 2, Seen::Conflict)]));
    assert!(!holds(&[granted((0, 1), 1, 1), release((2, 3), 2, back(2, 0))]));
    assert!(!holds(&[granted((0, 1), 2, 2), release((2, 3), 2, Seen::Conflict)]));
    assert!(!holds(&[granted((0, 1), 3, 3), release((2, 3), 2, back(2, 1)), refused((4, 5), 2, 3)]));
}

#[test]
fn a_hold_counts_until_its_time_and_its_confirmation_counts_once() {
    let expires_at = NOW + 1_000;
    let seen = Seen::Reserved { created_at: NOW, expires_at, shown: shown(PLACE, true, 2, (2, 2, 3)) };
    let reserve = call((0, 1), 3, Request::Reserve { serial: 0, place: PLACE, amount: 2, ttl: 1 }, seen);
    let at = |moments: &[i64], call: Call| Call { moments: moments.to_vec(), ..call };
    let free = || call((2, 3), 3, Request::Check(PLACE, 1), decided(true, 1, (0, 0, 3)));
    let taken = || call((2, 3), 3, Request::Check(PLACE, 1), decided(true, 1, (2, 2, 3)));
    for (moments, is_free, is_taken) in
        [(vec![expires_at - 1], false, true), (vec![expires_at], true, false), (vec![expires_at - 1, expires_at], true, true)]
    {
        assert_eq!(holds(&[reserve.clone(), at(&moments, free())]), is_free, "{moments:?}");
        assert_eq!(holds(&[reserve.clone(), at(&moments, taken())]), is_taken, "{moments:?}");
    }

    let end = Some(End::Confirmed(1, NOW));
    let settled = Seen::Reservation { place: PLACE, amount: 2, status: "confirmed", created_at: NOW, expires_at, end };
    let confirm = |span, seen| call(span, 3, Request::Confirm(0, Some(1)), seen);
    let twice = [reserve.clone(), confirm((2, 3), settled.clone()), confirm((4, 5), settled)];
    let then = |current| [&twice[..], &[checked((6, 7), true, current)]].concat();
    assert!(holds(&then(1)));
    assert!(!holds(&then(2)));
    // In time it cannot be refused, and afterwards it must be.
    assert!(!holds(&[reserve.clone(), confirm((2, 3), Seen::Conflict)]));
    assert!(holds(&[reserve, at(&[expires_at], confirm((2, 3), Seen::Conflict))]));
}

#[test]
fn a_batch_that_took_a_part_is_found() {
    let batch = |span, is_granted, seats, bots| {
        let request = Request::Batch(vec![(PLACE, 1), (OTHER, 1)]);
        call(span, 1, request, Seen::Batch(is_granted, vec![seats, bots]))
    };
    let of = |place, allowed, current| shown(place, allowed, 1, (current, 0, 1));
    let first = call((0, 1), 1, Request::Consume(OTHER, 1), Seen::Decision(of(OTHER, true, 1)));
    let nothing = batch((2, 3), false, of(PLACE, true, 0), of(OTHER, false, 1));
    let seats = |current, allowed| call((4, 5), 1, Request::Check(PLACE, 1), Seen::Decision(of(PLACE, allowed, current)));
    let good = [first.clone(), nothing.clone(), seats(0, true)];
    let part = [first.clone(), nothing, seats(1, false)];
    let forced = [first, batch((2, 3), true, of(PLACE, true, 1), of(OTHER, true, 2))];
    let idle = [batch((0, 1), false, of(PLACE, true, 0), of(OTHER, true, 0))];
    let fits = |calls: &[Call]| places(calls).into_iter().all(|place| holds(&of_place(calls, place)));
    assert!(holds(&good) && fits(&good));
    assert!(!holds(&part) && !fits(&part));
    assert!(!holds(&forced) && !fits(&forced));
    assert!(!holds(&idle), "nothing was in its way");
}

#[test]
fn two_batches_that_disagree_about_their_order_are_found_when_the_org_is_looked_at_as_a_whole() {
    let batch = |(seats, bots)| {
        let of = |place, current| shown(place, true, 1, (current, 0, 3));
        let request = Request::Batch(vec![(PLACE, 1), (OTHER, 1)]);
        call((0, 9), 3, request, Seen::Batch(true, vec![of(PLACE, seats), of(OTHER, bots)]))
    };
    assert!(holds(&of_org(&[batch((1, 1)), batch((2, 2))])));
    let crossed = [batch((1, 2)), batch((2, 1))];
    assert!(places(&crossed).into_iter().all(|place| holds(&of_place(&crossed, place))));
    assert!(!holds(&of_org(&crossed)));
}

#[test]
fn a_failure_shows_the_whole_history() {
    let why = explain(&[granted((0, 1), 1, 1), checked((2, 3), true, 0)], &State::default()).expect_err("a stale read");
    assert!(why.contains("   1.") && why.contains("NEXT?") && why.contains("Consume") && why.contains("Check"), "{why}");
}
