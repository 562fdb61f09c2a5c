//! Rows, copied table by table, with a digest of what they hold on either side.

use entity::limit_key;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Iterable,
    ModelTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect, TransactionTrait, Value,
};

use aws_lc_rs::digest::{SHA256, digest};

use super::{Moved, TransferError};

/// Rows that are read and written at once: sixteen columns of so many are below the parameters that a statement may have.
pub(super) const PAGE: u64 = 1_000;

/// What is read, in one moment.
pub(super) struct Source(DatabaseTransaction);

impl Source {
    pub(super) async fn begin(source: &DatabaseConnection) -> Result<Self, DbErr> {
        source.begin().await.map(Self)
    }

    pub(super) const fn db(&self) -> &DatabaseTransaction {
        &self.0
    }

    pub(super) async fn end(self) -> Result<(), DbErr> {
        self.0.rollback().await
    }
}

/// A number of rows, and a digest of what they hold that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    rows: u64,
    sum: (u128, u128),
}

impl Digest {
    /// Adds a row, by what its columns hold.
    pub(super) fn add(&mut self, values: &[Value]) {
        let hash = digest(&SHA256, format!("{values:?}").as_bytes());
        let half = |range: std::ops::Range<usize>| {
            hash.as_ref().get(range).and_then(|bytes| bytes.try_into().ok()).map_or(0, u128::from_be_bytes)
        };
        self.sum = (self.sum.0.wrapping_add(half(0..16)), self.sum.1.wrapping_add(half(16..32)));
        self.rows = self.rows.saturating_add(1);
    }
}

/// A table on both sides.
pub(super) struct Both {
    pub(super) table: &'static str,
    pub(super) read: Digest,
    pub(super) written: Digest,
}

/// What was copied so far.
#[derive(Default)]
pub(super) struct Copied(Vec<Both>);

impl Copied {
    pub(super) fn add(&mut self, both: Both) {
        self.0.push(both);
    }

    /// Copies a table.
    pub(super) async fn table<E>(
        &mut self,
        table: &'static str,
        source: &Source,
        target: &DatabaseTransaction,
    ) -> Result<(), DbErr>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    {
        let mut read = Digest::default();
        let mut last = None;
        loop {
            let rows = page::<E>(source.db(), last.as_ref()).await?;
            let Some(end) = rows.last() else { break };
            rows.iter().for_each(|row| read.add(&values::<E>(row)));
            last = Some(end.clone());
            let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
            E::insert_many(rows).exec_without_returning(target).await?;
        }
        self.add(Both { table, read, written: digest_of::<E>(target).await? });
        Ok(())
    }

    /// Copies the limit keys, of which one may refer to another that comes later.
    pub(super) async fn limit_keys(&mut self, source: &Source, target: &DatabaseTransaction) -> Result<(), DbErr> {
        let rows = limit_key::Entity::find().all(source.db()).await?;
        let mut read = Digest::default();
        for row in &rows {
            read.add(&values::<limit_key::Entity>(row));
            let alone = limit_key::Model { replacement: None, ..row.clone() };
            limit_key::Entity::insert(alone.into_active_model()).exec_without_returning(target).await?;
        }
        for row in rows.into_iter().filter(|row| row.replacement.is_some()) {
            limit_key::Entity::update(row.into_active_model().reset_all()).exec(target).await?;
        }
        self.add(Both { table: "limit_key", read, written: digest_of::<limit_key::Entity>(target).await? });
        Ok(())
    }

    /// What was moved, if both sides hold the same.
    pub(super) fn verified(self) -> Result<Vec<Moved>, TransferError> {
        let moved = |Both { table, read, written }: Both| {
            if read == written {
                let Digest { rows, sum: (high, low) } = read;
                Ok(Moved { table, rows, digest: format!("{high:032x}{low:032x}") })
            } else {
                Err(TransferError::Differs(table))
            }
        };
        self.0.into_iter().map(moved).collect()
    }
}

async fn digest_of<E: EntityTrait>(db: &DatabaseTransaction) -> Result<Digest, DbErr> {
    let (mut digest, mut last) = (Digest::default(), None);
    loop {
        let rows = page::<E>(db, last.as_ref()).await?;
        let Some(end) = rows.last() else { return Ok(digest) };
        rows.iter().for_each(|row| digest.add(&values::<E>(row)));
        last = Some(end.clone());
    }
}

fn values<E: EntityTrait>(row: &E::Model) -> Vec<Value> {
    E::Column::iter().map(|column| row.get(column)).collect()
}

/// The rows behind one, in the order of the primary key.
async fn page<E: EntityTrait>(db: &impl ConnectionTrait, last: Option<&E::Model>) -> Result<Vec<E::Model>, DbErr> {
    let key: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let mut rows = E::find().limit(PAGE);
    if let Some(last) = last {
        let columns: Vec<SimpleExpr> = key.iter().map(|column| Expr::col((E::default(), *column))).collect();
        let values: Vec<SimpleExpr> = key.iter().map(|column| Expr::val(last.get(*column))).collect();
        rows = rows.filter(Expr::tuple(columns).gt(Expr::tuple(values)));
    }
    for column in key {
        rows = rows.order_by_asc(column);
    }
    rows.all(db).await
}
