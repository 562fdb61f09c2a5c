//! The plain model: what one org has used and holds, and what every request does to it, one after the other.

use std::collections::BTreeMap;

use super::plan::{Cap, KEYS, Plan};

/// No number is above this.
pub(super) const MOST: u64 = 9_007_199_254_740_991;
/// Reservations may be forgotten a day after their time.
const REMEMBERED: i64 = 86_400_000;

/// What is counted: a limit key, for a project if it is counted per project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) key: usize,
    pub(super) project: Option<&'static str>,
}

impl Place {
    fn window(self, now: i64) -> Option<(i64, i64)> {
        KEYS[self.key].unit.map(|unit| unit.window(now))
    }
}

/// What is asked. Reservations go by the number that the oracle gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Check(Place, u64),
    Consume(Place, u64),
    Batch(Vec<(Place, u64)>),
    /// What a batch did to one of its places, when that is looked at alone.
    Part {
        place: Place,
        amount: u64,
        granted: bool,
    },
    Release(Place, u64),
    Reserve {
        serial: usize,
        place: Place,
        amount: u64,
        ttl: u64,
    },
    Confirm(usize, Option<u64>),
    Cancel(usize),
    Look(usize),
    Reconcile {
        place: Place,
        actual: u64,
        dry_run: bool,
    },
    Usage(Place),
}

/// A decision as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) place: Place,
    pub(super) allowed: bool,
    pub(super) current: u64,
    pub(super) held: u64,
    pub(super) max: Cap,
    pub(super) requested: u64,
    pub(super) remaining: Cap,
    pub(super) window: Option<(i64, i64)>,
    pub(super) tier: String,
    pub(super) source: String,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Confirmed(u64, i64),
    Released(i64),
}

/// Why a reservation does not end as it was asked to.
enum No {
    Invalid,
    Conflict,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Decision(Shown),
    /// One decision for each item.
    Batch(bool, Vec<Shown>),
    Reserved {
        created_at: i64,
        expires_at: i64,
        shown: Shown,
    },
    Reservation {
        place: Place,
        amount: u64,
        status: &'static str,
        created_at: i64,
        expires_at: i64,
        end: Option<End>,
    },
    Reconciled {
        recorded: u64,
        actual: u64,
        applied: bool,
    },
    Usage {
        used: u64,
        shown: Shown,
    },
    /// Nothing is listed of this place.
    Unlisted,
    Conflict,
    Invalid,
    Missing,
    /// An answer that is wrong whatever happened before.
    Wrong(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    place: Place,
    window: Option<(i64, i64)>,
    amount: u64,
    created_at: i64,
    expires_at: i64,
    /// Somebody took from its counter when its time was over. It stays over for whoever has looked at the clock a moment before.
    has_lapsed: bool,
    end: Option<End>,
}

impl Held {
    fn status(&self, now: i64) -> &'static str {
        match self.end {
            Some(End::Confirmed(..)) => "confirmed",
            Some(End::Released(_)) => "released",
            None if now < self.expires_at && !self.has_lapsed => "held",
            None => "expired",
        }
    }

    fn seen(&self, now: i64) -> Seen {
        let Self { place, amount, created_at, expires_at, end, .. } = *self;
        Seen::Reservation { place, amount, status: self.status(now), created_at, expires_at, end }
    }
}

/// What one org has used and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// By place and first moment of the window, 0 without one.
    used: BTreeMap<(Place, i64), u64>,
    reservations: BTreeMap<usize, Held>,
}

impl State {
    fn used(&self, place: Place, window: Option<(i64, i64)>) -> u64 {
        self.used.get(&(place, window.map_or(0, |(start, _)| start))).copied().unwrap_or_default()
    }

    fn set_used(&mut self, place: Place, window: Option<(i64, i64)>, used: u64) {
        let at = (place, window.map_or(0, |(start, _)| start));
        // States that mean the same must be the same.
        if used == 0 {
            self.used.remove(&at)
        } else {
            self.used.insert(at, used)
        };
    }

