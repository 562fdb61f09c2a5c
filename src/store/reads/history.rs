//! How things were: as they are now, with every change since taken back.
//!
//! The first change of an object after a moment says in `before` how it was at the moment; what has not changed since is as it was.
//! So one line of the log for each object is enough, however many there are.

use std::collections::BTreeMap;

use entity::change_log::{Column, Entity, Model};
use entity::org_override;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QueryResult, Statement,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::super::plan_changes::plan_revision;
use super::super::rows::{signed, unsigned};
use super::super::{Object, Org, OverrideInfo, Store, StoreError, queries};
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;

/// Written as the index over these lines is, so that both databases use it.
const OF_PLAN: &str = "SELECT object, object_id, before FROM change_log WHERE revision IN (SELECT min(revision) FROM change_log \
    WHERE revision > $1 AND object IN ('limitKey', 'tier', 'tierLimit') GROUP BY object, object_id)";
const OF_ORG: &str = "SELECT object, object_id, before FROM change_log WHERE revision IN (SELECT min(revision) FROM change_log \
    WHERE revision > $1 AND org = $2 AND object IN ('org', 'override') GROUP BY object, object_id)";

/// How things were, in the form that the log has them in.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The revision of the last change until then.
    pub revision: u64,
    /// The revision of the catalogue's last change until then.
    pub plan_revision: u64,
    /// The catalogue as a document.
    pub document: Json,
    /// The org that was asked for, if it existed.
    pub org: Option<Json>,
    /// The org's overrides, oldest first.
    pub overrides: Vec<Json>,
}

/// How an object was before its first change since.
struct Undone {
    object: String,
    id: String,
    before: Option<Json>,
}

impl Store {
    /// How the catalogue was at a moment, and an org if one is named. A moment that is still to come is as things are now.
    ///
    /// Errors: [`StoreError::NotKept`] when the log no longer reaches back so far.
    pub async fn past(&self, at: UtcMillis, now: UtcMillis, org: Option<&OrgId>) -> Result<Past, StoreError> {
        let (store, org) = (self.clone(), org.cloned());
        self.detached(async move {
            let moment = store.reader().moment().await?;
            let past = past(&moment, at, now, org.as_ref()).await;
            moment.commit().await?;
            past
        })
        .await
    }
}

async fn past(db: &DatabaseTransaction, at: UtcMillis, now: UtcMillis, org: Option<&OrgId>) -> Result<Past, StoreError> {
    let revision = revision_at(db, at, now).await?;
    let mut document = json(&queries::plan(db).await?)?;
    let undone = undone(db, OF_PLAN, [signed(revision).into()]).await?;
    let (tiers, rest): (Vec<Undone>, Vec<Undone>) = undone.into_iter().partition(|line| line.object == Object::Tier.as_str());
    // A value needs its tier to be there.
    tiers.into_iter().chain(rest).for_each(|line| take_back(&mut document, line));
    let (org, overrides) = match org {
        Some(org) => org_at(db, org, revision).await?,
        None => (None, Vec::new()),
    };
    Ok(Past { revision, plan_revision: plan_revision(db, Some(revision)).await?, document, org, overrides })
}

/// The revision of the last change until a moment.
async fn revision_at(db: &impl ConnectionTrait, at: UtcMillis, now: UtcMillis) -> Result<u64, StoreError> {
    let until = Entity::find().filter(Column::At.lte(at.get())).order_by_desc(Column::Revision);
    if let Some(line) = until.one(db).await? {
        return Ok(unsigned(line.revision));
    }
    match Entity::find().order_by_asc(Column::Revision).one(db).await? {
        // It is the first change there ever was.
        Some(Model { revision: 1, .. }) => Ok(0),
        Some(oldest) => Err(StoreError::NotKept(UtcMillis::new(oldest.at))),
        None => match queries::revision(db).await? {
            revision if revision == 0 || at >= now => Ok(revision),
            _ => Err(StoreError::NotKept(now)),
        },
    }
}

