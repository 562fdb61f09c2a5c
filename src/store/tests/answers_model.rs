//! The record of answers against a plain model: whatever happens in between, the same calls are known.

use std::collections::HashMap;

use super::super::StoreSettings;
use super::super::{AnswerSizes, IdempotentCall, Recall, Recorded};
use super::*;

const SIZES: AnswerSizes = AnswerSizes { per_caller: 60, per_segment: 7 };
const HOUR: i64 = 3_600_000;

/// Numbers that depend on the seed only.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn byte(&mut self, sides: u64) -> u8 {
        u8::try_from(self.roll(sides)).expect("a small number")
    }

    /// Few enough calls that they repeat; the keys of some differ in their last byte only, so that their hashes are the same.
    fn call(&mut self) -> IdempotentCall {
        let mut key_hash = [self.byte(30); 32];
        key_hash[31] = self.byte(2);
        let caller = format!("key:{}", self.roll(2));
        let seal = (key_hash[0] % 3 == 0).then_some([5; 32]);
        IdempotentCall { caller, key_hash, fingerprint: [u8::from(self.roll(8) == 0); 32], seal }
    }

    /// Different calls, as those that run at the same time are.
    fn calls(&mut self) -> Vec<IdempotentCall> {
        let calls: HashMap<_, _> = (0..=self.roll(12)).map(|_| self.call()).map(|call| (key(&call), call)).collect();
        calls.into_values().collect()
    }
}

type Key = (String, [u8; 32]);

fn key(call: &IdempotentCall) -> Key {
    (call.caller.clone(), call.key_hash)
}

/// What there is to know, without any of the means.
#[derive(Default)]
struct Model(HashMap<Key, (i64, [u8; 32], Recorded)>);

impl Model {
    fn recall(&self, call: &IdempotentCall, now: i64) -> Recall {
        match self.0.get(&key(call)) {
            Some((made, fingerprint, answer)) if *made > now - 24 * HOUR => {
                let is_same = *fingerprint == call.fingerprint;
                if is_same { Recall::Answered(answer.clone()) } else { Recall::Refused(StoreError::IdempotencyKeyReused) }
            }
            _ => Recall::New,
        }
    }
}

/// Asks about some calls, and answers those that are new.
async fn answer(store: &Store, model: &mut Model, dice: &mut Dice, now: i64) -> Result<(), String> {
    let calls = dice.calls();
    let at = UtcMillis::new(now);
    let mut lane = store.lane().await.expect("a turn");
    let known = lane.recall(&calls.iter().collect::<Vec<_>>(), at).await.expect("known");
    let mut answers = Vec::new();
    for (call, known) in calls.iter().zip(known) {
        let expected = model.recall(call, now);
        let is_full = matches!(known, Recall::Refused(StoreError::TooManyAnswers { .. }));
        if known != expected && !(is_full && expected == Recall::New) {
            return Err(format!("{call:?} is {known:?} and not {expected:?}"));
        }
        if known == Recall::New {
            answers.push((call, Recorded { status: 200, body: dice.roll(u64::MAX).to_be_bytes().to_vec(), headers: vec![] }));
        }
    }
    lane.keep(&answers.iter().map(|(call, answer)| (*call, answer)).collect::<Vec<_>>(), at).await.expect("written");
    if dice.roll(5) == 0 {
        lane.rollback().await.expect("undone");
    } else {
        lane.commit().await.expect("on the disk");
        model.0.extend(answers.into_iter().map(|(call, answer)| (key(call), (now, call.fingerprint, answer))));
    }
    Ok(())
}

async fn history(seed: u64) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a directory");
    let url = url(&dir);
    let open = || Store::open_with(&url, Access::ReadWrite, StoreSettings { answers: SIZES, ..StoreSettings::default() });
    let mut store = open().await.expect("a new database");
    let (mut dice, mut model, mut time) = (Dice(seed), Model::default(), now().get());
    for step in 0..60 {
        match dice.roll(14) {
            0 => drop(store.settle_answers().await.expect("settled")),
            1 => drop(store.sweep_answers(UtcMillis::new(time), 5).await.expect("swept")),
            2 => {
                store.close().await.expect("closed");
                store = open().await.expect("the same database");
            }
            3 => time += i64::try_from(dice.roll(12)).expect("small") * HOUR,
            _ => answer(&store, &mut model, &mut dice, time).await.map_err(|wrong| format!("step {step}: {wrong}"))?,
        }
    }
    while !store.sweep_answers(UtcMillis::new(time + 25 * HOUR), 1_000).await.expect("swept").is_done {}
    let left = count(&store, "SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM answer_count)").await;
    if left == 0 { Ok(()) } else { Err(format!("{left} rows are left over")) }
}

#[tokio::test]
async fn whatever_happens_in_between_the_same_calls_are_known() {
    for seed in 0..25 {
        history(seed).await.unwrap_or_else(|wrong| panic!("seed {seed}, {wrong}"));
    }
}
