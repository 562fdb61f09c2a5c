//! What applies when something is scheduled.

use proptest::prelude::*;

use super::*;
use crate::domain::testing::*;

fn step(starts_at: i64, to: u64) -> Step<u64> {
    Step { starts_at: UtcMillis::new(starts_at), to }
}

fn applies(schedule: &Schedule<u64>, now: i64) -> u64 {
    *schedule.after(&0, UtcMillis::new(now))
}

#[test]
fn a_change_applies_from_its_very_moment_on() {
    let schedule = Schedule::of(vec![step(10, 1), step(20, 2)]).expect("in order");
    let seen = [9, 10, 19, 20, 9_999].map(|now| applies(&schedule, now));
    assert_eq!(seen, [0, 1, 1, 2, 2]);
    assert_eq!(applies(&Schedule::default(), 10), 0, "nothing changes by itself where nothing is scheduled");
}

#[test]
fn what_is_out_of_order_or_too_much_is_named() {
    let paths =
        |steps| Schedule::<u64>::of(steps).expect_err("not in order").into_iter().map(|issue| issue.path).collect::<Vec<_>>();
    assert_eq!(paths(vec![step(10, 1), step(10, 2), step(11, 3), step(5, 4)]), ["[1].startsAt", "[3].startsAt"]);
    let many = |count: usize| (0..count).map(|number| step(i64::try_from(number).expect("few"), 0)).collect::<Vec<_>>();
    assert!(Schedule::of(many(MAX_STEPS)).is_ok());
    assert_eq!(paths(many(MAX_STEPS + 1)), [""]);
}

#[test]
fn only_what_was_there_before_may_lie_in_the_past() {
    let before = Schedule::of(vec![step(10, 1), step(20, 2)]).expect("in order");
    let now = UtcMillis::new(20);
    assert_eq!(before.belated(&before, now), []);
    let other = Schedule::of(vec![step(10, 1), step(15, 3), step(20, 3), step(21, 4)]).expect("in order");
    let paths: Vec<String> = other.belated(&before, now).into_iter().map(|issue| issue.path).collect();
    assert_eq!(paths, ["[1].startsAt", "[2].startsAt"]);
    assert_eq!(other.only_to_come(now).steps(), [step(21, 4)]);
    assert_eq!(other.begun(now).count(), 3);
}

#[test]
fn a_value_is_written_with_what_is_scheduled_only_if_anything_is() {
    let written = |limit: &Limit| serde_json::to_string(limit).expect("JSON");
    let five = Limit::from(Value::Max(limited(5)));
    assert_eq!(written(&five), r#"{"max":5}"#);
    let steps = vec![Step { starts_at: at("2026-12-01T00:00:00Z"), to: Value::Max(limited(3)) }];
    let later = Limit { scheduled: Schedule::of(steps).expect("in order"), ..five };
    assert_eq!(written(&later), r#"{"max":5,"scheduled":[{"startsAt":"2026-12-01T00:00:00Z","value":{"max":3}}]}"#);
}

#[test]
fn a_value_that_is_replaced_is_the_new_one_until_the_next_change() {
    let steps = [("2026-12-01T00:00:00Z", 3), ("2026-12-31T00:00:00Z", 9)];
    let steps = steps.map(|(moment, max)| Step { starts_at: at(moment), to: Value::Max(limited(max)) });
    let limit = Limit { value: Value::Max(limited(5)), scheduled: Schedule::of(steps.to_vec()).expect("in order") };
    let replaced = limit.replaced(Value::Max(limited(7)), at("2026-12-05T00:00:00Z"));
    let seen = ["2026-12-05T00:00:00Z", "2026-12-31T00:00:00Z"].map(|moment| replaced.at(at(moment)));
    assert_eq!(seen, [Value::Max(limited(7)), Value::Max(limited(9))]);
}

proptest! {
    #[test]
    fn what_applies_is_the_last_that_began(moments in prop::collection::btree_set(0..50_i64, 0..MAX_STEPS), now in -1..51_i64) {
        let steps = moments.iter().map(|moment| step(*moment, u64::try_from(*moment).expect("positive") + 1)).collect();
        let schedule = Schedule::of(steps).expect("in order");
        let last = moments.iter().filter(|moment| **moment <= now).max();
        prop_assert_eq!(applies(&schedule, now), last.map_or(0, |moment| u64::try_from(*moment).expect("positive") + 1));
    }
}
