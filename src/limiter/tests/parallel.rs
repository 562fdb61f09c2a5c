//! Many callers at once, on the machine's own clock.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::*;

const CALLERS: usize = 32;
const CALLS: usize = 4_000;
const LIMIT: usize = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// When a call began and ended, and whether it was counted.
struct Call {
    began: Duration,
    ended: Duration,
    is_counted: bool,
}

fn calls(limiter: &Limiter, start: Instant, barrier: &Barrier) -> Vec<Call> {
    let key = limiter.subject(&["acme", "key_1"]);
    let window = at_most(u64::try_from(LIMIT).expect("a number"), 1);
    barrier.wait();
    let call = |_| {
        let began = start.elapsed();
        let is_counted = is_counted(&limiter.pass(key, &[window]));
        Call { began, ended: start.elapsed(), is_counted }
    };
    (0..CALLS).map(call).collect()
}

#[test]
fn thirty_two_callers_get_never_one_too_many_and_never_one_too_few() {
    let start = Instant::now();
    // Time runs a hundred times as fast, so that many windows pass.
    let limiter = Limiter::new(ROOM, Arc::new(move || start.elapsed() * 100));
    let barrier = Barrier::new(CALLERS);
    let mut all: Vec<Call> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| calls(&limiter, start, &barrier))).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect()
    });
    for call in &mut all {
        (call.began, call.ended) = (call.began * 100, call.ended * 100);
    }
    let mut counted: Vec<&Call> = all.iter().filter(|call| call.is_counted).collect();
    counted.sort_by_key(|call| call.ended);
    // Too many: the limit and one more that surely happened within less than a window.
    for some in counted.windows(LIMIT + 1) {
        let first = some.iter().map(|call| call.began).min().expect("calls");
        let last = some.iter().map(|call| call.ended).max().expect("calls");
        assert!(last - first >= WINDOW, "{} were counted within {:?}", LIMIT + 1, last - first);
    }
    // Too few: one that was refused although fewer than the limit can have been in its window.
    for refused in all.iter().filter(|call| !call.is_counted).step_by(17) {
        let can_be_inside = |call: &&&Call| call.began <= refused.ended && call.ended + WINDOW > refused.began;
        assert!(counted.iter().filter(can_be_inside).count() >= LIMIT, "refused with room left");
    }
    assert!(counted.len() >= LIMIT && counted.len() < CALLERS * CALLS, "{} were counted", counted.len());
}