    fn held(&self, place: Place, window: Option<(i64, i64)>, now: i64) -> u64 {
        let alive = |held: &&Held| held.place == place && held.window == window && held.status(now) == "held";
        self.reservations.values().filter(alive).map(|held| held.amount).sum()
    }

    /// How a question is answered, before anything is taken.
    fn judge(&self, place: Place, amount: u64, now: i64, plan: &Plan, plan_at: i64) -> Shown {
        let standing = plan.standing(place.key, plan_at);
        let window = place.window(now);
        let held = self.held(place, window, now);
        let current = self.used(place, window) + held;
        let shown = Shown {
            place,
            allowed: standing.cap.is_none_or(|cap| current + amount <= cap),
            current,
            held,
            max: standing.cap,
            requested: amount,
            remaining: None,
            window,
            tier: standing.tier.to_owned(),
            source: standing.source.to_owned(),
        };
        shown.at(current)
    }

    fn take(&mut self, shown: &Shown) -> Shown {
        let Shown { place, window, requested, .. } = *shown;
        self.set_used(place, window, self.used(place, window) + requested);
        shown.clone().at(shown.current + requested)
    }

    /// Lets lapse what a request that comes to the counters finds there and whose time is over.
    fn lapse(&mut self, request: &Request, now: i64) {
        let places: Vec<Place> = match request {
            Request::Consume(place, _)
            | Request::Part { place, .. }
            | Request::Release(place, _)
            | Request::Reserve { place, .. }
            | Request::Reconcile { place, .. } => vec![*place],
            Request::Batch(items) => items.iter().map(|(place, _)| *place).collect(),
            Request::Confirm(..) | Request::Cancel(_) | Request::Check(..) | Request::Usage(_) | Request::Look(_) => Vec::new(),
        };
        let mut counters: Vec<_> = places.into_iter().map(|place| (place, place.window(now))).collect();
        if let Request::Confirm(serial, _) | Request::Cancel(serial) = request {
            counters.extend(self.reservations.get(serial).map(|held| (held.place, held.window)));
        }
        for held in self.reservations.values_mut().filter(|held| counters.contains(&(held.place, held.window))) {
            held.has_lapsed |= held.end.is_none() && held.expires_at <= now;
        }
    }

    /// Does one request at `now`, under the plan as it was at `plan_at`, and says how it is answered.
    pub(super) fn apply(&mut self, request: &Request, now: i64, plan: &Plan, plan_at: i64) -> Seen {
        self.lapse(request, now);
        match request {
            Request::Check(place, amount) => Seen::Decision(self.judge(*place, *amount, now, plan, plan_at)),
            Request::Consume(place, amount) => match self.judge(*place, *amount, now, plan, plan_at) {
                shown if !shown.allowed => Seen::Decision(shown),
                shown if shown.current + amount > MOST => Seen::Conflict,
                shown => Seen::Decision(self.take(&shown)),
            },
            Request::Batch(items) => self.batch(items, now, plan, plan_at),
            Request::Part { place, amount, granted } => match self.judge(*place, *amount, now, plan, plan_at) {
                shown if *granted && shown.allowed => Seen::Decision(self.take(&shown)),
                shown => Seen::Decision(shown),
            },
            Request::Release(place, amount) => {
                let window = place.window(now);
                let used = self.used(*place, window);
                if *amount > used {
                    return Seen::Conflict;
                }
                self.set_used(*place, window, used - amount);
                Seen::Decision(Shown { allowed: true, ..self.judge(*place, *amount, now, plan, plan_at) })
            }
            Request::Reserve { serial, place, amount, ttl } => {
                self.reserve((*serial, *place, *amount, *ttl), now, plan, plan_at)
            }
            Request::Confirm(serial, amount) => self.settle(*serial, now, |held| match (held.status(now), held.end) {
                _ if amount.is_some_and(|amount| amount > held.amount) => Err(No::Invalid),
                ("held", _) => Ok(Some(End::Confirmed(amount.unwrap_or(held.amount), now))),
                ("confirmed", Some(End::Confirmed(before, _))) if before == amount.unwrap_or(held.amount) => Ok(None),
                _ => Err(No::Conflict),
            }),
            Request::Cancel(serial) => self.settle(*serial, now, |held| match held.status(now) {
                "held" => Ok(Some(End::Released(now))),
                "confirmed" => Err(No::Conflict),
                _ => Ok(None),
            }),
            Request::Look(serial) => self.settle(*serial, now, |_| Ok(None)),
            Request::Reconcile { place, actual, dry_run } => {
                let window = place.window(now);
                let recorded = self.used(*place, window);
                if !dry_run {
                    if actual + self.held(*place, window, now) > MOST {
                        return Seen::Conflict;
                    }
                    self.set_used(*place, window, *actual);
                }
                Seen::Reconciled { recorded, actual: *actual, applied: !dry_run }
            }
            Request::Usage(place) => {
                // It says neither the tier nor whether more would be allowed.
                let judged = self.judge(*place, 0, now, plan, plan_at);
                let shown = Shown { allowed: true, tier: String::new(), ..judged };
                Seen::Usage { used: shown.current - shown.held, shown }
            }
        }
    }

