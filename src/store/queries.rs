//! Questions that reads and changes both ask, of a connection or inside a transaction.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use entity::{
    api_key, api_key_rate, api_key_scope, api_key_secret, catalogue_revision, limit_key, org, org_override, scope, tier,
    tier_limit,
};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::error::StoreError;
use super::lists::{Listing, PageRequest};
use super::records::{ApiKeyInfo, OrgFacts, OverrideInfo, Stored, TierInfo, TierLimit};
use super::rows::{Key, Record, stored, text, unsigned, value};
use super::schedules;
use crate::domain::api_key::OwnRates;
use crate::domain::limit_key::LimitKey;
use crate::domain::names::{OrgId, ScopeName};
use crate::domain::plan::{Plan, Tier};
use crate::domain::scope::BUILT_IN;
use crate::domain::time::UtcMillis;

/// The record with this key.
pub(super) async fn find<R: Record>(
    db: &impl ConnectionTrait,
    key: impl Into<Key<R>> + Send,
) -> Result<Option<Stored<R>>, StoreError> {
    let Some(row) = R::Entity::find_by_id(key).one(db).await? else { return Ok(None) };
    let mut found = [stored::<R>(&row)?];
    R::complete(db, &mut found).await?;
    let [found] = found;
    Ok(Some(found))
}

/// All records that a selection finds.
pub(super) async fn all<R: Record>(db: &impl ConnectionTrait, select: Select<R::Entity>) -> Result<Vec<Stored<R>>, StoreError> {
    let rows = select.all(db).await?;
    let mut found = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    R::complete(db, &mut found).await?;
    Ok(found)
}

/// The rows of a page in the order of `key`, and the key to go on after.
pub(super) async fn page_of_rows<E, C>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    key: C,
    page: &PageRequest,
    key_of: fn(&E::Model) -> &str,
) -> Result<(Vec<E::Model>, Option<String>), StoreError>
where
    E: EntityTrait,
    C: ColumnTrait,
{
    let select = match &page.after {
        Some(after) => select.filter(key.gt(after.as_str())),
        None => select,
    };
    let mut rows = select.order_by_asc(key).limit(page.limit.saturating_add(1)).all(db).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|row| key_of(row).to_owned());
    Ok((rows, next))
}

/// A page of records in the order of `key`.
pub(super) async fn page<R: Record, C: ColumnTrait>(
    db: &impl ConnectionTrait,
    select: Select<R::Entity>,
    key: C,
    page: &PageRequest,
    key_of: fn(&R::Row) -> &str,
) -> Result<Listing<Stored<R>>, StoreError> {
    let (rows, next) = page_of_rows(db, select, key, page, key_of).await?;
    let mut items = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    R::complete(db, &mut items).await?;
    Ok(Listing { items, next })
}

/// The revision of the latest change; 0 before the first.
pub(super) async fn revision(db: &impl ConnectionTrait) -> Result<u64, StoreError> {
    let row = catalogue_revision::Entity::find_by_id(1).one(db).await?;
    Ok(row.map_or(0, |row| unsigned(row.value)))
}

/// Everything that the catalogue says.
pub(super) async fn plan(db: &impl ConnectionTrait) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    for row in limit_key::Entity::find().all(db).await? {
        let limit_key = LimitKey::from_row(&row)?;
        plan.limit_keys.insert(limit_key.name.clone(), limit_key);
    }
    for row in tier::Entity::find().all(db).await? {
        let TierInfo { name, display_name, description } = TierInfo::from_row(&row)?;
        plan.tiers.insert(name, Tier { name: display_name, description, limits: BTreeMap::new() });
    }
    for row in tier_limit::Entity::find().all(db).await? {
        let TierLimit { tier, limit_key, limit } = TierLimit::from_row(&row)?;
        if let Some(tier) = plan.tiers.get_mut(&tier) {
            tier.limits.insert(limit_key, limit);
        }
    }
    schedules::add_to_plan(db, &mut plan).await?;
    Ok(plan)
}

/// The names of all scopes: the built-in ones, then the product's own.
pub(super) async fn scope_names(db: &impl ConnectionTrait) -> Result<Vec<ScopeName>, StoreError> {
    let own = scope::Entity::find().order_by_asc(scope::Column::Name).all(db).await?;
    let built_in = BUILT_IN.iter().map(|(name, _)| *name);
    built_in.chain(own.iter().map(|row| row.name.as_str())).map(text).collect()
}

