//! The log of changes: for people who ask who changed what, and for processes that follow.

use entity::change_log::{Column, Entity, Model};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::rows::{optional, signed, text, unsigned};
use super::super::{Actor, AuditEntry, AuditFilter, ChangeRef, Listing, Object, PageRequest, Store, StoreError};
use crate::domain::time::UtcMillis;

impl Store {
    /// What changed after this revision, in order, at most `limit` changes.
    pub async fn changes_since(&self, revision: u64, limit: u64) -> Result<Vec<ChangeRef>, StoreError> {
        let later = Entity::find().filter(Column::Revision.gt(signed(revision)));
        let rows = later.order_by_asc(Column::Revision).limit(limit).all(self.reader()).await?;
        rows.iter().map(change_ref).collect()
    }

    /// Who changed what, newest first. The key of a page is a revision.
    pub async fn audit(&self, page: &PageRequest, filter: &AuditFilter) -> Result<Listing<AuditEntry>, StoreError> {
        let mut found = Entity::find().filter(matching(filter));
        if let Some(after) = &page.after {
            let invalid = |_| StoreError::invalid("cursor", "must be one that a list answered");
            found = found.filter(Column::Revision.lt(after.parse::<i64>().map_err(invalid)?));
        }
        let mut rows = newest_first(found, page.limit.saturating_add(1)).all(self.reader()).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.revision.to_string());
        Ok(Listing { items: rows.into_iter().map(entry).collect::<Result<_, _>>()?, next })
    }
}

fn newest_first(found: Select<Entity>, limit: u64) -> Select<Entity> {
    found.order_by_desc(Column::Revision).limit(limit)
}

fn matching(filter: &AuditFilter) -> Condition {
    let actor = filter.actor.as_deref();
    Condition::all()
        .add_option(filter.object.map(|object| Column::Object.eq(object.as_str())))
        .add_option(filter.object_id.as_deref().map(|id| Column::ObjectId.eq(id)))
        .add_option(filter.org.as_ref().map(|org| Column::Org.eq(org.as_str())))
        .add_option(actor.map(|actor| Condition::any().add(Column::ActorId.eq(actor)).add(Column::ActorKind.eq(actor))))
        .add_option(filter.action.as_deref().map(|action| Column::Action.eq(action)))
        .add_option(filter.from.map(|from| Column::At.gte(from.get())))
        .add_option(filter.to.map(|to| Column::At.lt(to.get())))
}

fn object(name: &str) -> Result<Object, StoreError> {
    Object::parse(name).ok_or_else(|| StoreError::Internal(format!("The log names an unknown kind of object: {name}")))
}

fn change_ref(row: &Model) -> Result<ChangeRef, StoreError> {
    let (revision, object_id) = (unsigned(row.revision), row.object_id.clone());
    Ok(ChangeRef { revision, object: Object::parse(&row.object), object_id, org: optional(row.org.as_deref())? })
}

fn entry(row: Model) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        revision: unsigned(row.revision),
        at: UtcMillis::new(row.at),
        actor: actor(&row)?,
        action: row.action,
        object: object(&row.object)?,
        object_id: row.object_id,
        org: optional(row.org.as_deref())?,
        before: json(row.before.as_deref())?,
        after: json(row.after.as_deref())?,
        request_id: row.request_id,
    })
}

fn actor(row: &Model) -> Result<Actor, StoreError> {
    match (row.actor_kind.as_str(), row.actor_id.as_deref()) {
        ("apiKey", Some(id)) => text(id).map(Actor::ApiKey),
        ("token", Some(subject)) => Ok(Actor::Token(subject.to_owned())),
        ("bootstrap", None) => Ok(Actor::Bootstrap),
        ("commandLine", None) => Ok(Actor::CommandLine),
        ("service", None) => Ok(Actor::Service),
        (kind, _) => Err(StoreError::Internal(format!("The log names an unknown kind of actor: {kind}"))),
    }
}

fn json(stored: Option<&str>) -> Result<Option<serde_json::Value>, StoreError> {
    let parsed = stored.map(serde_json::from_str).transpose();
    parsed.map_err(|error| StoreError::Internal(format!("The log holds what is not JSON: {error}")))
}
