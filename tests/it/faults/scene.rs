//! Processes on one PostgreSQL behind a proxy, and what must be so when a fault is over.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::interval;

use super::bystander::{Bystander, Slack};
use super::load::Load;
use super::watch::reads;
use crate::crash::load::{KEYED, UNKEYED};
use crate::crash::{set_up, taking};
use crate::harness::postgres::until;
use crate::harness::{Actor, Plimsoll, Postgres, Proxy, Setup};

/// The longest that a taking may wait for the database, in the settings of every process.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to that.
const A_LITTLE: Duration = Duration::from_millis(700);
/// The longest that a taking may be refused after the database is back.
const RECOVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(45);
/// The connections of one process by its settings: for reads, for takings, for changes, and to be told of changes.
const CONNECTIONS: usize = 8 + 3;
/// More than a process has connections for reads.
const READS: usize = 16;
/// An org that only the test itself takes from.
pub(super) const PROBE: &str = "probe";

/// Processes that wait for the database however long a busy machine takes: of tests that are not about how long.
pub(super) fn patient(setup: Setup) -> Setup {
    setup.variable("PLIMSOLL_DATABASE_DEADLINE_MS", "30000")
}

/// The processes, and the way to their database. Nobody else has a connection through it.
pub(super) struct Scene {
    pub(super) servers: Vec<Plimsoll>,
    pub(super) proxy: Proxy,
    /// The cap of every counter.
    pub(super) max: u64,
    bystander: Bystander,
}

impl Scene {
    /// So many processes at once on an empty database, with so much room in every counter.
    pub(super) async fn start(postgres: &Postgres, processes: usize, max: u64) -> Self {
        Self::with(postgres, processes, max, |setup| setup).await
    }

    /// The same with other settings than the usual.
    pub(super) async fn with(postgres: &Postgres, processes: usize, max: u64, change: impl FnOnce(Setup) -> Setup) -> Self {
        let proxy = Proxy::to(postgres.address());
        let setup = change(Setup::on_postgres(postgres).at_database(&postgres.url_through(proxy.address())));
        let servers = Plimsoll::all(vec![setup; processes]).await;
        let orgs = [KEYED.as_slice(), &UNKEYED, &[PROBE]].concat();
        let changed = set_up(&servers[0].admin(), max, orgs).await;
        let scene = Self { servers, proxy, max, bystander: Bystander::start().await };
        for server in &scene.servers {
            knows(server, changed).await;
        }
        scene
    }

    /// Starts callers, and those who watch what must go on meanwhile, and waits until they are at it.
    pub(super) async fn load(&self) -> Load {
        let load = Load::start(self);
        load.answers(300).await;
        load
    }

    /// How much longer than they should things may take.
    pub(super) fn slack(&self) -> Slack {
        self.bystander.slack()
    }

    /// Every process grants again, soon after the database is back, which it has just become, and goes on to.
    pub(super) async fn recovers(&self, load: &Load) {
        let back = Instant::now();
        let mut granting: JoinSet<Duration> = self.servers.iter().map(|server| first_grant(server.admin(), back)).collect();
        while let Some(waited) = granting.join_next().await {
            let waited = waited.expect("a grant");
            let most = RECOVERY + self.slack().taking;
            assert!(waited <= most, "takings were refused for {waited:?} after the database was back, and not {most:?}");
        }
        for server in &self.servers {
            assert_reads(server).await;
        }
        let found_down = self.found_down();
        load.answers(300).await;
        let is_machine = self.slack().taking >= DEADLINE;
        assert!(self.found_down() == found_down || is_machine, "the database was found down again");
    }

    /// How often a process has found that its database does not answer.
    fn found_down(&self) -> usize {
        let times = |server: &Plimsoll| server.stderr.text().matches("the database server does not answer").count();
        self.servers.iter().map(times).sum()
    }

    /// Takings are refused everywhere.
    pub(super) async fn refuses(&self) {
        for server in &self.servers {
            until_refused(&server.admin()).await;
        }
    }

