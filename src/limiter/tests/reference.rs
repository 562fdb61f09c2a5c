//! Random traces, judged beside a list of everything that was ever counted.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

const TRACES: u64 = 100_000;

/// The window as its definition says it: everything that was counted, looked through from the start.
#[derive(Default)]
pub(super) struct Everything(Vec<u64>);

impl Everything {
    pub(super) fn count(&mut self, now: u64) {
        self.0.push(now);
    }

    pub(super) fn inside(&self, now: u64, micros: u64) -> Vec<u64> {
        self.0.iter().copied().filter(|at| at.saturating_add(micros) > now).collect()
    }

    pub(super) fn held(&self, now: u64, micros: u64, limit: u64) -> Held {
        let inside = self.inside(now, micros);
        let used = u64::try_from(inside.len()).expect("a number");
        // The first moment from now on at which one more fits; while it fits, the one at which the oldest leaves.
        let leaving: Vec<u64> = inside.iter().map(|at| at + micros - now).collect();
        let fits = |left: usize| used - u64::try_from(left).expect("a number") < limit;
        let frees_in = (1..=inside.len()).find(|left| fits(*left)).map(|left| leaving[left - 1]);
        Held { used, frees_in: frees_in.map(Duration::from_micros) }
    }
}

pub(super) fn below(random: &mut TestRng, bound: u64) -> u64 {
    random.next_u64() % bound
}

pub(super) fn random_of(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

fn play(seed: u64) {
    let mut random = random_of(seed);
    let hand = Hand::default();
    let limiter = hand.limiter(ROOM);
    let key = limiter.subject(&["acme", "key_1"]);
    let seconds = 1 + below(&mut random, 3);
    let mut limit = below(&mut random, 9);
    let (mut now, mut reference) = (below(&mut random, 1_000), Everything::default());
    for step in 0..2 + below(&mut random, 40) {
        // Often the very moment at which something leaves, or the one before it.
        now += match below(&mut random, 4) {
            0 => 0,
            1 => below(&mut random, 200_000),
            2 => reference
                .held(now, seconds * 1_000_000, limit)
                .frees_in
                .map_or(1, |wait| u64::try_from(wait.as_micros()).expect("a number") - below(&mut random, 2)),
            _ => below(&mut random, 1_500_000),
        };
        hand.put(now);
        match below(&mut random, 16) {
            0 => limit = below(&mut random, 9),
            1 => limiter.sweep(),
            _ => {}
        }
        let window = at_most(limit, seconds);
        let expected = reference.held(now, seconds * 1_000_000, limit);
        assert_eq!(limiter.held(key, &window), expected, "seed {seed}, step {step}");
        let passage = limiter.pass(key, &[window]);
        assert_eq!(is_counted(&passage), expected.used < limit, "seed {seed}, step {step}");
        if is_counted(&passage) {
            reference.count(now);
        }
        let (Passage::Counted(held) | Passage::Refused(held)) = passage else { panic!("seed {seed}: full") };
        assert_eq!(held, [reference.held(now, seconds * 1_000_000, limit)], "seed {seed}, step {step}");
    }
}

#[test]
fn the_windows_are_those_of_an_exact_reference_on_a_hundred_thousand_random_traces() {
    (0..TRACES).for_each(play);
}
