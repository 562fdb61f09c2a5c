//! Receipts of refused takings: written beside the changes, and no change themselves.

use entity::decision::{Column, Entity, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
    Value,
};

use super::rows::{optional, signed, text, unsigned};
use super::{Listing, PageRequest, Store, StoreError};
use crate::domain::names::{LimitKeyName, OrgId, RecordId};
use crate::domain::time::UtcMillis;

/// Those that are too old, the oldest first.
const TOO_OLD: &str = "DELETE FROM decision WHERE id IN (SELECT id FROM decision WHERE at < $1 ORDER BY at LIMIT $2)";
/// Those that are too many: all behind the newest.
const TOO_MANY: &str = "DELETE FROM decision WHERE id IN (SELECT id FROM decision ORDER BY id DESC LIMIT $2 OFFSET $1)";

/// What is kept of a refused taking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id; ids are ordered by the time that they were made at.
    pub id: RecordId,
    /// When it was refused.
    pub at: UtcMillis,
    /// The org.
    pub org: OrgId,
    /// The limit key, when one refused.
    pub limit_key: Option<LimitKeyName>,
    /// What was asked for.
    pub operation: String,
    /// The refusal's code.
    pub outcome: String,
    /// The catalogue revision that was known.
    pub revision: u64,
    /// The decision and its explanation.
    pub facts: serde_json::Value,
}

/// Which receipts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Of this org.
    pub org: Option<OrgId>,
    /// About this limit key.
    pub limit_key: Option<LimitKeyName>,
    /// At or after this moment.
    pub from: Option<UtcMillis>,
    /// Before this moment.
    pub to: Option<UtcMillis>,
}

impl Store {
    /// Writes receipts, in one transaction. One that is there already is replaced.
    ///
    /// Errors: [`StoreError::Unavailable`] when the storage is busy, full, read-only or failing.
    pub async fn keep_decisions(&self, receipts: Vec<Receipt>) -> Result<(), StoreError> {
        let store = self.clone();
        let rows: Vec<_> = receipts.into_iter().map(|receipt| row(receipt).into_active_model()).collect();
        self.detached(async move {
            let lane = store.lane().await?;
            let newer = [Column::At, Column::Outcome, Column::LimitKey, Column::Revision, Column::Facts];
            let replaced = OnConflict::column(Column::Id).update_columns(newer).to_owned();
            Entity::insert_many(rows).on_conflict(replaced).exec_without_returning(lane.db()).await?;
            lane.commit().await
        })
        .await
    }

    /// One receipt; nothing when it is not there, or no longer.
    pub async fn decision(&self, id: &RecordId) -> Result<Option<Receipt>, StoreError> {
        let found = Entity::find_by_id(id.as_str()).one(self.reader()).await?;
        found.map(receipt).transpose()
    }

    /// Receipts, newest first. The key of a page is an id.
    pub async fn decisions(&self, page: &PageRequest, filter: &DecisionFilter) -> Result<Listing<Receipt>, StoreError> {
        let matching = Condition::all()
            .add_option(filter.org.as_ref().map(|org| Column::Org.eq(org.as_str())))
            .add_option(filter.limit_key.as_ref().map(|limit_key| Column::LimitKey.eq(limit_key.as_str())))
            .add_option(filter.from.map(|from| Column::At.gte(from.get())))
            .add_option(filter.to.map(|to| Column::At.lt(to.get())))
            .add_option(page.after.as_deref().map(|after| Column::Id.lt(after)));
        let found = Entity::find().filter(matching).order_by_desc(Column::Id).limit(page.limit.saturating_add(1));
        let mut rows = found.all(self.reader()).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        Ok(Listing { items: rows.into_iter().map(receipt).collect::<Result<_, _>>()?, next })
    }

    /// Deletes at most `max_rows` of the receipts from before a moment, and as many of those behind the newest `most`; says how many
    /// of the more numerous kind.
    pub async fn sweep_decisions(&self, before: UtcMillis, most: u64, max_rows: u32) -> Result<u64, StoreError> {
        let store = self.clone();
        self.detached(async move {
            let lane = store.lane().await?;
            let backend = lane.db().get_database_backend();
            let mut deleted = 0;
            for (sql, first) in [(TOO_OLD, before.get()), (TOO_MANY, signed(most))] {
                let values: [Value; 2] = [first.into(), i64::from(max_rows).into()];
                let done = lane.db().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
                deleted = done.rows_affected().max(deleted);
            }
            lane.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

fn row(receipt: Receipt) -> Model {
    let Receipt { id, at, org, limit_key, operation, outcome, revision, facts } = receipt;
    Model {
        id: id.to_string(),
        at: at.get(),
        org: org.to_string(),
        limit_key: limit_key.map(|limit_key| limit_key.to_string()),
        operation,
        outcome,
        revision: signed(revision),
        facts: facts.to_string(),
    }
}

fn receipt(row: Model) -> Result<Receipt, StoreError> {
    let facts = serde_json::from_str(&row.facts)
        .map_err(|error| StoreError::Internal(format!("A receipt holds what is not JSON: {error}")))?;
    Ok(Receipt {
        id: text(&row.id)?,
        at: UtcMillis::new(row.at),
        org: text(&row.org)?,
        limit_key: optional(row.limit_key.as_deref())?,
        operation: row.operation,
        outcome: row.outcome,
        revision: unsigned(row.revision),
        facts,
    })
}
