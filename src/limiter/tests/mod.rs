//! The windows against an exact reference, under many callers, and within their memory.

mod memory;
mod parallel;
mod place;
mod reference;
#[path = "../../../tests/it/redis/server.rs"]
#[allow(dead_code, reason = "the integration tests use more of it")]
mod server;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::domain::bound::Quantity;

/// A clock that stands where it is put.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn put(&self, micros: u64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    fn limiter(&self, bytes: u64) -> Limiter {
        let hand = self.clone();
        Limiter::new(bytes, Arc::new(move || Duration::from_micros(hand.0.load(Ordering::SeqCst))))
    }
}

const ROOM: u64 = 1 << 30;

fn at_most(limit: u64, seconds: u64) -> Window<'static> {
    Window { name: "v1Api", seconds, limit: Bound::Limited(Quantity::saturating(limit)) }
}

fn is_counted(passage: &Passage) -> bool {
    matches!(passage, Passage::Counted(_))
}

#[test]
fn what_was_counted_leaves_after_exactly_the_length_of_the_window() {
    let hand = Hand::default();
    let limiter = hand.limiter(ROOM);
    let key = limiter.subject(&["acme", "key_1"]);
    hand.put(5);
    assert!(is_counted(&limiter.pass(key, &[at_most(1, 1)])));
    hand.put(1_000_004);
    let refused = limiter.pass(key, &[at_most(1, 1)]);
    assert_eq!(refused, Passage::Refused(vec![Held { used: 1, frees_in: Some(Duration::from_micros(1)) }]));
    hand.put(1_000_005);
    assert!(is_counted(&limiter.pass(key, &[at_most(1, 1)])));
}

#[test]
fn two_windows_are_counted_together_or_not_at_all() {
    let hand = Hand::default();
    let limiter = hand.limiter(ROOM);
    let key = limiter.subject(&["acme", "key_1"]);
    let wide = Window { name: "wide", ..at_most(3, 60) };
    let narrow = Window { name: "narrow", ..at_most(1, 1) };
    assert!(is_counted(&limiter.pass(key, &[wide, narrow])));
    assert!(!is_counted(&limiter.pass(key, &[wide, narrow])));
    assert_eq!(limiter.held(key, &wide).used, 1, "what one window refused is in none");
    hand.put(1_000_000);
    assert!(is_counted(&limiter.pass(key, &[wide, narrow])));
    assert_eq!(limiter.held(key, &wide).used, 2);
}

#[test]
fn a_changed_limit_takes_effect_on_the_next_call() {
    let hand = Hand::default();
    let limiter = hand.limiter(ROOM);
    let key = limiter.subject(&["acme", "key_1"]);
    for second in 0..4 {
        hand.put(second * 1_000_000);
        assert!(is_counted(&limiter.pass(key, &[at_most(4, 60)])));
    }
    // Lowered to 2: three of the four have to leave, the third of them at second 62.
    let refused = limiter.pass(key, &[at_most(2, 60)]);
    assert_eq!(refused, Passage::Refused(vec![Held { used: 4, frees_in: Some(Duration::from_secs(59)) }]));
    assert!(is_counted(&limiter.pass(key, &[at_most(5, 60)])), "raised");
    let shut = limiter.pass(key, &[at_most(0, 60)]);
    assert_eq!(shut, Passage::Refused(vec![Held { used: 5, frees_in: None }]), "there is nothing to wait for");
}

#[test]
fn what_was_let_pass_elsewhere_is_counted_also_in_a_full_window() {
    let limiter = Hand::default().limiter(ROOM);
    let key = limiter.subject(&["acme", "key_1"]);
    let endless = Window { name: "endless", limit: Bound::Unlimited, ..at_most(0, 60) };
    for used in 1..=3 {
        limiter.note(key, &[at_most(2, 60), endless]);
        assert_eq!((limiter.held(key, &at_most(2, 60)).used, limiter.held(key, &endless).used), (used, 0));
    }
    assert!(!is_counted(&limiter.pass(key, &[at_most(3, 60)])));
    assert!(is_counted(&limiter.pass(key, &[at_most(4, 60)])));
    let without_room = Hand::default().limiter(0);
    let key = without_room.subject(&["acme", "key_1"]);
    without_room.note(key, &[at_most(2, 60)]);
    assert_eq!(without_room.bytes(), 0);
}

#[test]
fn keys_and_windows_do_not_share() {
    let limiter = Hand::default().limiter(ROOM);
    let subjects = [["acme", "key_1"], ["acme", "key_2"], ["other", "key_1"], ["acmekey", "_1"]];
    for words in subjects {
        let subject = limiter.subject(&words);
        assert!(is_counted(&limiter.pass(subject, &[at_most(1, 60)])), "{words:?}");
        assert!(is_counted(&limiter.pass(subject, &[Window { name: "other", ..at_most(1, 60) }])), "{words:?}");
    }
}

#[test]
fn what_has_no_limit_is_not_counted_and_takes_no_memory() {
    let limiter = Hand::default().limiter(0);
    let key = limiter.subject(&["acme", "key_1"]);
    let endless = Window { limit: Bound::Unlimited, ..at_most(0, 60) };
    assert_eq!(limiter.pass(key, &[endless]), Passage::Counted(vec![Held::default()]));
    assert_eq!(limiter.bytes(), 0);
}
