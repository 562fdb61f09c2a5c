//! Events: what others may want to hear of when it happens.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::bound::Quantity;
use super::issue::Invalid;
use super::names::{LimitKeyName, OrgId, RecordId, ResourceId, TierName, UserId};
use super::time::UtcMillis;
use super::webhook::Because;

/// How long before its end an override is told to be about to lapse, in milliseconds: a day.
pub const LAPSING_MILLIS: i64 = 86_400_000;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Usage came to so many percent of its cap.
    ThresholdCrossed,
    /// A taking was refused: no room under the cap.
    LimitReached,
    /// Usage was set to another count than was recorded.
    DriftRepaired,
    /// An override ends within a day.
    OverrideLapsing,
    /// An override has ended.
    OverrideLapsed,
    /// An org has another tier.
    TierChanged,
    /// An org was banned.
    OrgBanned,
    /// The ban of an org was lifted.
    OrgUnbanned,
    /// A user was banned.
    UserBanned,
    /// The ban of a user was lifted.
    UserUnbanned,
    /// An API key has a new secret.
    KeyRotated,
    /// A webhook is told of nothing any more.
    WebhookDisabled,
    /// A webhook is tested: told to that one only.
    WebhookTested,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ThresholdCrossed,
        Self::LimitReached,
        Self::DriftRepaired,
        Self::OverrideLapsing,
        Self::OverrideLapsed,
        Self::TierChanged,
        Self::OrgBanned,
        Self::OrgUnbanned,
        Self::UserBanned,
        Self::UserUnbanned,
        Self::KeyRotated,
        Self::WebhookDisabled,
        Self::WebhookTested,
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThresholdCrossed => "usage.threshold_crossed",
            Self::LimitReached => "limit.reached",
            Self::DriftRepaired => "usage.drift_repaired",
            Self::OverrideLapsing => "override.lapsing",
            Self::OverrideLapsed => "override.lapsed",
            Self::TierChanged => "org.tier_changed",
            Self::OrgBanned => "org.banned",
            Self::OrgUnbanned => "org.unbanned",
            Self::UserBanned => "user.banned",
            Self::UserUnbanned => "user.unbanned",
            Self::KeyRotated => "api_key.rotated",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookTested => "webhook.tested",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| Invalid::new(format!("must be one of {}", Self::ALL.map(Self::as_str).join(", "))))
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Which counter an event speaks of, and how it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Of what.
    pub limit_key: LimitKeyName,
    /// For which resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// What was used and held.
    pub current: Quantity,
    /// The cap.
    pub max: Quantity,
    /// The first moment of its calendar window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start: Option<UtcMillis>,
    /// The first moment of the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<UtcMillis>,
}

/// What happened, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Happening {
    /// Usage came to so many percent of its cap.
    ThresholdCrossed {
        /// Percent of the cap.
        threshold: u64,
        /// How it stands after it.
        #[serde(flatten)]
        standing: Standing,
    },
    /// A taking was refused.
    LimitReached {
        /// How much was asked for.
        requested: Quantity,
        /// How it stood.
        #[serde(flatten)]
        standing: Standing,
    },
    /// Usage was set to another count.
    DriftRepaired {
        /// Of what.
        limit_key: LimitKeyName,
        /// For which resource.
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceId>,
        /// What was recorded.
        recorded: Quantity,
        /// What is recorded now.
        actual: Quantity,
    },
    /// An override ends within a day.
    OverrideLapsing(Ending),
    /// An override has ended.
    OverrideLapsed(Ending),
    /// An org has another tier.
    TierChanged {
        /// The tier that it had.
        from: TierName,
        /// The tier that it has.
        to: TierName,
        /// The moment that it was scheduled for, if it came about by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        starts_at: Option<UtcMillis>,
    },
    /// An org was banned.
    OrgBanned {
        /// Why.
        reason: Option<String>,
    },
    /// The ban of an org was lifted.
    OrgUnbanned {},
    /// A user was banned.
    UserBanned {
        /// Who.
        user: UserId,
        /// Why.
        reason: Option<String>,
    },
    /// The ban of a user was lifted.
    UserUnbanned {
        /// Who.
        user: UserId,
    },
    /// An API key has a new secret.
    KeyRotated {
        /// Which.
        api_key: RecordId,
        /// When its older secrets end at the latest.
        older_end_at: UtcMillis,
    },
    /// A webhook is told of nothing any more.
    WebhookDisabled {
        /// Which.
        webhook: RecordId,
        /// Why.
        reason: Because,
    },
    /// A webhook is tested.
    WebhookTested {
        /// Which.
        webhook: RecordId,
    },
}

/// An override that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Which.
    #[serde(rename = "override")]
    pub id: RecordId,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
    /// The first moment that it no longer applies at.
    pub expires_at: UtcMillis,
}

impl Happening {
    /// Its kind.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::ThresholdCrossed { .. } => EventKind::ThresholdCrossed,
            Self::LimitReached { .. } => EventKind::LimitReached,
            Self::DriftRepaired { .. } => EventKind::DriftRepaired,
            Self::OverrideLapsing(_) => EventKind::OverrideLapsing,
            Self::OverrideLapsed(_) => EventKind::OverrideLapsed,
            Self::TierChanged { .. } => EventKind::TierChanged,
            Self::OrgBanned { .. } => EventKind::OrgBanned,
            Self::OrgUnbanned {} => EventKind::OrgUnbanned,
            Self::UserBanned { .. } => EventKind::UserBanned,
            Self::UserUnbanned { .. } => EventKind::UserUnbanned,
            Self::KeyRotated { .. } => EventKind::KeyRotated,
            Self::WebhookDisabled { .. } => EventKind::WebhookDisabled,
            Self::WebhookTested { .. } => EventKind::WebhookTested,
        }
    }
}

/// An event that is to be written with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// When.
    pub at: UtcMillis,
    /// The org that it happens to.
    pub org: Option<OrgId>,
    /// What happens.
    pub what: Happening,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
