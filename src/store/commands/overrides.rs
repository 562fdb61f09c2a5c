//! Changes of overrides.

use super::super::{Command, Object, Org, OverrideInfo, StoreError, Stored, WriteTx};
use super::new_id;
use super::tiers::check_in_use;
use crate::domain::effective::{Mode, Override};
use crate::domain::issue::Issue;
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;

/// Gives an org a value beside its tier.
#[derive(Clone, Debug)]
pub struct CreateOverride {
    /// Which org.
    pub org: OrgId,
    /// What it is a value of.
    pub limit_key: LimitKeyName,
    /// Whether it replaces the tier's value or adds to it.
    pub mode: Mode,
    /// The value as it was written; the limit key's kind says whether it has the right form.
    pub value: WrittenValue,
    /// Why.
    pub reason: String,
    /// The first moment that it applies at; now when not given.
    pub starts_at: Option<UtcMillis>,
    /// The first moment that it no longer applies at.
    pub expires_at: Option<UtcMillis>,
}

impl Command for CreateOverride {
    type Output = Stored<OverrideInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        tx.expect::<OverrideInfo>(None)?;
        tx.find::<Org>(self.org.as_str()).await?.ok_or(StoreError::NotFound(Object::Org))?;
        let limit_key = tx.find::<LimitKey>(self.limit_key.as_str()).await?;
        let limit_key = limit_key.ok_or_else(|| StoreError::invalid("limitKey", "there is no such limit key"))?;
        check_in_use(&limit_key.value)?;
        let starts_at = self.starts_at.unwrap_or_else(|| tx.now());
        let value = self.value.for_kind_at(limit_key.value.kind(), "value");
        let issues: Vec<Issue> = value.clone().err().into_iter().chain(self.misplaced_end(starts_at, tx.now())).collect();
        let value = value.map_err(|_| StoreError::Invalid(issues.clone()))?;
        if !issues.is_empty() {
            return Err(StoreError::Invalid(issues));
        }
        let Self { org, limit_key, mode, reason, expires_at, .. } = self;
        let inner = Override { id: new_id("ovr")?, limit_key, mode, value, starts_at, expires_at };
        tx.create(OverrideInfo { org, inner, reason }).await
    }
}

impl CreateOverride {
    fn misplaced_end(&self, starts_at: UtcMillis, now: UtcMillis) -> Option<Issue> {
        let end = self.expires_at?;
        if end <= starts_at {
            Some(Issue::new("expiresAt", "must be after startsAt"))
        } else {
            (end <= now).then(|| Issue::new("expiresAt", "must be in the future"))
        }
    }
}

/// Takes back an override.
#[derive(Clone, Debug)]
pub struct DeleteOverride {
    /// Whose it is.
    pub org: OrgId,
    /// Which.
    pub id: RecordId,
}

impl Command for DeleteOverride {
    type Output = Stored<OverrideInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<OverrideInfo>((self.org.to_string(), self.id.to_string())).await?;
        tx.delete(&before.value).await?;
        Ok(before)
    }
}
