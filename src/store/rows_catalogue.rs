//! How limit keys, tiers and their values are kept.

use entity::{limit_key, tier, tier_limit};
use sea_orm::ConnectionTrait;

use super::error::StoreError;
use super::records::{Object, Stored, TierInfo, TierLimit};
use super::rows::{Key, Record, Stamps, moment, optional, signed, text, unsigned, value, value_columns};
use super::schedules;
use crate::domain::limit_key::{Archived, Kind, LimitKey, Rule};
use crate::domain::window::Window;

impl Record for LimitKey {
    type Entity = limit_key::Entity;
    type Row = limit_key::Model;
    type Change = limit_key::ActiveModel;
    const OBJECT: Object = Object::LimitKey;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let archived = moment(row.archived_at);
        let replacement = optional(row.replacement.as_deref())?;
        Ok(Self {
            name: text(&row.name)?,
            rule: rule(row)?,
            per: text(&row.per)?,
            default: value(&row.value_form, row.default_value)?,
            thresholds: optional(row.thresholds.as_deref())?,
            description: row.description.clone(),
            archived: archived.map(|at| Archived { at, replacement }),
        })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (value_form, default_value) = value_columns(self.default);
        let archived = self.archived.as_ref();
        let rule = RuleColumns::of(&self.rule);
        limit_key::Model {
            name: self.name.to_string(),
            kind: self.kind().as_str().to_owned(),
            per: self.per.as_str().to_owned(),
            value_form,
            default_value,
            calendar_window: rule.window.map(|window| window.as_str().to_owned()),
            label: rule.label,
            per_request: rule.per_request,
            window_seconds: rule.window_seconds.map(signed),
            bucket: rule.bucket,
            unit: rule.unit,
            thresholds: self.thresholds.as_ref().map(ToString::to_string),
            description: self.description.clone(),
            archived_at: archived.map(|archived| archived.at.get()),
            replacement: archived.and_then(|archived| archived.replacement.as_ref()).map(ToString::to_string),
            created_at,
            updated_at,
            revision,
        }
    }

    fn key(&self) -> Key<Self> {
        self.name.to_string()
    }

    fn object_id(&self) -> String {
        self.name.to_string()
    }
}

/// The columns that only some kinds have.
#[derive(Default)]
struct RuleColumns {
    window: Option<Window>,
    label: Option<String>,
    per_request: Option<bool>,
    window_seconds: Option<u64>,
    bucket: Option<String>,
    unit: Option<String>,
}

impl RuleColumns {
    fn of(rule: &Rule) -> Self {
        let none = Self::default();
        match rule.clone() {
            Rule::Quota { window, label, per_request } => {
                Self { window: Some(window), label: Some(label), per_request: Some(per_request), ..none }
            }
            Rule::Rate { window_seconds, bucket, per_request } => {
                let (window_seconds, bucket) = (Some(window_seconds), Some(bucket));
                Self { window_seconds, bucket, per_request: Some(per_request), ..none }
            }
            Rule::Interval { unit } => Self { unit: Some(unit), ..none },
            Rule::Count | Rule::Retention | Rule::Feature => none,
        }
    }
}

fn rule(row: &limit_key::Model) -> Result<Rule, StoreError> {
    let missing = || StoreError::Internal(format!("The limit key {} is stored without what its kind needs", row.name));
    let per_request = row.per_request.ok_or_else(missing);
    Ok(match text::<Kind>(&row.kind)? {
        Kind::Count => Rule::Count,
        Kind::Quota => Rule::Quota {
            window: optional(row.calendar_window.as_deref())?.ok_or_else(missing)?,
            label: row.label.clone().ok_or_else(missing)?,
            per_request: per_request?,
        },
        Kind::Rate => Rule::Rate {
            window_seconds: row.window_seconds.map(unsigned).ok_or_else(missing)?,
            bucket: row.bucket.clone().ok_or_else(missing)?,
            per_request: per_request?,
        },
        Kind::Retention => Rule::Retention,
        Kind::Interval => Rule::Interval { unit: row.unit.clone().ok_or_else(missing)? },
        Kind::Feature => Rule::Feature,
    })
}

impl Record for TierInfo {
    type Entity = tier::Entity;
    type Row = tier::Model;
    type Change = tier::ActiveModel;
    const OBJECT: Object = Object::Tier;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        Ok(Self { name: text(&row.name)?, display_name: row.display_name.clone(), description: row.description.clone() })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (display_name, description) = (self.display_name.clone(), self.description.clone());
        tier::Model { name: self.name.to_string(), display_name, description, created_at, updated_at, revision }
    }

    fn key(&self) -> Key<Self> {
        self.name.to_string()
    }

    fn object_id(&self) -> String {
        self.name.to_string()
    }
}

impl Record for TierLimit {
    type Entity = tier_limit::Entity;
    type Row = tier_limit::Model;
    type Change = tier_limit::ActiveModel;
    const OBJECT: Object = Object::TierLimit;

    fn from_row(row: &Self::Row) -> Result<Self, StoreError> {
        let value = value(&row.value_form, row.value)?;
        Ok(Self { tier: text(&row.tier)?, limit_key: text(&row.limit_key)?, limit: value.into() })
    }

    fn stamps(row: &Self::Row) -> Stamps {
        Stamps { created_at: row.created_at, updated_at: row.updated_at, revision: row.revision }
    }

    fn row(&self, stamps: Stamps) -> Self::Row {
        let Stamps { created_at, updated_at, revision } = stamps;
        let (tier, limit_key) = self.key();
        let (value_form, value) = value_columns(self.limit.value);
        tier_limit::Model { tier, limit_key, value_form, value, created_at, updated_at, revision }
    }

    fn key(&self) -> Key<Self> {
        (self.tier.to_string(), self.limit_key.to_string())
    }

    fn object_id(&self) -> String {
        format!("{}/{}", self.tier, self.limit_key)
    }

    async fn complete(db: &impl ConnectionTrait, found: &mut [Stored<Self>]) -> Result<(), StoreError> {
        schedules::add_to_limits(db, found).await
    }

    async fn write_parts(&self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        schedules::write_of_limit(db, self).await
    }
}
