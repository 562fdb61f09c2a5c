//! Sliding windows that all processes share, in Redis. The process's own stand in for what Redis does not answer in time.
//!
//! All windows of a subject are in one place, so that one script judges them together in one round trip, by the server's clock.
//! What Redis counts is noted in the process's own windows too: when they stand in, they begin with what this process let pass.

mod fleet;
mod node;
mod place;
mod slots;

use std::time::Duration;

use redis::{Script, ScriptInvocation};
use tokio::time::Instant;

use super::{Held, Limiter, Passage, Told, Window};
use crate::domain::bound::Bound;
use fleet::Fleet;
use node::Trouble;
pub use place::{Authorities, Place};

/// What judges windows where they are.
pub(super) const SCRIPT: &str = include_str!("window.lua");
/// The longest window, so that its microseconds are exact in the script's numbers.
const LONGEST: u64 = 4_294_967_295;

/// Shared windows.
pub struct Shared {
    own: Limiter,
    fleet: Fleet,
    script: Script,
}

/// Whether a call is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Count,
    Look,
}

/// What the script answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) has_room: bool,
    pub(super) held: Vec<Held>,
}

impl Shared {
    /// Begins to look for them.
    pub(super) fn start(own: Limiter, place: Place) -> Self {
        Self { own, fleet: Fleet::start(place), script: Script::new(SCRIPT) }
    }

    pub(super) const fn own(&self) -> &Limiter {
        &self.own
    }

    /// How many servers are known, and how many of them are not reached.
    pub(super) fn servers(&self) -> (usize, usize) {
        self.fleet.count()
    }

    pub(super) async fn pass(&self, words: [&str; 2], windows: &[Window<'_>]) -> Told<Passage> {
        let subject = self.own.subject(&words);
        // What has no limit is counted nowhere, so nobody else knows more of it.
        if windows.iter().all(|window| window.limit == Bound::Unlimited) {
            return Told::fully(self.own.pass(subject, windows));
        }
        match self.ask(words, windows, Purpose::Count).await {
            Some(Judged { has_room: true, held }) => {
                self.own.note(subject, windows);
                Told::fully(Passage::Counted(held))
            }
            Some(Judged { has_room: false, held }) => Told::fully(Passage::Refused(held)),
            None => Told::weakly(self.own.pass(subject, windows)),
        }
    }

    pub(super) async fn held(&self, words: [&str; 2], window: &Window<'_>) -> Told<Held> {
        if window.limit == Bound::Unlimited {
            return Told::fully(self.own.held(self.own.subject(&words), window));
        }
        let judged = self.ask(words, std::slice::from_ref(window), Purpose::Look).await;
        match judged.and_then(|judged| judged.held.first().copied()) {
            Some(held) => Told::fully(held),
            None => Told::weakly(self.own.held(self.own.subject(&words), window)),
        }
    }

    async fn ask(&self, words: [&str; 2], windows: &[Window<'_>], purpose: Purpose) -> Option<Judged> {
        let tag = words.join("/");
        let until = Instant::now().checked_add(self.fleet.patience())?;
        let script = invocation(&self.script, &tag, windows, purpose);
        let answer = match self.fleet.node_of(&tag)?.ask(&script, until).await {
            Err(Trouble::Moved(to)) => self.fleet.moved(to.as_ref())?.ask(&script, until).await,
            answer => answer,
        };
        judged(&answer.ok()?, windows.len())
    }
}

/// The script with the windows of the subject of this tag.
pub(super) fn invocation<'a>(script: &'a Script, tag: &str, windows: &[Window<'_>], purpose: Purpose) -> ScriptInvocation<'a> {
    let mut invocation = script.prepare_invoke();
    invocation.arg(u8::from(purpose == Purpose::Count));
    for Window { name, seconds, limit } in windows {
        let limit = limit.limit().map_or(-1, |limit| i64::try_from(limit.get()).unwrap_or(i64::MAX));
        let micros = seconds.min(&LONGEST).saturating_mul(1_000_000);
        invocation.key(format!("plimsoll:{{{tag}}}:{name}")).arg(micros).arg(limit);
    }
    invocation
}

/// What an answer says of so many windows; nothing when it is not understood.
pub(super) fn judged(answer: &[i64], windows: usize) -> Option<Judged> {
    let (has_room, figures) = answer.split_first()?;
    let held = figures.chunks_exact(2).map(|figures| match figures {
        [used, wait] => {
            let frees_in = u64::try_from(*wait).ok().map(Duration::from_micros);
            Some(Held { used: u64::try_from(*used).ok()?, frees_in })
        }
        _ => None,
    });
    let held = held.collect::<Option<Vec<Held>>>().filter(|held| held.len() == windows)?;
    Some(Judged { has_room: *has_room == 1, held })
}
