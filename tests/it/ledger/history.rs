//! What was asked and answered, when, and what may have been so in between.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::model::{Place, Request, Seen, Shown, sums};
use super::plan::Plan;

/// A request with its answer.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: usize,
    pub(super) request: Request,
    pub(super) seen: Seen,
    /// When it was sent and when its answer had come, on the test's own clock that never goes back.
    pub(super) span: (u64, u64),
    /// What the server's clock may have shown in between, as far as it makes a difference.
    pub(super) moments: Vec<i64>,
    /// The plans that the org may have had in between.
    pub(super) plans: Vec<Arc<Plan>>,
}

impl Call {
    /// The places that it is about; of one that names a reservation, nothing is known here.
    fn places(&self) -> Vec<Place> {
        match &self.request {
            Request::Check(place, _)
            | Request::Consume(place, _)
            | Request::Part { place, .. }
            | Request::Release(place, _)
            | Request::Reserve { place, .. }
            | Request::Reconcile { place, .. }
            | Request::Usage(place) => vec![*place],
            Request::Batch(items) => items.iter().map(|(place, _)| *place).collect(),
            Request::Confirm(..) | Request::Cancel(_) | Request::Look(_) => Vec::new(),
        }
    }

    fn settles(&self, serials: &BTreeSet<usize>) -> bool {
        match &self.request {
            Request::Confirm(serial, _) | Request::Cancel(serial) => serials.contains(serial),
            Request::Check(..)
            | Request::Consume(..)
            | Request::Part { .. }
            | Request::Release(..)
            | Request::Reserve { .. }
            | Request::Reconcile { .. }
            | Request::Usage(_)
            | Request::Batch(_)
            | Request::Look(_) => false,
        }
    }

    /// What a batch did to one place.
    fn part(&self, place: Place) -> Self {
        let (Request::Batch(items), Seen::Batch(granted, shown)) = (&self.request, &self.seen) else { return self.clone() };
        let amount = sums(items)[&place];
        let shown = shown.iter().find(|shown| shown.place == place).cloned();
        let seen = shown.map_or_else(|| Seen::Wrong("an item has no decision".to_owned()), Seen::Decision);
        Self { request: Request::Part { place, amount, granted: *granted }, seen, ..self.clone() }
    }
}

/// All places of a history.
pub(super) fn places(calls: &[Call]) -> BTreeSet<Place> {
    calls.iter().flat_map(Call::places).collect()
}

/// What happened to one place. The look at a reservation is left out: it shows what is committed, a moment before a check does.
pub(super) fn of_place(calls: &[Call], place: Place) -> Vec<Call> {
    let made = |call: &Call| {
        let Request::Reserve { serial, place: of, .. } = call.request else { return None };
        (of == place).then_some(serial)
    };
    let serials: BTreeSet<usize> = calls.iter().filter_map(made).collect();
    let is_about = |call: &&Call| call.places().contains(&place) || call.settles(&serials);
    calls.iter().filter(is_about).map(|call| call.part(place)).collect()
}

/// What changed anything, and looks at reservations: all of it in one order, whatever the place.
pub(super) fn of_org(calls: &[Call]) -> Vec<Call> {
    let is_answered_from_memory = |call: &&Call| matches!(call.request, Request::Check(..) | Request::Usage(_));
    calls.iter().filter(|call| !is_answered_from_memory(call)).cloned().collect()
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, request, seen, span: (sent, answered), moments, .. } = self;
        write!(f, "{sent:>9}..{answered:<9} caller {caller}: {request:?} at {moments:?}\n{:>25}", "")?;
        match seen {
            Seen::Decision(shown) => write!(f, "{shown}"),
            Seen::Batch(granted, all) => {
                write!(f, "{}", if *granted { "all:" } else { "nothing:" })?;
                all.iter().try_for_each(|shown| write!(f, " {shown};"))
            }
            Seen::Reserved { expires_at, shown, .. } => write!(f, "held until {expires_at}, {shown}"),
            Seen::Usage { used, shown } => write!(f, "used {used}, {shown}"),
            Seen::Reservation { .. }
            | Seen::Reconciled { .. }
            | Seen::Unlisted
            | Seen::Conflict
            | Seen::Invalid
            | Seen::Missing
            | Seen::Wrong(_) => write!(f, "{seen:?}"),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, allowed, current, held, max, requested, remaining, tier, source, .. } = self;
        let word = if *allowed { "allowed" } else { "refused" };
        let max = max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
        write!(
            f,
            "{word} {requested} of {place:?}: {current}/{max}, held {held}, remaining {remaining:?}, by {source} of {tier}"
        )
    }
}