    /// Takings are refused everywhere, and nobody waits for the database any more.
    pub(super) async fn refuses_at_once(&self) {
        for server in &self.servers {
            until_refused(&server.admin()).await;
            for _ in 0..10 {
                let begun = Instant::now();
                let refused = server.admin().post("/v1/consume", taking(PROBE, "seats", 1)).await;
                refused.fails(503, "unavailable");
                assert!(refused.header("retry-after").is_some(), "{}", refused.text);
                let (took, most) = (begun.elapsed(), DEADLINE / 2 + self.slack().answer);
                assert!(took < most, "it was known, and it took {took:?} and not {most:?}");
            }
        }
    }

    /// When the callers have gone, nothing is left behind: every acknowledged call has its effect and no other has, nothing is above the
    /// cap, no connection is in a transaction, there are no more of them than there should be, and there was no deadlock.
    pub(super) async fn is_whole(&self, load: Load, postgres: &Postgres) -> Tally {
        let tally = load.stop().await;
        tally.assert_served(self.slack());
        block_in_place(|| is_quiet(postgres, self.servers.len()));
        tally.assert_exact(&self.servers[self.servers.len() - 1], self.max).await;
        assert!(!postgres.log().contains("deadlock detected"), "there was a deadlock");
        tally
    }
}

pub(super) use super::load::Tally;

/// A PostgreSQL that waits for the disk, and that finds out who waits for each other in a circle before anybody has waited for too long.
pub(super) fn durable() -> Postgres {
    Postgres::with(|options| options.durable().setting("deadlock_timeout", "100ms"))
}

/// The processes have finished with the server.
#[track_caller]
pub(super) fn is_quiet(postgres: &Postgres, processes: usize) {
    let at_it = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'plimsoll %' AND state <> 'idle'";
    until("no connection is in a transaction", || postgres.number(at_it) == 0);
    until("no pool has grown", || postgres.connections() <= processes * CONNECTIONS);
    assert_eq!((postgres.idle_in_transaction(), postgres.deadlocks()), (0, 0));
}

/// The longest that an answer to a taking may take.
pub(super) const fn longest_taking() -> Duration {
    DEADLINE.saturating_add(A_LITTLE)
}

/// Asks again and again until it is so.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let (begun, mut looks) = (Instant::now(), interval(LOOK));
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        looks.tick().await;
    }
}

/// The process knows the orgs, so that nothing has to be asked about them.
async fn knows(server: &Plimsoll, revision: u64) {
    for org in [KEYED.as_slice(), &UNKEYED, &[PROBE]].concat() {
        let question = json!({"org": org, "limitKey": "seats", "current": 0});
        let admin = server.admin();
        let asked = admin.request("POST", "/v1/check").header("Plimsoll-At-Least", revision.to_string());
        asked.json(&question).send().await.is(200);
    }
}

/// When a taking was granted first.
async fn first_grant(admin: Actor, back: Instant) -> Duration {
    let admin = admin.unjudged();
    eventually("a grant", || async { admin.post("/v1/consume", taking(PROBE, "seats", 1)).await.status == 200 }).await;
    back.elapsed()
}

/// Once takings are granted, what is read of the database is read, by however many at once.
async fn assert_reads(server: &Plimsoll) {
    let actor = server.admin().unjudged();
    let mut reading: JoinSet<bool> =
        (0..READS).map(|_| actor.clone()).map(|actor| async move { reads(&actor).await }).collect();
    while let Some(is_read) = reading.join_next().await {
        assert!(is_read.expect("an answer"), "takings are granted, and reads are refused");
    }
    let put = actor.put_org("another", "free").await;
    assert!(put.status == 200 || put.status == 201, "{}", put.text);
}

async fn until_refused(admin: &Actor) {
    eventually("a refusal", || async { admin.post("/v1/consume", taking(PROBE, "seats", 1)).await.status == 503 }).await;
}
