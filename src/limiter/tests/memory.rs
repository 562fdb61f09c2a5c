//! The memory that windows take, and what happens when there is no more.

use super::*;

const MIB: u64 = 1 << 20;

fn key(limiter: &Limiter, number: u64) -> Subject {
    limiter.subject(&["acme", &format!("key_{number}")])
}

#[test]
fn five_million_keys_stay_within_the_memory_and_nobody_goes_free() {
    let hand = Hand::default();
    let limiter = hand.limiter(64 * MIB);
    let mut counted = Vec::new();
    for number in 0..5_000_000 {
        // 250 seconds in all, and more keys within a minute than there is memory for.
        hand.put(number * 50);
        match limiter.pass(key(&limiter, number), &[at_most(1, 60)]) {
            Passage::Counted(_) => counted.push(number),
            Passage::Full(_) => {}
            Passage::Refused(held) => panic!("key {number} was never seen: {held:?}"),
        }
        if number % 100_000 == 0 {
            assert!(limiter.bytes() <= 64 * MIB, "{} bytes", limiter.bytes());
            // Whoever was counted within the last 60 seconds has no second call.
            for recent in counted.iter().rev().take_while(|counted| *counted + 1_200_000 > number).step_by(997) {
                let again = limiter.pass(key(&limiter, *recent), &[at_most(1, 60)]);
                assert!(matches!(again, Passage::Refused(_)), "key {recent} at {number}: {again:?}");
            }
        }
    }
    assert!((3_000_000..4_900_000).contains(&counted.len()), "{} were counted", counted.len());
    hand.put(10_000_000_000);
    limiter.sweep();
    assert_eq!(limiter.bytes(), 0, "what has ended costs nothing");
}

#[test]
fn when_memory_is_used_up_a_new_key_waits_and_an_old_one_is_not_forgotten() {
    let hand = Hand::default();
    let limiter = hand.limiter(MIB);
    let number = (0..).find(|number| !is_counted(&limiter.pass(key(&limiter, *number), &[at_most(100, 60)]))).expect("full");
    let Passage::Full(wait) = limiter.pass(key(&limiter, number), &[at_most(100, 60)]) else { panic!("not full") };
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(limiter.held(key(&limiter, 0), &at_most(100, 60)).used, 1, "nobody was forgotten");
    let again = limiter.pass(key(&limiter, 0), &[at_most(1, 60)]);
    assert!(matches!(again, Passage::Refused(_)), "whoever is in its window does not go free: {again:?}");
    assert!(limiter.bytes() <= MIB);
    hand.put(60_000_000);
    assert!(is_counted(&limiter.pass(key(&limiter, number), &[at_most(100, 60)])), "there is room when windows end");
}

#[test]
fn a_window_with_many_calls_takes_eight_bytes_for_each_and_gives_them_back() {
    let hand = Hand::default();
    let limiter = hand.limiter(64 * MIB);
    let busy = key(&limiter, 1);
    for call in 0..100_000_u64 {
        hand.put(call);
        assert!(is_counted(&limiter.pass(busy, &[at_most(1_000_000, 1)])));
    }
    assert!((800_000..2_200_000).contains(&limiter.bytes()), "{}", limiter.bytes());
    hand.put(1_099_999);
    limiter.sweep();
    assert!(limiter.bytes() < 10_000, "{}", limiter.bytes());
}
