//! Who would be over, whom overrides save, and what is told of it.

use super::*;
use crate::domain::bound::Bound;
use crate::domain::effective::Mode;
use crate::domain::limit_key::Archived;
use crate::domain::plan::Tier;
use crate::domain::testing::*;
use crate::domain::value::Value;

fn max(number: u64) -> Value {
    Value::Max(limited(number))
}

/// A plan in which `seats` is a count, and what the tier `free` says of it.
fn plan(free: Option<u64>) -> Plan {
    let limits = free.map(|number| (named("seats"), max(number).into())).into_iter().collect();
    let tiers = [(named("free"), Tier { limits, ..Tier::default() }), (named("pro"), Tier::default())];
    Plan { limit_keys: [(named("seats"), limit_key("seats", rule_of(Kind::Count)))].into(), tiers: tiers.into() }
}

fn lowered(from: Option<u64>, to: u64) -> WhatIf {
    WhatIf { before: plan(from), after: plan(Some(to)), scope: Scope::Limit(Some(named("free")), named("seats")) }
}

fn taken(used: u64, held: u64) -> Taken {
    let usage = Usage { used: quantity(used), held: quantity(held) };
    Taken { limit_key: named("seats"), resource: None, window_start: 0, usage }
}

fn given(id: &str, mode: Mode, value: Value, expires_at: Option<UtcMillis>) -> Override {
    Override { id: named(id), limit_key: named("seats"), mode, value, starts_at: UtcMillis::new(0), expires_at }
}

fn standing(what_if: &WhatIf, overrides: &[Override], taken: &Taken) -> Option<Standing> {
    let tier = named("free");
    what_if.judge(Subject { tier: &tier, overrides }, taken, now()).map(|place| place.standing)
}

fn over(excess: u64, already: bool) -> Option<Standing> {
    Some(Standing::Over { excess: quantity(excess), already })
}

#[test]
fn who_has_more_than_the_new_cap_is_over_and_who_has_just_as_much_is_not() {
    let what_if = lowered(Some(5), 3);
    assert_eq!(standing(&what_if, &[], &taken(3, 0)), None);
    assert_eq!(standing(&what_if, &[], &taken(3, 1)), over(1, false));
    assert_eq!(standing(&what_if, &[], &taken(5, 2)), over(4, true));
    assert_eq!(standing(&lowered(None, 0), &[], &taken(0, 0)), None, "nothing of nothing");
}

#[test]
fn an_override_that_shapes_the_value_saves_and_others_do_not() {
    let what_if = lowered(Some(5), 3);
    let saved_by = |overrides: &[Override]| match standing(&what_if, overrides, &taken(5, 0)) {
        Some(Standing::Saved { excess, overrides }) => {
            assert_eq!(excess, quantity(2));
            overrides.iter().map(ToString::to_string).collect()
        }
        other => vec![format!("{other:?}")],
    };
    let raise = given("ovr_1", Mode::Set, max(4), None);
    let later = Override { starts_at: UtcMillis::new(1), ..given("ovr_2", Mode::Set, Value::Max(Bound::Unlimited), None) };
    let lapsed = given("ovr_3", Mode::Add, max(9), Some(UtcMillis::new(1)));
    let more = given("ovr_4", Mode::Add, max(2), None);
    assert_eq!(saved_by(&[raise.clone(), later, lapsed.clone(), more.clone()]), ["ovr_2", "ovr_4"]);
    assert_eq!(saved_by(&[lapsed, more.clone()]), ["ovr_4"]);
    assert_eq!(standing(&what_if, std::slice::from_ref(&raise), &taken(5, 0)), over(1, true));
    assert_eq!(standing(&what_if, &[given("ovr_5", Mode::Set, max(0), None)], &taken(1, 0)), over(1, true));
    assert_eq!(standing(&what_if, &[raise, more], &taken(3, 0)), None, "there is nothing to save it from");
}

#[test]
fn what_was_taken_when_the_limit_key_was_another_does_not_count() {
    let mut what_if = lowered(Some(5), 3);
    let of_window = Taken { window_start: 1, ..taken(9, 0) };
    let of_resource = Taken { resource: Some(named("project-1")), ..taken(9, 0) };
    assert_eq!((standing(&what_if, &[], &of_window), standing(&what_if, &[], &of_resource)), (None, None));
    let counted = |what_if: &WhatIf| what_if.counted(now()).len();
    assert_eq!(counted(&what_if), 1);
    for seats in what_if.after.limit_keys.values_mut() {
        seats.archived = Some(Archived { at: now(), replacement: None });
    }
    assert_eq!((standing(&what_if, &[], &taken(9, 0)), counted(&what_if)), (None, 0));
}

#[test]
fn a_default_applies_to_the_tiers_that_say_nothing() {
    let of_default = WhatIf { scope: Scope::Limit(None, named("seats")), ..lowered(Some(5), 5) };
    let applies = |what_if: &WhatIf| ["free", "pro"].map(|tier| what_if.applies_to(&named(tier), now()));
    assert_eq!(applies(&of_default), [false, true]);
    assert_eq!(applies(&lowered(Some(5), 3)), [true, false]);
    assert_eq!(applies(&WhatIf { scope: Scope::Everything, ..of_default }), [true, true]);
}

/// An org with so many counters that would be over, and as many that are saved.
fn found(org: &str, over: usize, saved: usize) -> OrgFinding {
    let place = |standing| Place {
        limit_key: named("seats"),
        resource: None,
        current: quantity(5),
        effective: of_tier(max(3)),
        standing,
    };
    let mut found = OrgFinding::new(named(org), named("free"));
    for number in 0..over {
        found.add(place(Standing::Over { excess: quantity(2), already: number > 0 }));
    }
    for _ in 0..saved {
        found.add(place(Standing::Saved { excess: quantity(2), overrides: vec![] }));
    }
    found
}

#[test]
fn of_an_org_only_so_many_counters_are_named_and_all_are_counted() {
    let many = found("acme", 30, 1);
    assert_eq!((many.places.len(), many.over, many.newly_over, many.saved), (MAX_PLACES, 30, 1, 1));
    assert_eq!(many.excess, quantity(60));
}

#[test]
fn a_page_is_a_part_of_what_is_counted() {
    let orgs = [("a", 1, 0), ("b", 0, 0), ("c", 0, 2), ("d", 2, 1), ("e", 1, 0)];
    let page = |after: Option<&str>, limit| {
        let mut findings = Findings::new(after.map(str::to_owned), limit);
        orgs.iter().for_each(|(org, over, saved)| findings.add(found(org, *over, *saved)));
        assert_eq!((findings.over, findings.newly_over, findings.saved, findings.excess), (3, 2, 2, quantity(8)));
        let page: Vec<String> = findings.page.iter().map(|found| found.org.to_string()).collect();
        (page.concat(), findings.has_more)
    };
    assert_eq!(page(None, 2), ("ac".to_owned(), true));
    assert_eq!(page(Some("c"), 2), ("de".to_owned(), false));
    assert_eq!(page(Some("e"), 2), (String::new(), false));
    assert_eq!(page(None, 4), ("acde".to_owned(), false));
}
