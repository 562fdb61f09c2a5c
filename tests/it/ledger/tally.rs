//! What came up in random histories: a test that never met what it is about would prove nothing.

use std::collections::BTreeMap;

use super::history::Call;
use super::model::{Request, Seen};

/// How often each thing came up.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(super) fn of(calls: &[Call]) -> Self {
        let mut tally = Self::default();
        for call in calls {
            tally.note(name_of(call));
            if is_over(&call.seen) {
                tally.note("over the cap");
            }
            if calls.iter().any(|other| other.caller != call.caller && overlap(call.span, other.span)) {
                tally.note("beside another");
            }
        }
        run_out(calls).for_each(|_| tally.note("ran out"));
        tally
    }

    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// Fails if one of these came up too seldom.
    pub(super) fn has(&self, at_least: usize, all: &[&'static str]) {
        let seldom: Vec<_> = all.iter().filter(|what| self.0.get(*what).is_none_or(|times| *times < at_least)).collect();
        assert!(seldom.is_empty(), "{seldom:?} came up less than {at_least} times: {self:?}");
    }
}

/// The holds whose time was over before the last call, and that nobody ended.
fn run_out(calls: &[Call]) -> impl Iterator<Item = &Call> {
    let last = calls.iter().flat_map(|call| &call.moments).max().copied().unwrap_or_default();
    let is_ended = |wanted: usize| {
        calls.iter().any(|call| match (&call.request, &call.seen) {
            (Request::Confirm(serial, _) | Request::Cancel(serial), Seen::Reservation { end, .. }) => {
                *serial == wanted && end.is_some()
            }
            _ => false,
        })
    };
    calls.iter().filter(move |call| match (&call.request, &call.seen) {
        (Request::Reserve { serial, .. }, Seen::Reserved { expires_at, .. }) => *expires_at < last && !is_ended(*serial),
        _ => false,
    })
}

fn overlap(one: (u64, u64), other: (u64, u64)) -> bool {
    one.0 < other.1 && other.0 < one.1
}

fn is_over(seen: &Seen) -> bool {
    let (Seen::Decision(shown) | Seen::Usage { shown, .. }) = seen else { return false };
    shown.max.is_some_and(|max| shown.current > max)
}

fn name_of(call: &Call) -> &'static str {
    match (&call.request, &call.seen) {
        (Request::Consume(..), Seen::Decision(shown)) if shown.allowed => "granted",
        (Request::Consume(..), Seen::Decision(_)) => "refused",
        (Request::Batch(_), Seen::Batch(true, _)) => "batch granted",
        (Request::Batch(_), Seen::Batch(false, _)) => "batch refused",
        (Request::Release(..), Seen::Decision(_)) => "given back",
        (Request::Release(..), Seen::Conflict) => "not given back",
        (Request::Reserve { .. }, Seen::Reserved { .. }) => "held",
        (Request::Reserve { .. }, _) => "not held",
        (Request::Confirm(..), Seen::Reservation { .. }) => "confirmed",
        (Request::Confirm(..), Seen::Conflict) => "not confirmed",
        (Request::Cancel(_), Seen::Reservation { status: "released", .. }) => "cancelled",
        (_, Seen::Reservation { status: "expired", .. }) => "expired",
        (_, Seen::Reconciled { applied: true, .. }) => "reconciled",
        (_, Seen::Usage { .. }) => "listed",
        (Request::Check(..), _) => "checked",
        _ => "anything else",
    }
}