    fn batch(&mut self, items: &[(Place, u64)], now: i64, plan: &Plan, plan_at: i64) -> Seen {
        let sums = sums(items);
        let mut shown: BTreeMap<Place, Shown> =
            sums.iter().map(|(place, sum)| (*place, self.judge(*place, *sum, now, plan, plan_at))).collect();
        let granted = shown.values().all(|shown| shown.allowed);
        if granted {
            if shown.values().any(|shown| shown.current + shown.requested > MOST) {
                return Seen::Conflict;
            }
            shown.values_mut().for_each(|shown| *shown = self.take(shown));
        }
        Seen::Batch(granted, items.iter().map(|(place, _)| shown[place].clone()).collect())
    }

    fn reserve(&mut self, (serial, place, amount, ttl): (usize, Place, u64, u64), now: i64, plan: &Plan, plan_at: i64) -> Seen {
        let shown = self.judge(place, amount, now, plan, plan_at);
        if !shown.allowed {
            return Seen::Decision(shown);
        }
        if shown.current + amount > MOST {
            return Seen::Conflict;
        }
        let expires_at = now + 1_000 * i64::try_from(ttl).expect("a day at most");
        let held = Held { place, window: shown.window, amount, created_at: now, expires_at, has_lapsed: false, end: None };
        self.reservations.insert(serial, held);
        let shown = Shown { held: shown.held + amount, ..shown.clone().at(shown.current + amount) };
        Seen::Reserved { created_at: now, expires_at, shown }
    }

    fn settle(&mut self, serial: usize, now: i64, how: impl FnOnce(&Held) -> Result<Option<End>, No>) -> Seen {
        let Some(held) = self.reservations.get_mut(&serial) else { return Seen::Missing };
        let end = match how(held) {
            Err(No::Invalid) => return Seen::Invalid,
            Err(No::Conflict) => return Seen::Conflict,
            Ok(None) => return held.seen(now),
            Ok(Some(end)) => end,
        };
        held.end = Some(end);
        let (seen, place, window) = (held.seen(now), held.place, held.window);
        if let End::Confirmed(amount, _) = end {
            self.set_used(place, window, self.used(place, window) + amount);
        }
        seen
    }

    /// Whether an answer may be that there is no such reservation: long after its time nobody has to know of it.
    pub(super) fn may_be_forgotten(&self, request: &Request, now: i64) -> bool {
        let (Request::Confirm(serial, _) | Request::Cancel(serial) | Request::Look(serial)) = request else { return false };
        self.reservations.get(serial).is_some_and(|held| now >= held.expires_at + REMEMBERED)
    }
}

impl Shown {
    fn at(self, current: u64) -> Self {
        Self { current, remaining: self.max.map(|max| max.saturating_sub(current)), ..self }
    }
}

/// What is asked of each place: items of the same one add up.
pub(super) fn sums(items: &[(Place, u64)]) -> BTreeMap<Place, u64> {
    let mut sums = BTreeMap::new();
    for (place, amount) in items {
        *sums.entry(*place).or_default() += amount;
    }
    sums
}
