//! Servers with the oracle's plan, and orgs of it whose every call is recorded.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::chance::Chance;
use super::checker::explain;
use super::clock::{Clock, Mark, SetClock, remove_shared_memory};
use super::history::{Call, of_org, of_place, places};
use super::model::{Request, Seen, State};
use super::plan::{Plan, TIERS, catalogue};
use super::wire::{Reader, override_body, send};
use crate::harness::{Actor, Plimsoll, Setup};

/// What is counted per project is counted for these.
pub(super) const PROJECTS: [&str; 2] = ["blue", "red"];

/// Servers of one database, and their clock.
pub(crate) struct World {
    servers: Vec<Plimsoll>,
    pub(super) clock: Clock,
    start: Instant,
}

/// A call before it is known what else happened beside it.
struct Raw {
    call: Call,
    clock: (Mark, Mark),
}

/// A change of the plan: from the moment it was sent it may apply, and from the moment it was answered it does.
struct Change {
    span: (u64, u64),
    plan: Arc<Plan>,
}

/// One org, and all that happens to it.
pub(super) struct Org {
    world: Arc<World>,
    pub(super) name: String,
    /// A caller of each server.
    actors: Vec<Actor>,
    /// Whose turn it is to be asked.
    turn: AtomicUsize,
    /// The revision of the last change that was answered.
    revision: AtomicU64,
    calls: Mutex<Vec<Raw>>,
    changes: Mutex<Vec<Change>>,
    /// What the server calls the reservations, by the oracle's numbers.
    ids: Mutex<Vec<(usize, String)>>,
    serials: AtomicUsize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A server by the machine's clock.
    pub(super) async fn start() -> Arc<Self> {
        Self::over(Setup::new(), 1).await
    }

    /// A server by a clock that stands still until it is set.
    pub(super) async fn start_at(moment: i64) -> Arc<Self> {
        Self::over_at(Setup::new(), 1, moment).await
    }

    /// So many servers of one database, started at once, by the machine's clock.
    pub(crate) async fn over(setup: Setup, servers: usize) -> Arc<Self> {
        Self::of(setup, servers, Clock::Real).await
    }

    /// The same by one clock that stands still until it is set.
    pub(crate) async fn over_at(setup: Setup, servers: usize, moment: i64) -> Arc<Self> {
        let (clock, setup) = SetClock::new(setup, moment);
        Self::of(setup, servers, Clock::Set(clock)).await
    }

    async fn of(setup: Setup, servers: usize, clock: Clock) -> Arc<Self> {
        let servers = Plimsoll::all(std::iter::repeat_n(setup, servers)).await;
        servers[0].admin().put_catalog(&catalogue()).await.is(200);
        Arc::new(Self { servers, clock, start: Instant::now() })
    }

    /// Microseconds since the start, which never go back.
    fn since_start(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).expect("not that long")
    }

    /// An org of a tier. Whether its answers are also held to the document costs time.
    pub(super) async fn org(self: &Arc<Self>, name: &str, tier: usize, is_judged: bool) -> Org {
        let admins = self.servers.iter().map(Plimsoll::admin);
        let actors: Vec<Actor> = admins.map(|admin| if is_judged { admin } else { admin.unjudged() }).collect();
        let revision = actors[0].put_org(name, TIERS[tier].0).await.is(201).revision();
        let plan = Arc::new(Plan::of(tier));
        Org {
            world: Arc::clone(self),
            name: name.to_owned(),
            actors,
            turn: AtomicUsize::new(0),
            revision: AtomicU64::new(revision),
            calls: Mutex::default(),
            changes: Mutex::new(vec![Change { span: (0, 0), plan }]),
            ids: Mutex::default(),
            serials: AtomicUsize::new(0),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if matches!(self.clock, Clock::Set(_)) {
            self.servers.iter().for_each(|server| remove_shared_memory(server.pid()));
        }
    }
}

impl Org {
    /// The reservations that were made so far.
    pub(super) fn made(&self) -> Vec<usize> {
        locked(&self.ids).iter().map(|(serial, _)| *serial).collect()
    }

    /// A number for the next reservation.
    pub(super) fn serial(&self) -> usize {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }

    /// What the org has now.
    pub(super) fn plan(&self) -> Plan {
        let changes = locked(&self.changes);
        Plan::clone(&changes.last().expect("a first plan").plan)
    }

    /// A caller of the server whose turn it is, who demands to be answered by what was changed before.
    fn actor(&self) -> Actor {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.actors[turn % self.actors.len()].at_least(self.revision.load(Ordering::SeqCst))
    }

    /// Sends a request and records it with its answer.
    pub(super) async fn call(&self, caller: usize, request: Request) -> Seen {
        let id = match &request {
            Request::Confirm(serial, _) | Request::Cancel(serial) | Request::Look(serial) => self.id_of(*serial),
            Request::Check(..)
            | Request::Consume(..)
            | Request::Batch(_)
            | Request::Part { .. }
            | Request::Release(..)
            | Request::Reserve { .. }
            | Request::Reconcile { .. }
            | Request::Usage(_) => String::new(),
        };
        let (sent, first) = (self.world.since_start(), self.world.clock.at_least());
        let answer = send(&self.actor(), &self.name, &request, &id).await;
        let (last, answered) = (self.world.clock.at_most(), self.world.since_start());
        let reader = Reader { org: &self.name, between: (first.millis(), last.millis()) };
        let seen = reader.read(&request, &answer);
        if let (Request::Reserve { serial, .. }, Seen::Reserved { .. }) = (&request, &seen) {
            locked(&self.ids).push((*serial, answer.text_at("/data/id").to_owned()));
        }
        let call = Call { caller, request, seen: seen.clone(), span: (sent, answered), moments: Vec::new(), plans: Vec::new() };
        locked(&self.calls).push(Raw { call, clock: (first, last) });
        seen
    }

