//! What can be done to usage, and what comes of it.

use std::sync::Arc;

use crate::domain::bound::Quantity;
use crate::domain::decision::Decision;
use crate::domain::effective::Effective;
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{OrgId, ResourceId};
use crate::domain::reservation::{Reservation, ReservationId};

/// What is to be taken, or given back, of one limit: with the facts that it is judged by.
#[derive(Clone, Debug)]
pub struct Taking {
    /// The limit key, of kind count or quota.
    pub limit_key: Arc<LimitKey>,
    /// The value that applies to the org.
    pub effective: Effective,
    /// For which resource, when it is counted per one.
    pub resource: Option<ResourceId>,
    /// How much; at least one.
    pub amount: Quantity,
    /// Whether the org is banned.
    pub org_banned: bool,
}

/// One thing to do, all or nothing.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Does nothing: its answer is all that is to be kept.
    Nothing,
    /// Takes usage of each, or of none. Takings of the same counter add up.
    Consume {
        /// Whose.
        org: OrgId,
        /// A few tens at most.
        takings: Vec<Taking>,
    },
    /// Judges the same and takes nothing.
    Weigh {
        /// Whose.
        org: OrgId,
        /// As for [`Operation::Consume`].
        takings: Vec<Taking>,
    },
    /// Holds usage.
    Reserve {
        /// The id that the reservation gets.
        id: ReservationId,
        /// What is held.
        taking: Taking,
        /// For how long, in seconds.
        ttl_seconds: u64,
    },
    /// Gives usage back.
    Release {
        /// Whose.
        org: OrgId,
        /// What.
        taking: Taking,
    },
    /// Sets usage to the true count.
    Reconcile {
        /// Whose.
        org: OrgId,
        /// Of what; its amount does not matter.
        taking: Taking,
        /// The true count.
        actual: Quantity,
        /// Whether only to look.
        is_dry_run: bool,
    },
    /// Turns a reservation, or a part of it, into usage.
    Confirm {
        /// Which.
        id: ReservationId,
        /// How much of it; all when nothing is said.
        amount: Option<Quantity>,
    },
    /// Gives a reservation back.
    Cancel {
        /// Which.
        id: ReservationId,
    },
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A decision for each taking, in order. If one of them is refused, nothing was taken.
    Consumed(Vec<Decision>),
    /// Nothing was to be done, or it was not admitted.
    Withheld,
    /// The decision, and the reservation if it was allowed.
    Reserved(Decision, Option<Reservation>),
    /// The figures after it.
    Released(Decision),
    /// What was recorded before.
    Reconciled(Quantity),
    /// The reservation after it.
    Settled(Reservation),
}
