//! Reservations: usage held for a short time until it is confirmed, released, or expires.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::bound::Quantity;
use super::counter::Hold;
use super::issue::Invalid;
use super::names::{LimitKeyName, OrgId, ResourceId};
use super::time::UtcMillis;
use super::window::Span;

/// How long a reservation holds when the caller does not say, in seconds.
pub const DEFAULT_TTL_SECONDS: u64 = 60;
/// The longest that a reservation holds, in seconds: a day.
pub const MAX_TTL_SECONDS: u64 = 86_400;

const PREFIX: &str = "res_";
const DIGITS: usize = 32;
/// The pattern of reservation ids.
pub const RESERVATION_ID_PATTERN: &str = "^res_[0-9a-f]{32}_[A-Za-z0-9._:@-]{1,128}$";

/// The id of a reservation: `res_<32 lowercase hex>_<org>`. It names its org, so that it is found among that org's alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReservationId {
    /// Whose reservation it is.
    pub org: OrgId,
    /// Its number within the org; numbers are ordered by creation.
    pub number: u128,
}

impl FromStr for ReservationId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("must be the id of a reservation: res_<32 lowercase hex>_<org>");
        let rest = text.strip_prefix(PREFIX).ok_or_else(invalid)?;
        let (digits, rest) = rest.split_at_checked(DIGITS).ok_or_else(invalid)?;
        if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid());
        }
        let number = u128::from_str_radix(digits, 16).map_err(|_| invalid())?;
        let org = OrgId::parse(rest.strip_prefix('_').ok_or_else(invalid)?).map_err(|_| invalid())?;
        Ok(Self { org, number })
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:032x}_{}", self.number, self.org)
    }
}

impl Serialize for ReservationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What has become of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Held,
    /// It became usage, in whole or in part.
    Confirmed,
    /// It was given back.
    Released,
    /// Its time is over.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Held, Self::Confirmed, Self::Released, Self::Expired];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Anything but held.
    pub status: Status,
    /// How much became usage.
    pub confirmed: Option<Quantity>,
    /// When.
    pub at: UtcMillis,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// What it is held of.
    pub limit_key: LimitKeyName,
    /// The resource that it is held for.
    pub resource: Option<ResourceId>,
    /// The calendar window that it counts in, for a quota: the one that it was made in, also when it is confirmed later.
    pub window: Option<Span>,
    /// How much.
    pub amount: Quantity,
    /// When it was made.
    pub created_at: UtcMillis,
    /// The first moment that it no longer holds at.
    pub expires_at: UtcMillis,
    /// How it ended, if it did not just expire.
    pub settlement: Option<Settlement>,
}

/// Why a reservation was not settled. It is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleRefusal {
    /// More is to be confirmed than is held.
    MoreThanHeld(Quantity),
    /// It has ended otherwise.
    Ended(Status, Option<Quantity>),
}

impl SettleRefusal {
    /// As a sentence for the caller.
    pub fn sentence(&self) -> String {
        match self {
            Self::MoreThanHeld(held) => format!("must be a whole number from 1 to the {} that are held", held.get()),
            Self::Ended(status, Some(amount)) => format!("The reservation is {} with {}", status.as_str(), amount.get()),
            Self::Ended(status, None) => format!("The reservation is {}", status.as_str()),
        }
    }
}

impl Reservation {
    /// What it holds as long as it is alive.
    pub const fn as_hold(&self) -> Hold {
        Hold { reservation: self.id.number, amount: self.amount, expires_at: self.expires_at }
    }

    /// What has become of it at `now`.
    pub fn status(&self, now: UtcMillis) -> Status {
        match self.settlement {
            Some(Settlement { status, .. }) => status,
            None if self.as_hold().is_alive(now) => Status::Held,
            None => Status::Expired,
        }
    }

    /// How to turn it, or a part of it, into usage. Nothing is to be done when just that was done before.
    pub fn confirm(&self, amount: Option<Quantity>, now: UtcMillis) -> Result<Option<Settlement>, SettleRefusal> {
        let confirmed = amount.unwrap_or(self.amount);
        if confirmed > self.amount || confirmed == Quantity::ZERO {
            return Err(SettleRefusal::MoreThanHeld(self.amount));
        }
        let before = self.settlement.and_then(|settlement| settlement.confirmed);
        match self.status(now) {
            Status::Held => Ok(Some(Settlement { status: Status::Confirmed, confirmed: Some(confirmed), at: now })),
            Status::Confirmed if before == Some(confirmed) => Ok(None),
            status @ (Status::Confirmed | Status::Released | Status::Expired) => Err(SettleRefusal::Ended(status, before)),
        }
    }

    /// How to give it back. Nothing is to be done when it holds nothing any more; what became usage is not given back.
    pub fn release(&self, now: UtcMillis) -> Result<Option<Settlement>, SettleRefusal> {
        let before = self.settlement.and_then(|settlement| settlement.confirmed);
        match self.status(now) {
            Status::Held => Ok(Some(Settlement { status: Status::Released, confirmed: None, at: now })),
            Status::Released | Status::Expired => Ok(None),
            Status::Confirmed => Err(SettleRefusal::Ended(Status::Confirmed, before)),
        }
    }
}

#[cfg(test)]
#[path = "reservation_tests.rs"]
mod tests;
