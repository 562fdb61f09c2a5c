//! Webhooks: which events an endpoint is told of, what is signed, and when a delivery is tried again.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::event::EventKind;
use super::issue::Invalid;
use super::names::{OrgId, RecordId};
use super::time::UtcMillis;

/// The most endpoints: each of them may keep some connections busy, and is written down for each event.
pub const MAX_WEBHOOKS: u64 = 64;
/// Where an endpoint is, in characters.
pub const MAX_URL: usize = 2_048;
/// Bytes of a secret: as many as the hash that it is used with has.
pub const SECRET_BYTES: usize = 32;
/// How a secret begins.
pub const SECRET_PREFIX: &str = "whsec_";
/// How long the older secrets of an endpoint sign as well when nothing else is said, in seconds: a day.
pub const USUAL_OVERLAP_SECONDS: u64 = 86_400;
/// The most waits between two tries of one delivery.
const MAX_WAITS: usize = 32;
/// The longest of them: a week.
const MAX_WAIT_SECONDS: u64 = 604_800;
/// Waits differ by a fifth in either direction, so that what failed together is not tried together again.
const JITTER_PERCENT: u64 = 20;

/// Which events an endpoint is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of these types; all when there is nothing.
    pub types: Option<BTreeSet<EventKind>>,
    /// Those of this org; of all, and of none, when there is nothing.
    pub org: Option<OrgId>,
}

/// What has to be known of an event to tell who is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The org that it happened to.
    pub org: Option<&'a OrgId>,
    /// The endpoint that it is about.
    pub webhook: Option<&'a str>,
}

impl Wanted {
    /// Whether the endpoint with this id is told. A test of one endpoint concerns that one only, whatever else it wants.
    pub fn takes(&self, id: &RecordId, event: Occurrence<'_>) -> bool {
        if event.kind == EventKind::WebhookTested {
            return event.webhook == Some(id.as_str());
        }
        let is_of_type = self.types.as_ref().is_none_or(|types| types.contains(&event.kind));
        is_of_type && self.org.as_ref().is_none_or(|org| event.org == Some(org))
    }
}

/// Why an endpoint is told of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// An admin said so.
    Admin,
    /// It answered that it is gone for good.
    Gone,
    /// It failed for days, and nothing else.
    Failing,
}

impl Because {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Gone, Self::Failing];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl FromStr for Because {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|because| because.as_str() == text);
        found.ok_or_else(|| Invalid::new("must be one of admin, gone, failing"))
    }
}

impl Serialize for Because {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried, or waits to be.
    Pending,
    /// It was taken.
    Delivered,
    /// It was tried for as long as it is, in vain.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Invalid::new("must be one of pending, delivered, failed"))
    }
}

impl Serialize for DeliveryState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was taken.
    Delivered,
    /// It is tried again at this moment.
    Again(UtcMillis),
    /// It is not tried again.
    GivenUp,
    /// The endpoint wants nothing any more. What it did not take waits in case it comes back.
    Gone,
}

/// How long to wait after each try that failed, in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<u64>);

/// As Standard Webhooks suggests: soon, then ever later, for three days in all.
impl Default for Schedule {
    fn default() -> Self {
        Self(vec![5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400])
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&waits.join(","))
    }
}

impl FromStr for Schedule {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let waits: Option<Vec<u64>> = text.split(',').map(|wait| wait.trim().parse().ok()).collect();
        let waits = waits.filter(|waits| waits.len() <= MAX_WAITS);
        let waits = waits.filter(|waits| waits.iter().all(|wait| (1..=MAX_WAIT_SECONDS).contains(wait)));
        let expected = || {
            Invalid::new(format!("must be 1 to {MAX_WAITS} waits of 1 to {MAX_WAIT_SECONDS} seconds, with commas between them"))
        };
        waits.map(Self).ok_or_else(expected)
    }
}

impl Schedule {
    /// What follows when the endpoint has answered with this status, or not at all, and `failures` tries had failed before.
    /// `chance` is a number from 0 to 99, by which waits differ.
    pub fn after(&self, status: Option<u16>, failures: u64, now: UtcMillis, chance: u64) -> Next {
        match status {
            Some(200..=299) => Next::Delivered,
            Some(410) => Next::Gone,
            Some(_) | None => match usize::try_from(failures).ok().and_then(|failures| self.0.get(failures)) {
                Some(wait) => Next::Again(now.plus_millis(jittered(*wait, chance))),
                None => Next::GivenUp,
            },
        }
    }
}

/// So many seconds in milliseconds, from a fifth less to a fifth more.
fn jittered(seconds: u64, chance: u64) -> i64 {
    // A percent of a second is ten milliseconds.
    let spread = JITTER_PERCENT.saturating_mul(2).saturating_mul(chance.min(99)).checked_div(99).unwrap_or(0);
    let percent = 100_u64.saturating_sub(JITTER_PERCENT).saturating_add(spread);
    i64::try_from(seconds.saturating_mul(percent).saturating_mul(10)).unwrap_or(i64::MAX)
}

/// What is signed of a message: by Standard Webhooks its id, the moment that it is sent at in seconds, and its body.
pub fn signed_content(id: &str, seconds: i64, body: &str) -> String {
    format!("{id}.{seconds}.{body}")
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
