//! The counts of sources, with a clock that stands where it is put.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Counts with this limit and memory, and the clock's hand in milliseconds.
fn counted(limit: u64, bytes: u64) -> (Counted, Arc<AtomicU64>) {
    let hand = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&hand);
    let clock: Clock = Arc::new(move || Duration::from_millis(clock.load(Ordering::SeqCst)));
    (Counted::new(Guarded::AdminApi, limit, bytes, clock), hand)
}

/// A source, by its number.
fn source(number: u32) -> Source {
    let request = actix_web::test::TestRequest::get().peer_addr((std::net::Ipv4Addr::from_bits(number), 1).into());
    Source::of(&request.to_http_request(), &TrustedProxies::new(Vec::new()))
}

/// The wait that a refusal names.
fn wait(refused: Result<(), Refusal>) -> u64 {
    match refused {
        Err(Refusal::RateExceeded { bucket, retry_after }) if bucket == "adminApi" => retry_after,
        other => panic!("no 429: {other:?}"),
    }
}

#[test]
fn each_source_has_its_own_window_of_a_minute() {
    let (counted, hand) = counted(2, MEMORY_BYTES);
    counted.count(source(1)).expect("room");
    hand.store(10_000, Ordering::SeqCst);
    counted.count(source(1)).expect("room");
    assert_eq!(wait(counted.count(source(1))), 50);
    hand.store(59_001, Ordering::SeqCst);
    assert_eq!(wait(counted.count(source(1))), 1, "a part of a second is a second");
    counted.count(source(2)).expect("room");
    hand.store(60_000, Ordering::SeqCst);
    counted.count(source(1)).expect("room");
    assert_eq!(wait(counted.count(source(1))), 10);
}

#[test]
fn what_there_is_no_memory_to_count_is_refused() {
    let (counted, hand) = counted(2, 65_536);
    let first = (0..100_000).find(|number| counted.count(source(*number)).is_err()).expect("an end of memory");
    assert!((100..10_000).contains(&first), "after {first} sources");
    assert_eq!(wait(counted.count(source(first))), 1);
    hand.store(61_000, Ordering::SeqCst);
    counted.count(source(first)).expect("memory that those before have given back");
}

#[test]
fn waits_are_never_shortened() {
    assert_eq!([0, 1, 1_000, 1_001].map(|millis| whole_seconds(Duration::from_millis(millis))), [1, 1, 1, 2]);
    assert_eq!(whole_seconds(Duration::new(1, 1)), 2);
}

#[test]
fn zero_is_no_limit() {
    let (counted, _) = counted(0, 0);
    counted.count(source(1)).expect("room");
    assert_eq!(counted.limit, Bound::Unlimited);
}