async fn undone<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [sea_orm::Value; N],
) -> Result<Vec<Undone>, StoreError> {
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    let undone = |row: &QueryResult| {
        let before: Option<String> = row.try_get_by_index(2)?;
        let before = before.map(|before| serde_json::from_str(&before)).transpose();
        let before = before.map_err(|error| StoreError::Internal(format!("The log holds what is not JSON: {error}")))?;
        Ok(Undone { object: row.try_get_by_index(0)?, id: row.try_get_by_index(1)?, before })
    };
    rows.iter().map(undone).collect()
}

fn json(value: &impl Serialize) -> Result<Json, StoreError> {
    serde_json::to_value(value).map_err(|error| StoreError::Internal(format!("A record has no JSON form: {error}")))
}

/// Puts an object of the catalogue back into the document as it was, or takes it out if it was not.
fn take_back(document: &mut Json, Undone { object, id, before }: Undone) {
    if object == Object::LimitKey.as_str() {
        put(document.get_mut("limitKeys"), &id, before);
    } else if object == Object::Tier.as_str() {
        let tiers = document.get_mut("tiers");
        let limits = tiers.as_ref().and_then(|tiers| tiers.get(&id)?.get("limits")).cloned();
        put(tiers, &id, before.map(|tier| with_values(tier, limits)));
    } else if let Some((tier, limit_key)) = id.split_once('/') {
        let tier = document.get_mut("tiers").and_then(|tiers| tiers.get_mut(tier));
        put(tier.and_then(|tier| tier.get_mut("limits")), limit_key, before.map(limit));
    }
}

fn put(place: Option<&mut Json>, name: &str, value: Option<Json>) {
    if let Some(place) = place.and_then(Json::as_object_mut) {
        match value {
            Some(value) => place.insert(name.to_owned(), value),
            None => place.remove(name),
        };
    }
}

/// A tier's line as it stands in a document, with the values that it has now: what changed of them has lines of its own.
fn with_values(mut tier: Json, limits: Option<Json>) -> Json {
    let mut field = |name: &str| tier.get_mut(name).map(Json::take).unwrap_or_default();
    let fields = ["name", "description"].map(|name| (name.to_owned(), field(name)));
    let limits = limits.unwrap_or_else(|| Json::Object(Map::new()));
    Json::Object(fields.into_iter().chain([("limits".to_owned(), limits)]).collect())
}

/// The line of a tier's value as it stands in a document: what is scheduled stands beside the value's own field.
fn limit(mut line: Json) -> Json {
    let mut limit = line.get_mut("value").map(Json::take).unwrap_or_default();
    if let (Some(scheduled), Some(fields)) = (line.get_mut("scheduled").map(Json::take), limit.as_object_mut()) {
        fields.insert("scheduled".to_owned(), scheduled);
    }
    limit
}

/// An org and its overrides as they were at a revision.
async fn org_at(db: &impl ConnectionTrait, org: &OrgId, revision: u64) -> Result<(Option<Json>, Vec<Json>), StoreError> {
    let mut found = queries::find::<Org>(db, org.as_str()).await?.map(|org| json(&org.value)).transpose()?;
    let own = org_override::Entity::find().filter(org_override::Column::Org.eq(org.as_str()));
    let mut overrides: BTreeMap<String, Json> = BTreeMap::new();
    for kept in queries::all::<OverrideInfo>(db, own).await? {
        overrides.insert(kept.value.inner.id.to_string(), json(&kept.value)?);
    }
    for Undone { object, id, before } in undone(db, OF_ORG, [signed(revision).into(), org.as_str().into()]).await? {
        match before {
            _ if object == Object::Org.as_str() => found = before,
            Some(before) => drop(overrides.insert(id, before)),
            None => drop(overrides.remove(&id)),
        }
    }
    Ok((found, overrides.into_values().collect()))
}
