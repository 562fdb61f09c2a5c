//! Changes of orgs.

use entity::{api_key, org_override, reservation, usage};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Statement};
use serde_json::{Map, Value as Json};

use super::super::events::take_begun;
use super::super::rows::Record;
use super::super::{Ban, Command, Created, Org, OverrideInfo, StoreError, Stored, TierInfo, WriteTx, queries};
use crate::domain::event::Happening;
use crate::domain::issue::Issue;
use crate::domain::names::{OrgId, TierName};
use crate::domain::schedule::{Schedule, Step, under};

/// Makes or replaces an org. A ban stays.
#[derive(Clone, Debug)]
pub struct PutOrg {
    /// The id that the caller chose.
    pub id: OrgId,
    /// Its tier.
    pub tier: TierName,
    /// The tiers that it is to have from a moment on, as they were written: in order.
    pub scheduled: Vec<Step<TierName>>,
    /// For people.
    pub name: String,
    /// The caller's own data.
    pub metadata: Map<String, Json>,
}

impl Command for PutOrg {
    type Output = (Stored<Org>, Created);

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.find::<Org>(self.id.as_str()).await?;
        tx.expect(before.as_ref())?;
        let scheduled = self.wanted(tx, before.as_ref().map(|before| &before.value.scheduled)).await?;
        let Self { id, tier, name, metadata, .. } = self;
        let ban = before.as_ref().and_then(|before| before.value.ban.clone());
        let after = Org { id, tier, scheduled, name, metadata, ban };
        if let Some(before) = &before {
            tell_tiers(tx, &before.value, &after).await?;
        }
        tx.put(before, after).await
    }
}

impl PutOrg {
    /// What was written of tiers, if there are all of these tiers, and every change is one and is still to come.
    async fn wanted(&self, tx: &WriteTx, before: Option<&Schedule<TierName>>) -> Result<Schedule<TierName>, StoreError> {
        let mut issues = Vec::new();
        let places = self.scheduled.iter().enumerate().map(|(position, step)| (format!("scheduled[{position}].tier"), step));
        let mut earlier = &self.tier;
        for (path, step) in places {
            if !tx.exists::<TierInfo>(step.to.as_str()).await? {
                issues.push(Issue::new(path, "there is no such tier"));
            } else if *earlier == step.to && step.starts_at > tx.now() {
                issues.push(Issue::new(path, "must be another tier than the one that the org has until then"));
            }
            earlier = &step.to;
        }
        if !tx.exists::<TierInfo>(self.tier.as_str()).await? {
            issues.push(Issue::new("tier", "there is no such tier"));
        }
        let scheduled = Schedule::of(self.scheduled.clone());
        let belated = |scheduled: &Schedule<TierName>| match before {
            Some(before) => scheduled.belated(before, tx.now()),
            None => scheduled.belated(&Schedule::nothing(), tx.now()),
        };
        let misplaced = scheduled.as_ref().map_or_else(Clone::clone, belated);
        issues.extend(under(misplaced, "scheduled"));
        scheduled.ok().filter(|_| issues.is_empty()).ok_or(StoreError::Invalid(issues))
    }
}

/// Tells of the tiers that have begun by themselves and were not told of yet, and then of the one that is given now.
async fn tell_tiers(tx: &mut WriteTx, before: &Org, after: &Org) -> Result<(), StoreError> {
    let (from, to) = (before.tier_at(tx.now()).clone(), after.tier_at(tx.now()).clone());
    for begun in take_begun(tx.db(), Some(&before.id), tx.now()).await? {
        tx.tell(begun.org.as_ref(), begun.what);
    }
    if from != to {
        tx.tell(Some(&before.id), Happening::TierChanged { from, to, starts_at: None });
    }
    Ok(())
}

/// Deletes an org with its API keys, overrides, usage and reservations.
#[derive(Clone, Debug)]
pub struct DeleteOrg {
    /// Which.
    pub id: OrgId,
}

impl Command for DeleteOrg {
    type Output = Stored<Org>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Org>(self.id.as_str()).await?;
        let overrides = org_override::Entity::find().filter(org_override::Column::Org.eq(self.id.as_str()));
        for row in overrides.order_by_asc(org_override::Column::Id).all(tx.db()).await? {
            tx.note_deletion(&OverrideInfo::from_row(&row)?);
        }
        let keys = api_key::Entity::find().filter(api_key::Column::Org.eq(self.id.as_str()));
        let keys = keys.order_by_asc(api_key::Column::Id).all(tx.db()).await?;
        for keys in keys.chunks(KEYS_AT_ONCE) {
            for key in queries::api_keys(tx.db(), keys, tx.now()).await? {
                tx.note_deletion(&key.value);
            }
        }
        tx.delete(&before.value).await?;
        if tx.db().get_database_backend() == DbBackend::Postgres {
            // In the order that takings lock them in, so that neither waits for the other.
            let lock = Statement::from_sql_and_values(DbBackend::Postgres, LOCK_USAGE, [self.id.as_str().into()]);
            tx.db().execute_raw(lock).await?;
        }
        let usage = usage::Entity::delete_many().filter(usage::Column::Org.eq(self.id.as_str()));
        usage.exec(tx.db()).await?;
        let reservations = reservation::Entity::delete_many().filter(reservation::Column::Org.eq(self.id.as_str()));
        reservations.exec(tx.db()).await?;
        tx.forget(&self.id);
        Ok(before)
    }
}

const LOCK_USAGE: &str = "SELECT 1 FROM usage WHERE org = $1 ORDER BY org, limit_key, resource, window_start FOR UPDATE";
/// A statement takes some ten thousand parameters; this many ids stay far below.
const KEYS_AT_ONCE: usize = 1_000;

/// Bans an org: it is refused everything. Banned again, it has the new reason since the first ban.
#[derive(Clone, Debug)]
pub struct BanOrg {
    /// Which.
    pub id: OrgId,
    /// Why.
    pub reason: Option<String>,
}

impl Command for BanOrg {
    type Output = Stored<Org>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Org>(self.id.as_str()).await?;
        let at = before.value.ban.as_ref().map_or(tx.now(), |ban| ban.at);
        if before.value.ban.is_none() {
            tx.tell(Some(&self.id), Happening::OrgBanned { reason: self.reason.clone() });
        }
        let after = Org { ban: Some(Ban { at, reason: self.reason }), ..before.value.clone() };
        tx.replace(before, after, "ban").await
    }
}

/// Lifts an org's ban, if there is one.
#[derive(Clone, Debug)]
pub struct UnbanOrg {
    /// Which.
    pub id: OrgId,
}

impl Command for UnbanOrg {
    type Output = Stored<Org>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Org>(self.id.as_str()).await?;
        if before.value.ban.is_some() {
            tx.tell(Some(&self.id), Happening::OrgUnbanned {});
        }
        let after = Org { ban: None, ..before.value.clone() };
        tx.replace(before, after, "unban").await
    }
}
