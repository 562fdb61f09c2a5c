//! Properties of the decision that hold for every input.

use proptest::prelude::*;

use super::*;
use crate::domain::bound::MAX_QUANTITY;
use crate::domain::limit_key::Kind;
use crate::domain::testing::*;
use crate::domain::window::Window;

/// The sum as it really is, whatever the types at work can hold.
fn sum(quantities: &[Quantity]) -> u128 {
    quantities.iter().map(|quantity| u128::from(quantity.get())).sum()
}

fn amounts_of(decision: &Decision) -> Amounts {
    match decision.detail {
        Detail::Count(amounts) | Detail::Quota { amounts, .. } => amounts,
        Detail::Rate { .. } | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => {
            panic!("not the figures of an amount: {decision:?}")
        }
    }
}

fn fits(max: u64, taken: u64, amount: u64) -> bool {
    let count = key_of(Kind::Count);
    let value = Value::Max(limited(max));
    judge(&count, value, &adding(quantity(amount)), &usage(quantity(taken), Quantity::ZERO)).refusal.is_none()
}

#[test]
fn the_edges_of_a_cap_are_exact() {
    let table = [
        (5, 4, 1, true),
        (5, 5, 1, false),
        (5, 3, 2, true),
        (5, 3, 3, false),
        (5, 0, 5, true),
        (5, 0, 6, false),
        (5, 9, 1, false),
        (0, 0, 1, false),
        (1, 0, 1, true),
        (MAX_QUANTITY, 0, MAX_QUANTITY, true),
        (MAX_QUANTITY, 1, MAX_QUANTITY, false),
        (MAX_QUANTITY, MAX_QUANTITY - 1, 1, true),
        (MAX_QUANTITY, MAX_QUANTITY, 1, false),
        (MAX_QUANTITY, MAX_QUANTITY, MAX_QUANTITY, false),
        (MAX_QUANTITY - 1, MAX_QUANTITY - 1, 1, false),
    ];
    for (max, taken, amount, is_allowed) in table {
        assert_eq!(fits(max, taken, amount), is_allowed, "{taken} of {max} and {amount} more");
    }
}

#[test]
fn the_callers_own_count_replaces_usage_and_what_is_held() {
    let own = Question::Add { amount: Quantity::ONE, current: Some(quantity(2)), resource: None };
    let facts = usage(quantity(5), quantity(3));
    let decision = judge(&key_of(Kind::Count), Value::Max(limited(5)), &own, &facts);
    let expected = Amounts {
        current: quantity(2),
        held: Quantity::ZERO,
        max: limited(5),
        requested: Quantity::ONE,
        remaining: Some(quantity(3)),
    };
    assert_eq!(decision, Decision { detail: Detail::Count(expected), refusal: None });
}

#[test]
fn a_value_of_another_kinds_form_grants_nothing() {
    let foreign = Value::Days(Bound::Unlimited);
    let asked = [
        (Kind::Count, adding(Quantity::ONE)),
        (Kind::Quota, adding(Quantity::ONE)),
        (Kind::Rate, happening()),
        (Kind::Feature, Question::Have),
    ];
    for (kind, question) in asked {
        assert!(judge(&key_of(kind), foreign, &question, &Facts::default()).refusal.is_some(), "{kind}");
    }
    let yesterday = Question::Read { from: Moment::Day(now().day().minus_days(1)), to: None };
    assert!(judge(&key_of(Kind::Retention), Value::Max(Bound::Unlimited), &yesterday, &Facts::default()).refusal.is_some());
    let clamped = judge(&key_of(Kind::Interval), foreign, &Question::Clamp { requested: Quantity::ONE }, &Facts::default());
    let expected = Detail::Interval { requested: Quantity::ONE, min: Quantity::MAX, effective: Quantity::MAX };
    assert_eq!(clamped.detail, expected);
}

#[test]
fn a_rate_of_zero_names_the_whole_window_as_the_wait() {
    let decision = judge(&key_of(Kind::Rate), Value::Max(limited(0)), &happening(), &Facts::default());
    let resets_at = Some(now().plus_seconds(60));
    let expected = Detail::Rate { limit: limited(0), remaining: Some(Quantity::ZERO), resets_at, retry_after: Some(60) };
    assert_eq!(decision.detail, expected);
    assert_eq!(decision.refusal, Some(Refusal::RateExceeded { bucket: "v1Api".to_owned(), retry_after: 60 }));
}

