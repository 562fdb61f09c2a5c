//! What is scheduled of orgs and of tiers' values, in tables of its own: one row for each change.

use std::collections::HashMap;

use entity::{org, org_schedule, tier_limit_schedule};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::error::StoreError;
use super::records::{Org, Stored, TierLimit};
use super::rows::{text, value, value_columns};
use crate::domain::names::TierName;
use crate::domain::plan::Plan;
use crate::domain::schedule::{Schedule, Step};
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;

fn schedule<T>(steps: Vec<Step<T>>) -> Result<Schedule<T>, StoreError> {
    Schedule::of(steps).map_err(|_| StoreError::Internal("A stored schedule is out of order or too long".to_owned()))
}

/// What is scheduled of those of these orgs that have anything scheduled.
pub(super) async fn of_orgs(
    db: &impl ConnectionTrait,
    orgs: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Schedule<TierName>>, StoreError> {
    let rows = org_schedule::Entity::find().filter(org_schedule::Column::Org.is_in(orgs));
    let mut steps: HashMap<String, Vec<Step<TierName>>> = HashMap::new();
    for row in rows.order_by_asc(org_schedule::Column::StartsAt).all(db).await? {
        let step = Step { starts_at: UtcMillis::new(row.starts_at), to: text(&row.tier)? };
        steps.entry(row.org).or_default().push(step);
    }
    steps.into_iter().map(|(org, steps)| Ok((org, schedule(steps)?))).collect()
}

/// Writes what is scheduled of an org. A row that is there already stays as it is: it may have been told of.
pub(super) async fn write_of_org(db: &impl ConnectionTrait, org: &Org) -> Result<(), StoreError> {
    use org_schedule::Column::{Org as Whose, StartsAt, Tier};
    let steps = org.scheduled.steps();
    let is_step = |step: &Step<TierName>| StartsAt.eq(step.starts_at.get()).and(Tier.eq(step.to.as_str()));
    let others = steps.iter().fold(Condition::any(), |any, step| any.add(is_step(step))).not();
    let others = Condition::all().add(Whose.eq(org.id.as_str())).add_option((!steps.is_empty()).then_some(others));
    org_schedule::Entity::delete_many().filter(others).exec(db).await?;
    if steps.is_empty() {
        return Ok(());
    }
    let row = |step: &Step<TierName>| {
        let (org, tier) = (org.id.to_string(), step.to.to_string());
        org_schedule::Model { org, starts_at: step.starts_at.get(), tier, told: 0 }.into_active_model()
    };
    let rows = org_schedule::Entity::insert_many(steps.iter().map(row));
    let rows = rows.on_conflict(OnConflict::columns([Whose, StartsAt]).do_nothing().to_owned());
    rows.exec_without_returning(db).await?;
    Ok(())
}

/// Orgs that have one of these tiers at `now`: it is the last that has begun, or nothing has and they were given it.
pub(super) fn has_tier(tiers: &[&TierName], now: UtcMillis) -> Condition {
    let wanted = || tiers.iter().map(|tier| tier.as_str());
    let begun = || Expr::col(("step", org_schedule::Column::StartsAt)).lte(now.get());
    let mut last = Query::select();
    last.expr(Expr::col(("step", org_schedule::Column::StartsAt)).max()).from_as(org_schedule::Entity, "step");
    last.and_where(Expr::col(("step", org_schedule::Column::Org)).equals((org_schedule::Entity, org_schedule::Column::Org)));
    last.and_where(begun());
    let mut have = Query::select();
    have.column(org_schedule::Column::Org).from(org_schedule::Entity);
    have.and_where(org_schedule::Column::Tier.is_in(wanted()));
    have.and_where(
        Expr::col((org_schedule::Entity, org_schedule::Column::StartsAt)).eq(Expr::SubQuery(None, Box::new(last.into()))),
    );
    let mut changed = Query::select();
    changed.column(org_schedule::Column::Org).from(org_schedule::Entity);
    changed.and_where(org_schedule::Column::StartsAt.lte(now.get()));
    let given = org::Column::Tier.is_in(wanted()).and(org::Column::Id.not_in_subquery(changed));
    Condition::any().add(given).add(org::Column::Id.in_subquery(have))
}

/// What is scheduled of tiers' values, by tier and limit key: of those that the filter lets through.
async fn of_limits(
    db: &impl ConnectionTrait,
    filter: Condition,
) -> Result<HashMap<(String, String), Schedule<Value>>, StoreError> {
    let rows = tier_limit_schedule::Entity::find().filter(filter);
    let mut steps: HashMap<(String, String), Vec<Step<Value>>> = HashMap::new();
    for row in rows.order_by_asc(tier_limit_schedule::Column::StartsAt).all(db).await? {
        let step = Step { starts_at: UtcMillis::new(row.starts_at), to: value(&row.value_form, row.value)? };
        steps.entry((row.tier, row.limit_key)).or_default().push(step);
    }
    steps.into_iter().map(|(limit, steps)| Ok((limit, schedule(steps)?))).collect()
}

/// Adds to these values of tiers what is scheduled of them.
pub(super) async fn add_to_limits(db: &impl ConnectionTrait, found: &mut [Stored<TierLimit>]) -> Result<(), StoreError> {
    use tier_limit_schedule::Column::{LimitKey, Tier};
    if found.is_empty() {
        return Ok(());
    }
    let of_tiers = Tier.is_in(found.iter().map(|limit| limit.value.tier.as_str()));
    let of_keys = LimitKey.is_in(found.iter().map(|limit| limit.value.limit_key.as_str()));
    let mut scheduled = of_limits(db, Condition::all().add(of_tiers).add(of_keys)).await?;
    for Stored { value, .. } in found {
        let limit = (value.tier.to_string(), value.limit_key.to_string());
        value.limit.scheduled = scheduled.remove(&limit).unwrap_or_default();
    }
    Ok(())
}

/// Adds to a plan what is scheduled of its values.
pub(super) async fn add_to_plan(db: &impl ConnectionTrait, plan: &mut Plan) -> Result<(), StoreError> {
    for ((tier, limit_key), scheduled) in of_limits(db, Condition::all()).await? {
        let tier = plan.tiers.get_mut(tier.as_str());
        if let Some(limit) = tier.and_then(|tier| tier.limits.get_mut(limit_key.as_str())) {
            limit.scheduled = scheduled;
        }
    }
    Ok(())
}

/// Writes what is scheduled of a tier's value.
pub(super) async fn write_of_limit(db: &impl ConnectionTrait, limit: &TierLimit) -> Result<(), StoreError> {
    use tier_limit_schedule::Column::{LimitKey, Tier};
    let own = Tier.eq(limit.tier.as_str()).and(LimitKey.eq(limit.limit_key.as_str()));
    tier_limit_schedule::Entity::delete_many().filter(own).exec(db).await?;
    let steps = limit.limit.scheduled.steps();
    if steps.is_empty() {
        return Ok(());
    }
    let row = |step: &Step<Value>| {
        let (value_form, value) = value_columns(step.to);
        let (tier, limit_key) = (limit.tier.to_string(), limit.limit_key.to_string());
        tier_limit_schedule::Model { tier, limit_key, starts_at: step.starts_at.get(), value_form, value }.into_active_model()
    };
    let rows = tier_limit_schedule::Entity::insert_many(steps.iter().map(row));
    rows.exec_without_returning(db).await?;
    Ok(())
}