/// API keys with their scopes and rates, and with those of their secrets that are still good at `now`.
pub(super) async fn api_keys(
    db: &impl ConnectionTrait,
    rows: &[api_key::Model],
    now: UtcMillis,
) -> Result<Vec<Stored<ApiKeyInfo>>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = || rows.iter().map(|row| row.id.as_str());
    let scopes = api_key_scope::Entity::find().filter(api_key_scope::Column::KeyId.is_in(ids())).all(db).await?;
    let secrets = api_key_secret::Entity::find().filter(api_key_secret::Column::KeyId.is_in(ids()));
    let mut secrets = secrets.filter(still_good_at(now)).all(db).await?;
    // The newest has no end of its own; this also orders those that were made in the same millisecond.
    secrets.sort_by_key(|secret| (secret.expires_at.is_some(), Reverse(secret.created_at), Reverse(secret.expires_at)));
    let mut scopes_of: HashMap<String, Vec<ScopeName>> = HashMap::new();
    for row in scopes {
        scopes_of.entry(row.key_id).or_default().push(text(&row.scope)?);
    }
    let mut shown_of: HashMap<String, Vec<String>> = HashMap::new();
    for row in secrets {
        shown_of.entry(row.key_id).or_default().push(row.shown);
    }
    let mut rates_of = rates_of(db, ids()).await?;
    let complete = |row: &api_key::Model| {
        let mut key = stored::<ApiKeyInfo>(row)?;
        key.value.scopes = scopes_of.remove(&row.id).unwrap_or_default().into_iter().collect();
        key.value.shown = shown_of.remove(&row.id).unwrap_or_default();
        key.value.rates = rates_of.remove(&row.id).unwrap_or_default();
        Ok(key)
    };
    rows.iter().map(complete).collect()
}

/// The rates that each of these API keys has of its own.
pub(super) async fn rates_of(
    db: &impl ConnectionTrait,
    ids: impl Iterator<Item = &str>,
) -> Result<HashMap<String, OwnRates>, StoreError> {
    let rows = api_key_rate::Entity::find().filter(api_key_rate::Column::KeyId.is_in(ids)).all(db).await?;
    let mut rates: HashMap<String, OwnRates> = HashMap::new();
    for row in rows {
        rates.entry(row.key_id).or_default().insert(text(&row.limit_key)?, value(RATE_FORM, row.max)?);
    }
    Ok(rates)
}

/// The form of every value of a rate.
pub(super) const RATE_FORM: &str = "max";

/// The API key with this id.
pub(super) async fn api_key(
    db: &impl ConnectionTrait,
    id: &str,
    now: UtcMillis,
) -> Result<Option<Stored<ApiKeyInfo>>, StoreError> {
    let rows = api_key::Entity::find_by_id(id).all(db).await?;
    Ok(api_keys(db, &rows, now).await?.pop())
}

/// Which secrets have not been rotated out.
pub(super) fn still_good_at(now: UtcMillis) -> sea_orm::Condition {
    let end = api_key_secret::Column::ExpiresAt;
    sea_orm::Condition::any().add(end.is_null()).add(end.gt(now.get()))
}

/// What a decision needs to know of these orgs, without those that were never registered.
/// Overrides that have expired at `now` are left out.
pub(super) async fn facts_of_orgs(
    db: &impl ConnectionTrait,
    ids: &[&OrgId],
    now: UtcMillis,
) -> Result<HashMap<OrgId, OrgFacts>, StoreError> {
    let texts = || ids.iter().map(|id| id.as_str());
    let rows = org::Entity::find().filter(org::Column::Id.is_in(texts())).all(db).await?;
    let mut facts = HashMap::with_capacity(rows.len());
    for row in &rows {
        let known = OrgFacts { banned: row.banned_at.is_some(), ..OrgFacts::of_tier(text(&row.tier)?) };
        facts.insert(text(&row.id)?, known);
    }
    if facts.is_empty() {
        return Ok(facts);
    }
    for (org, scheduled) in schedules::of_orgs(db, texts()).await? {
        if let Some(known) = facts.get_mut(org.as_str()) {
            known.scheduled = scheduled;
        }
    }
    let end = org_override::Column::ExpiresAt;
    let alive = Condition::any().add(end.is_null()).add(end.gt(now.get()));
    let overrides = org_override::Entity::find().filter(org_override::Column::Org.is_in(texts())).filter(alive);
    for row in overrides.order_by_asc(org_override::Column::Id).all(db).await? {
        let OverrideInfo { org, inner, .. } = OverrideInfo::from_row(&row)?;
        if let Some(known) = facts.get_mut(&org) {
            known.overrides.push(inner);
        }
    }
    Ok(facts)
}