#[test]
fn a_full_rate_window_says_when_the_oldest_leaves_it() {
    let frees_at = Some(now().plus_millis(6_001));
    let facts = window_use(quantity(60), frees_at);
    let decision = judge(&key_of(Kind::Rate), Value::Max(limited(60)), &happening(), &facts);
    let expected =
        Detail::Rate { limit: limited(60), remaining: Some(Quantity::ZERO), resets_at: frees_at, retry_after: Some(7) };
    assert_eq!(decision.detail, expected);
}

#[test]
fn an_exhausted_day_waits_for_midnight() {
    let decision = judge(&key_of(Kind::Quota), Value::Max(limited(0)), &adding(Quantity::ONE), &Facts::default());
    // 17:05:53.250 to 24:00:00 is 24,846.75 seconds.
    let label = "API request".to_owned();
    assert_eq!(decision.refusal, Some(Refusal::QuotaExceeded { window: Window::Day, label, retry_after: 24_847 }));
    let midnight = at("2026-11-23T00:00:00Z");
    assert!(matches!(decision.detail, Detail::Quota { resets_at, .. } if resets_at == midnight));
}

proptest! {
    /// A count is allowed exactly when what is used, what is held and what is asked for fit under the cap together.
    #[test]
    fn a_count_never_passes_its_cap(max in quantities(), used in quantities(), held in quantities(), amount in amounts()) {
        let decision = judge(&key_of(Kind::Count), Value::Max(Bound::Limited(max)), &adding(amount), &usage(used, held));
        let is_allowed = sum(&[used, held, amount]) <= sum(&[max]);
        prop_assert_eq!(decision.refusal.is_none(), is_allowed);
        if !is_allowed {
            let current = Quantity::saturating(used.get() + held.get());
            let limit_key = key_of(Kind::Count).name;
            prop_assert_eq!(decision.refusal, Some(Refusal::LimitReached { limit_key, current, max }));
        }
    }

    /// A quota obeys the same arithmetic as a count.
    #[test]
    fn a_quota_never_passes_its_cap(max in quantities(), used in quantities(), held in quantities(), amount in amounts()) {
        let decision = judge(&key_of(Kind::Quota), Value::Max(Bound::Limited(max)), &adding(amount), &usage(used, held));
        prop_assert_eq!(decision.refusal.is_none(), sum(&[used, held, amount]) <= sum(&[max]));
    }

    /// What exactly fits is allowed, and one more is not.
    #[test]
    fn the_last_unit_fits_and_the_next_does_not((max, taken) in amounts().prop_flat_map(|max| (Just(max.get()), 0..max.get()))) {
        prop_assert!(fits(max, taken, max - taken));
        prop_assert!(!fits(max, taken + 1, max - taken));
    }

    /// `current`, `held` and `requested` come back as they are, and `remaining` is the difference or zero.
    #[test]
    fn the_figures_of_an_amount_add_up(max in bounds(), used in quantities(), held in quantities(), amount in amounts()) {
        for kind in [Kind::Count, Kind::Quota] {
            let decision = judge(&key_of(kind), Value::Max(max), &adding(amount), &usage(used, held));
            let figures = amounts_of(&decision);
            let taken = sum(&[used, held]).min(u128::from(MAX_QUANTITY));
            prop_assert_eq!((figures.held, figures.max, figures.requested), (held, max, amount));
            prop_assert_eq!(sum(&[figures.current]), taken);
            let remaining = figures.remaining.map(|remaining| u128::from(remaining.get()));
            prop_assert_eq!(remaining, max.limit().map(|max| sum(&[max]).saturating_sub(taken)));
        }
    }

    /// Without a bound everything fits.
    #[test]
    fn unlimited_is_always_allowed(used in quantities(), held in quantities(), amount in amounts(), from in moments_near_now()) {
        for kind in [Kind::Count, Kind::Quota] {
            let decision = judge(&key_of(kind), Value::Max(Bound::Unlimited), &adding(amount), &usage(used, held));
            prop_assert_eq!(amounts_of(&decision).remaining, None);
            prop_assert_eq!(decision.refusal, None);
        }
        let decision = judge(&key_of(Kind::Rate), Value::Max(Bound::Unlimited), &happening(), &window_use(used, None));
        prop_assert_eq!(decision.refusal, None);
        let question = Question::Read { from, to: None };
        let decision = judge(&key_of(Kind::Retention), Value::Days(Bound::Unlimited), &question, &Facts::default());
        prop_assert_eq!(decision.refusal, None);
    }

    /// The wait for a quota is at least a second and at most the window, and it ends in the next window.
    #[test]
    fn a_quotas_wait_ends_with_its_window(now in times(), which in 0_usize..5, used in quantities()) {
        let window = Window::ALL[which];
        let rule = Rule::Quota { window, label: "call".to_owned(), per_request: false };
        let question = adding(Quantity::ONE);
        let nothing = of_tier(Value::Max(limited(0)));
        let decision = decide(&limit_key("calls", rule), nothing, &question, &usage(used, Quantity::ZERO), now);
        let Some(Refusal::QuotaExceeded { retry_after, .. }) = decision.refusal else { panic!("refused: {decision:?}") };
        let Detail::Quota { window_start, resets_at, .. } = decision.detail else { panic!("a quota: {decision:?}") };
        let length = u64::try_from(resets_at.get() - window_start.get()).expect("a length") / 1_000;
        prop_assert!((1..=length).contains(&retry_after), "{} of {}", retry_after, length);
        prop_assert!(now.plus_seconds(retry_after) >= resets_at);
        prop_assert!(now.plus_seconds(retry_after - 1) < resets_at);
    }

    /// A rate is allowed exactly when there is room for one more, and says how long to wait exactly when there is none.
    #[test]
    fn a_rate_fits_one_at_a_time(
        limit in bounds(), used in quantities(), seconds in 1..=2_678_400_u64, frees_in in prop::option::of(prop_oneof![-2_000..2_000_i64, 0..3_000_000_000_i64]),
    ) {
        let rule = Rule::Rate { window_seconds: seconds, bucket: "b".to_owned(), per_request: false };
        let frees_at = frees_in.map(|millis| now().plus_millis(millis));
        let decision = judge(&limit_key("r", rule), Value::Max(limit), &happening(), &window_use(used, frees_at));
        let Detail::Rate { remaining, retry_after, resets_at, .. } = decision.detail else { panic!("a rate: {decision:?}") };
        let is_allowed = limit.limit().is_none_or(|limit| used < limit);
        prop_assert_eq!(decision.refusal.is_none(), is_allowed);
        prop_assert_eq!(retry_after.is_none(), is_allowed);
        prop_assert_eq!(remaining.map(Quantity::get), limit.limit().map(|limit| limit.get().saturating_sub(used.get())));
        if let Some(wait) = retry_after {
            prop_assert!((1..=seconds).contains(&wait));
            prop_assert!(resets_at.is_some());
            prop_assert_eq!(decision.refusal, Some(Refusal::RateExceeded { bucket: "b".to_owned(), retry_after: wait }));
        }
    }

    /// A banned org is told so, whatever the limit would have said; the figures stay those of the limit.
    #[test]
    fn a_ban_stands_above_every_limit((kind, value) in kinds().prop_flat_map(|kind| (Just(kind), values_of(kind))), used in quantities()) {
        let question = match kind {
            Kind::Count | Kind::Quota => adding(Quantity::ONE),
            Kind::Rate => happening(),
            Kind::Retention => Question::Read { from: Moment::Day(day("1999-12-31")), to: None },
            Kind::Interval => Question::Clamp { requested: Quantity::ONE },
            Kind::Feature => Question::Have,
        };
        let facts = Facts { window: window_use(used, None).window, ..usage(used, Quantity::ZERO) };
        let limit_key = key_of(kind);
        let free = judge(&limit_key, value, &question, &facts);
        let banned = judge(&limit_key, value, &question, &Facts { org_banned: true, ..facts });
        prop_assert_eq!(banned.refusal, Some(Refusal::OrgBanned));
        prop_assert_eq!(banned.detail, free.detail);
    }

    /// An interval is the one asked for or the smallest allowed, whichever is longer, and never a refusal.
    #[test]
    fn an_interval_is_clamped_from_below(min in quantities(), requested in quantities()) {
        let decision = judge(&key_of(Kind::Interval), Value::Min(min), &Question::Clamp { requested }, &Facts::default());
        let effective = quantity(min.get().max(requested.get()));
        prop_assert_eq!(decision, Decision { detail: Detail::Interval { requested, min, effective }, refusal: None });
    }

    /// A feature is allowed exactly when it is on.
    #[test]
    fn a_feature_is_in_the_plan_or_not(enabled in any::<bool>()) {
        let limit_key = key_of(Kind::Feature);
        let decision = judge(&limit_key, Value::Enabled(enabled), &Question::Have, &Facts::default());
        let refusal = (!enabled).then_some(Refusal::FeatureUnavailable { limit_key: limit_key.name });
        prop_assert_eq!(decision, Decision { detail: Detail::Feature { enabled }, refusal });
    }
}