    fn id_of(&self, serial: usize) -> String {
        let ids = locked(&self.ids);
        ids.iter().find(|(known, _)| *known == serial).map(|(_, id)| id.clone()).expect("a reservation that was made")
    }

    /// Changes the plan by chance: another tier, or an override more or less. One caller does this, one after the other.
    pub(super) async fn change_plan(&self, chance: &mut Chance) {
        let mut plan = self.plan();
        if chance.percent(60) {
            plan.tier = chance.index(TIERS.len());
            self.change_to(plan).await;
        } else if !plan.overrides.is_empty() && chance.percent(60) {
            plan.overrides.remove(chance.index(plan.overrides.len()));
            self.change_to(plan).await;
        } else {
            let key = chance.index(super::plan::KEYS.len());
            let is_set = chance.percent(50) && !plan.overrides.iter().any(|one| one.key == key && one.is_set);
            let now = self.world.clock.at_most().millis();
            let until = chance.percent(40).then(|| now + i64::try_from(chance.between(200, 90_000)).expect("soon"));
            let cap = if is_set && chance.percent(10) { None } else { Some(chance.below(12)) };
            plan.overrides.push(super::plan::Override { id: String::new(), key, is_set, cap, until });
            self.change_to(plan).await;
        }
    }

    /// Gives the org another plan: its tier, or one override more or less.
    pub(super) async fn change_to(&self, mut plan: Plan) {
        let before = self.plan();
        let sent = self.world.since_start();
        let (actor, path) = (self.actor(), format!("/v1/admin/orgs/{}/overrides", self.name));
        let changed = if plan.tier != before.tier {
            actor.put_org(&self.name, TIERS[plan.tier].0).await
        } else if let Some(new) = plan.overrides.iter_mut().find(|one| one.id.is_empty()) {
            let made = actor.create_override(&self.name, &override_body(new)).await;
            if new.until.is_some_and(|until| until <= self.world.clock.at_most().millis()) && made.status == 400 {
                // The clock was set past its end before it came there.
                return;
            }
            made.is(201).text_at("/data/id").clone_into(&mut new.id);
            made
        } else if let Some(gone) = before.overrides.iter().find(|one| !plan.overrides.contains(one)) {
            actor.delete(&format!("{path}/{}", gone.id)).await
        } else {
            return;
        };
        assert!(changed.status < 300, "{}: {}", changed.asked, changed.text);
        self.revision.fetch_max(changed.revision(), Ordering::SeqCst);
        let answered = self.world.since_start();
        locked(&self.changes).push(Change { span: (sent, answered), plan: Arc::new(plan) });
    }

    /// Everything that was recorded, with what may have been so at each call.
    pub(super) fn history(&self) -> Vec<Call> {
        let (calls, changes) = (locked(&self.calls), locked(&self.changes));
        let of_holds = calls.iter().flat_map(|raw| moments_of(&raw.call.seen));
        let of_overrides = changes.iter().flat_map(|change| change.plan.overrides.iter().filter_map(|one| one.until));
        let ends: Vec<i64> = of_holds.chain(of_overrides).collect();
        let history = calls.iter().map(|Raw { call, clock: (first, last) }| {
            let moments = self.world.clock.moments(*first, *last, ends.iter().copied());
            Call { moments, plans: plans_during(&changes, call.span), ..call.clone() }
        });
        history.collect()
    }

    /// Fails if what was answered cannot be explained: place by place with everything that was asked, and all of the org together.
    pub(super) fn explained(&self) -> Result<(), String> {
        let history = self.history();
        for place in places(&history) {
            explain(&of_place(&history, place), &State::default())
                .map_err(|why| format!("{place:?} of {}: {why}", self.name))?;
        }
        explain(&of_org(&history), &State::default()).map_err(|why| format!("{} as a whole: {why}", self.name))
    }
}

/// The moments that an answer names: what happened at one of them happened at just that.
fn moments_of(seen: &Seen) -> Vec<i64> {
    use super::model::End;
    match seen {
        Seen::Reserved { created_at, expires_at, .. } => vec![*created_at, *expires_at],
        Seen::Reservation { end: Some(End::Confirmed(_, at) | End::Released(at)), .. } => vec![*at],
        Seen::Reservation { .. }
        | Seen::Decision(_)
        | Seen::Batch(..)
        | Seen::Reconciled { .. }
        | Seen::Usage { .. }
        | Seen::Unlisted
        | Seen::Conflict
        | Seen::Invalid
        | Seen::Missing
        | Seen::Wrong(_) => Vec::new(),
    }
}

/// The plans that may have applied at some moment of a call.
fn plans_during(changes: &[Change], (sent, answered): (u64, u64)) -> Vec<Arc<Plan>> {
    let is_over = |next: Option<&Change>| next.is_some_and(|next| next.span.1 < sent);
    let during = |(index, change): &(usize, &Change)| change.span.0 <= answered && !is_over(changes.get(index + 1));
    changes.iter().enumerate().filter(during).map(|(_, change)| Arc::clone(&change.plan)).collect()
}
