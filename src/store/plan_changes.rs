//! What a document would change in the catalogue, and what stands in its way.

use entity::{api_key_rate, change_log, limit_key_use, org, org_override, org_schedule};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::error::StoreError;
use super::records::Object;
use super::rows::{signed, unsigned};
use super::{Store, queries};
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::{LimitKeyName, TierName};
use crate::domain::plan::{Change, Gone, Plan};
use crate::domain::time::UtcMillis;

/// What a document changes in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanChanges {
    /// Each of them, in a stable order.
    pub changes: Vec<Change>,
    /// What is only odd about the catalogue as it is then.
    pub oddities: Vec<Issue>,
    /// The revision of the catalogue's last change.
    pub revision: u64,
}

impl Store {
    /// Everything that the catalogue says, and the revision of its last change, which is not moved by orgs or API keys.
    pub async fn catalogue(&self) -> Result<(Plan, u64), StoreError> {
        let store = self.clone();
        self.detached(async move {
            let moment = store.reader().moment().await?;
            let read = (queries::plan(&moment).await?, plan_revision(&moment, None).await?);
            moment.commit().await?;
            Ok(read)
        })
        .await
    }

    /// What applying this document would change. Nothing is changed; errors are those that applying it would have.
    pub async fn plan_changes(&self, change: Plan, prune: bool, now: UtcMillis) -> Result<PlanChanges, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let moment = store.reader().moment().await?;
            let revision = plan_revision(&moment, None).await?;
            let found = plan_changes(&moment, &change, prune, (revision, now)).await;
            moment.commit().await?;
            found
        })
        .await
    }
}

/// The revision of the last change of a limit key, a tier or a tier's value, or of the last until a revision.
///
/// Where the log no longer reaches back so far, it is the newest that it may be: it never stands for an older state.
pub(super) async fn plan_revision(db: &impl ConnectionTrait, until: Option<u64>) -> Result<u64, StoreError> {
    let objects = [Object::LimitKey, Object::Tier, Object::TierLimit].map(Object::as_str);
    let until = until.map(|until| change_log::Column::Revision.lte(signed(until)));
    let of_plan = Condition::all().add(change_log::Column::Object.is_in(objects)).add_option(until);
    let of_plan = change_log::Entity::find().filter(of_plan);
    let last = of_plan.select_only().column_as(change_log::Column::Revision.max(), "revision");
    if let Some(Some(revision)) = last.into_tuple::<Option<i64>>().one(db).await? {
        return Ok(unsigned(revision));
    }
    let oldest = change_log::Entity::find().order_by_asc(change_log::Column::Revision).one(db).await?;
    match oldest {
        Some(line) => Ok(unsigned(line.revision).saturating_sub(1)),
        None => queries::revision(db).await,
    }
}

/// Compares a document with the catalogue, and refuses what contradicts itself or what is stored.
pub(super) async fn plan_changes(
    db: &impl ConnectionTrait,
    change: &Plan,
    prune: bool,
    (revision, now): (u64, UtcMillis),
) -> Result<PlanChanges, StoreError> {
    let current = queries::plan(db).await?;
    let target = if prune { current.replaced_by(change) } else { current.merged_with(change) };
    let changes = current.changes_to(&target);
    let mut issues = target.contradictions();
    issues.extend(held_kinds(db, &changes).await?);
    let in_use = in_use(db, &changes).await?;
    match (issues.is_empty(), in_use.is_empty()) {
        (true, true) => Ok(PlanChanges { changes, oddities: target.oddities(now), revision }),
        (true, false) => Err(StoreError::InUse(in_use)),
        (false, _) => Err(StoreError::Invalid(issues.into_iter().chain(in_use).collect())),
    }
}

/// The limit keys that exist and whose values are to take another form.
pub(super) fn reformed(changes: &[Change]) -> impl Iterator<Item = &LimitKey> {
    changes.iter().filter_map(|change| match change {
        Change::LimitKey { before: Some(before), after } if !before.default.fits(after.kind()) => Some(after),
        Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } | Change::Gone(_) => None,
    })
}

