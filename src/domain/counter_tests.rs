//! What a counter adds up to.

use proptest::prelude::*;

use super::*;

fn quantity(number: u64) -> Quantity {
    Quantity::new(number).expect("in range")
}

fn hold(reservation: u128, amount: u64, expires_at: i64) -> Hold {
    Hold { reservation, amount: quantity(amount), expires_at: UtcMillis::new(expires_at) }
}

#[test]
fn a_hold_counts_until_the_moment_that_it_expires_at() {
    let mut counter = Counter::new(quantity(2));
    counter.hold(hold(1, 3, 1_000)).expect("room");
    assert_eq!(counter.usage(UtcMillis::new(999)), Usage { used: quantity(2), held: quantity(3) });
    assert_eq!(counter.usage(UtcMillis::new(1_000)), Usage { used: quantity(2), held: Quantity::ZERO });
}

#[test]
fn what_has_expired_stays_expired_when_the_clock_goes_back() {
    let mut counter = Counter::default();
    counter.hold(hold(1, 3, 1_000)).expect("room");
    counter.hold(hold(2, 4, 2_000)).expect("room");
    assert_eq!(counter.expire(UtcMillis::new(1_500)), [hold(1, 3, 1_000)]);
    assert_eq!(counter.usage(UtcMillis::new(0)).held, quantity(4));
    assert!(counter.expire(UtcMillis::new(1_500)).is_empty());
}

#[test]
fn more_than_is_used_cannot_be_given_back_and_nothing_changes() {
    let mut counter = Counter::new(quantity(2));
    assert_eq!(counter.release(quantity(3)), Err(CounterRefusal::MoreThanUsed(quantity(2))));
    assert_eq!(counter.used(), quantity(2));
    assert_eq!(counter.release(quantity(2)), Ok(()));
    assert_eq!(counter.used(), Quantity::ZERO);
}

#[test]
fn the_sum_of_what_is_used_and_held_stays_exact() {
    let mut counter = Counter::new(quantity(1));
    counter.hold(hold(1, MAX - 2, 1_000)).expect("room");
    assert_eq!(counter.take(quantity(2)), Err(CounterRefusal::TooMuch));
    assert_eq!(counter.hold(hold(2, 2, 1_000)), Err(CounterRefusal::TooMuch));
    assert_eq!(counter.take(quantity(1)), Ok(()));
    assert_eq!(counter.used(), quantity(2));
}

#[test]
fn a_counter_holds_a_bounded_number_of_reservations() {
    let mut counter = Counter::default();
    for number in 0..MAX_HOLDS {
        counter.hold(hold(number as u128, 1, 1_000)).expect("room");
    }
    assert_eq!(counter.hold(hold(u128::MAX, 1, 1_000)), Err(CounterRefusal::TooManyHolds));
    assert!(counter.unhold(7));
    assert!(!counter.unhold(7));
    assert_eq!(counter.hold(hold(u128::MAX, 1, 1_000)), Ok(()));
}

const MAX: u64 = crate::domain::bound::MAX_QUANTITY;

proptest! {
    /// Whatever is done to a counter, what is taken is what was taken and not given back, and clones do not see each other.
    #[test]
    fn a_counter_is_the_sum_of_what_was_done_to_it(steps in prop::collection::vec((0_u8..4, 1_u64..1_000), 0..60)) {
        let mut counter = Counter::default();
        let (mut used, mut held) = (0_u64, 0_u64);
        let untouched = counter.clone();
        for (number, (what, amount)) in steps.into_iter().enumerate() {
            match what {
                0 => { counter.take(quantity(amount)).expect("far from the bound"); used += amount; }
                1 => { if counter.release(quantity(amount)).is_ok() { used -= amount; } }
                2 => { counter.hold(hold(number as u128, amount, 10)).expect("far from the bound"); held += amount; }
                _ => { let first = counter.holds().first().copied(); if let Some(first) = first {
                    prop_assert!(counter.unhold(first.reservation)); held -= first.amount.get();
                } }
            }
            prop_assert_eq!(counter.usage(UtcMillis::new(9)), Usage { used: quantity(used), held: quantity(held) });
            prop_assert_eq!(counter.usage(UtcMillis::new(10)).held, Quantity::ZERO);
        }
        prop_assert_eq!(untouched, Counter::default());
    }
}
