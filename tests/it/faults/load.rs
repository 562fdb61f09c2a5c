//! Callers of several processes, those who watch what must go on meanwhile, and the account of it all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::bystander::Slack;
use super::scene::{Scene, longest_taking};
use super::watch::{Seen, Watch};
use crate::crash::load::{Book, Crew, Servers, Until, assert_bounds, assert_exact};
use crate::crash::random::Random;
use crate::harness::Plimsoll;

/// Callers for each process.
const CALLERS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(30);

/// Running callers.
pub(super) struct Load {
    crew: Crew,
    callers: Vec<JoinHandle<()>>,
    watches: Vec<Watch>,
    is_over: Arc<AtomicBool>,
}

/// What has become of their calls.
pub(super) struct Tally {
    book: Arc<Mutex<Book>>,
    seen: Vec<Seen>,
}

impl Load {
    pub(super) fn start(scene: &Scene) -> Self {
        let (is_over, mut random) = (Arc::new(AtomicBool::new(false)), Random::new());
        let servers = Servers::at(scene.servers.iter().map(|server| server.url("")));
        let crew = Crew::on(servers, &Arc::default(), Until::Told(Arc::clone(&is_over)));
        let callers = crew.start(CALLERS * scene.servers.len(), "call", &mut random);
        let watches = scene.servers.iter().map(Watch::over).collect();
        Self { crew, callers, watches, is_over }
    }

    /// Where the callers send to.
    pub(super) fn servers(&self) -> &Servers {
        &self.crew.servers
    }

    /// Waits for so many more answers.
    pub(super) async fn answers(&self, count: u32) {
        self.crew.answers.forget_permits(usize::MAX >> 3);
        let enough = timeout(PATIENCE, self.crew.answers.acquire_many(count)).await;
        enough.expect("so many answers in time").expect("callers").forget();
    }

    /// How many calls were answered that their outcome is not known.
    pub(super) fn unavailable(&self) -> usize {
        self.book().unavailable
    }

    /// How many were refused because a counter was full.
    pub(super) fn refused(&self) -> usize {
        self.book().refused
    }

    /// How many calls were granted.
    pub(super) fn granted(&self) -> usize {
        self.book().granted
    }

    /// How many calls were not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.book().unanswered
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.crew.book.lock().expect("no panic")
    }

    /// No longer watches one of the processes, whose end is near.
    pub(super) async fn look_away(&mut self, server: usize, scene: &Scene) {
        self.watches.remove(server).stop().await.assert_served(scene.slack());
    }

    /// Ends when every caller has had its last answer.
    pub(super) async fn stop(self) -> Tally {
        self.is_over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.await.expect("no answer that is neither a grant nor a refusal, nor unavailable");
        }
        let mut seen = Vec::new();
        for watch in self.watches {
            seen.push(watch.stop().await);
        }
        Tally { book: self.crew.book, seen }
    }
}

impl Tally {
    /// Whatever happened, nobody waited for longer than is promised, and what needs no database was served.
    pub(super) fn assert_served(&self, slack: Slack) {
        let slowest = self.book().slowest;
        assert!(slowest < longest_taking() + slack.taking, "an answer took {slowest:?}, with {slack:?}");
        self.seen.iter().for_each(|seen| seen.assert_served(slack));
    }

    /// Usage is exactly what was granted, once everybody who does not know has asked again; and never was it above the cap.
    pub(super) async fn assert_exact(&self, server: &Plimsoll, max: u64) {
        assert_bounds(&server.admin().unjudged(), &self.book, max).await;
        let asked = assert_exact(server, &self.book).await;
        let book = self.book();
        eprintln!(
            "{} granted, {} refused, {} unavailable, {} unanswered, {asked} asked about in the end",
            book.granted, book.refused, book.unavailable, book.unanswered
        );
    }

    /// How many calls were answered that their outcome is not known.
    pub(super) fn unavailable(&self) -> usize {
        self.book().unavailable
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic")
    }
}