/// The limit key, if it is to be of another kind than rate. Its values may well keep their form.
fn no_longer_rate(change: &Change) -> Option<&LimitKey> {
    match change {
        Change::LimitKey { before: Some(before), after } if before.kind() == Kind::Rate && after.kind() != Kind::Rate => {
            Some(after)
        }
        Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } | Change::Gone(_) => None,
    }
}

/// What holds a value of the old form or kind of a limit key that is to change.
async fn held_kinds(db: &impl ConnectionTrait, changes: &[Change]) -> Result<Vec<Issue>, StoreError> {
    let mut issues = Vec::new();
    for limit_key in reformed(changes) {
        if let Some(org) = overridden_org(db, &limit_key.name).await? {
            let message = format!("cannot change while an override of the org {org} holds a value of the old form");
            issues.push(Issue::new(format!("limitKeys.{}.kind", limit_key.name), message));
        }
    }
    for limit_key in changes.iter().filter_map(no_longer_rate) {
        if let Some(key) = rate_holder(db, &limit_key.name).await? {
            let message = format!("cannot change while the API key {key} has a rate of its own");
            issues.push(Issue::new(format!("limitKeys.{}.kind", limit_key.name), message));
        }
    }
    Ok(issues)
}

/// What cannot be deleted because something outside of the catalogue names it.
async fn in_use(db: &impl ConnectionTrait, changes: &[Change]) -> Result<Vec<Issue>, StoreError> {
    let mut issues = Vec::new();
    for change in changes {
        let user = match change {
            Change::Gone(Gone::LimitKey(before)) => limit_key_user(db, &before.name).await?,
            Change::Gone(Gone::Tier { name, .. }) => tier_user(db, name).await?,
            Change::Gone(Gone::Limit { .. }) | Change::LimitKey { .. } | Change::Tier { .. } | Change::Limit { .. } => None,
        };
        issues.extend(user.map(|user| Issue::new(change.path(), format!("cannot be deleted: {user}"))));
    }
    Ok(issues)
}

/// Some org that has this tier, or is to have it.
pub(super) async fn tier_user(db: &impl ConnectionTrait, name: &TierName) -> Result<Option<String>, StoreError> {
    let orgs = org::Entity::find().filter(org::Column::Tier.eq(name.as_str())).order_by_asc(org::Column::Id).limit(1);
    if let Some(org) = orgs.one(db).await? {
        return Ok(Some(format!("the org {} is assigned it", org.id)));
    }
    let scheduled = org_schedule::Entity::find().filter(org_schedule::Column::Tier.eq(name.as_str()));
    let scheduled = scheduled.order_by_asc(org_schedule::Column::Org).limit(1);
    Ok(scheduled.one(db).await?.map(|step| format!("the org {} is scheduled to have it", step.org)))
}

async fn limit_key_user(db: &impl ConnectionTrait, name: &LimitKeyName) -> Result<Option<String>, StoreError> {
    if let Some(org) = overridden_org(db, name).await? {
        return Ok(Some(format!("an override of the org {org} holds a value for it")));
    }
    if let Some(key) = rate_holder(db, name).await? {
        return Ok(Some(format!("the API key {key} has a rate of its own for it")));
    }
    let used = limit_key_use::Entity::find_by_id(name.as_str()).one(db).await?;
    Ok(used.map(|_| "it has recorded usage; keep it with \"archived\": true instead".to_owned()))
}

/// Some org that has an override for this limit key.
async fn overridden_org(db: &impl ConnectionTrait, name: &LimitKeyName) -> Result<Option<String>, StoreError> {
    let held = org_override::Entity::find().filter(org_override::Column::LimitKey.eq(name.as_str()));
    let held = held.order_by_asc(org_override::Column::Org).limit(1);
    Ok(held.one(db).await?.map(|row| row.org))
}

/// Some API key that has a rate of its own for this limit key.
pub(super) async fn rate_holder(db: &impl ConnectionTrait, name: &LimitKeyName) -> Result<Option<String>, StoreError> {
    let rates = api_key_rate::Entity::find().filter(api_key_rate::Column::LimitKey.eq(name.as_str()));
    let rates = rates.order_by_asc(api_key_rate::Column::KeyId).limit(1);
    Ok(rates.one(db).await?.map(|row| row.key_id))
}
