//! What the one who delivers knows of each endpoint: where it is, what signs for it, and what is under way.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;

use super::vault::Vault;
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;
use crate::store::{Due, Endpoint};

/// Messages that are under way to one endpoint at most, each of another org.
pub(super) const AT_ONCE: usize = 8;

/// An endpoint.
pub(super) struct Desk {
    pub(super) url: String,
    pub(super) keys: Vec<hmac::Key>,
    /// What is under way.
    pub(super) under_way: BTreeSet<RecordId>,
    /// When to look for what is due: at once, at a moment, or when something changes.
    pub(super) look: Look,
}

/// When to look for what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At once.
    Now,
    /// At this moment.
    At(UtcMillis),
    /// When something changes.
    Later,
}

impl Desk {
    /// How many may be sent.
    pub(super) fn room(&self, now: UtcMillis) -> usize {
        let is_time = match self.look {
            Look::Now => true,
            Look::At(at) => at <= now,
            Look::Later => false,
        };
        if is_time { AT_ONCE.saturating_sub(self.under_way.len()) } else { 0 }
    }

    /// Takes what is to be sent from what waits, and notes when to look again.
    pub(super) fn take(&mut self, waiting: Vec<Due>, now: UtcMillis) -> Vec<Due> {
        let room = self.room(now);
        let (due, later): (Vec<Due>, Vec<Due>) = waiting
            .into_iter()
            .filter(|waiting| !self.under_way.contains(&waiting.id))
            .partition(|waiting| waiting.next_at <= now);
        self.look = later.first().map_or(Look::Later, |first| Look::At(first.next_at));
        let taken: Vec<Due> = due.into_iter().take(room).collect();
        self.under_way.extend(taken.iter().map(|due| due.id.clone()));
        taken
    }
}

/// The endpoints that are delivered to.
#[derive(Default)]
pub(super) struct Desks(pub(super) BTreeMap<RecordId, Desk>);

impl Desks {
    /// Follows what is known of the endpoints now. What is under way to one that stays is known further on.
    pub(super) fn follow(&mut self, endpoints: Vec<Endpoint>, vault: &Vault) {
        let mut before = std::mem::take(&mut self.0);
        for Endpoint { webhook, secrets, .. } in endpoints {
            let keys: Result<Vec<hmac::Key>, _> = secrets.iter().map(|secret| vault.open(secret)).collect();
            let keys = match keys {
                Ok(keys) => keys,
                Err(error) => {
                    tracing::error!(webhook = %webhook.id, %error, "nothing is delivered to a webhook");
                    continue;
                }
            };
            let under_way = before.remove(&webhook.id).map(|desk| desk.under_way).unwrap_or_default();
            self.0.insert(webhook.id, Desk { url: webhook.url, keys, under_way, look: Look::Now });
        }
    }

    /// Whether there is nobody to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There may be something new for everybody.
    pub(super) fn look_everywhere(&mut self) {
        self.0.values_mut().for_each(|desk| desk.look = Look::Now);
    }

    /// Something that was under way is done.
    pub(super) fn done(&mut self, webhook: &RecordId, delivery: &RecordId) {
        if let Some(desk) = self.0.get_mut(webhook) {
            desk.under_way.remove(delivery);
            desk.look = Look::Now;
        }
    }

    /// The next moment that something is due at.
    pub(super) fn next(&self) -> Option<UtcMillis> {
        let moment = |desk: &Desk| match desk.look {
            Look::At(at) => Some(at),
            Look::Now | Look::Later => None,
        };
        self.0.values().filter_map(moment).min()
    }
}
