//! Rows and records: each record knows its table, its key and how it is written.

use std::future::{Future, ready};

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, ModelTrait, PrimaryKeyTrait};
use serde::Serialize;

use super::error::StoreError;
use super::records::{Ban, Object, Stored};
use crate::domain::bound::{Bound, Quantity};
use crate::domain::issue::Invalid;
use crate::domain::names::OrgId;
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;

/// A record that is one row of one table.
pub(super) trait Record: Clone + PartialEq + Serialize + Send + Sync + Sized {
    /// Its table.
    type Entity: EntityTrait<Model = Self::Row, ActiveModel = Self::Change>;
    /// Its row.
    type Row: ModelTrait<Entity = Self::Entity> + FromQueryResult + IntoActiveModel<Self::Change> + Send + Sync;
    /// Its row as it is written.
    type Change: ActiveModelTrait<Entity = Self::Entity> + Send;
    /// Its kind.
    const OBJECT: Object;

    /// From its row.
    fn from_row(row: &Self::Row) -> Result<Self, StoreError>;
    /// When the row was made and last changed.
    fn stamps(row: &Self::Row) -> Stamps;
    /// As a row.
    fn row(&self, stamps: Stamps) -> Self::Row;
    /// Its primary key.
    fn key(&self) -> Key<Self>;
    /// What the log calls it.
    fn object_id(&self) -> String;
    /// The org that it belongs to.
    fn org(&self) -> Option<&OrgId> {
        None
    }
    /// Reads what other tables hold of these records.
    fn complete(
        _db: &impl ConnectionTrait,
        _found: &mut [Stored<Self>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(Ok(()))
    }
    /// Writes what other tables hold of it.
    fn write_parts(&self, _db: &impl ConnectionTrait) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(Ok(()))
    }
}

/// The primary key of a record's table.
pub(super) type Key<R> = <<<R as Record>::Entity as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// When a row was made and last changed, in the database's own types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) revision: i64,
}

/// The record of a row, with its stamps.
pub(super) fn stored<R: Record>(row: &R::Row) -> Result<Stored<R>, StoreError> {
    Ok(stamped(R::from_row(row)?, R::stamps(row)))
}

/// A record with its stamps.
pub(super) fn stamped<R>(value: R, stamps: Stamps) -> Stored<R> {
    let Stamps { created_at, updated_at, revision } = stamps;
    let revision = unsigned(revision);
    Stored { value, revision, created_at: UtcMillis::new(created_at), updated_at: UtcMillis::new(updated_at) }
}

/// A number as the database keeps it. Ours are all far below the limit of the type.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from the database, whose constraints keep it from being negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A stored text as the type that it is of.
pub(super) fn text<T>(text: &str) -> Result<T, StoreError>
where
    T: std::str::FromStr<Err = Invalid>,
{
    text.parse().map_err(|invalid| StoreError::corrupt(&invalid))
}

/// A stored text that may be absent.
pub(super) fn optional<T>(stored: Option<&str>) -> Result<Option<T>, StoreError>
where
    T: std::str::FromStr<Err = Invalid>,
{
    stored.map(text).transpose()
}

/// A stored moment that may be absent.
pub(super) fn moment(millis: Option<i64>) -> Option<UtcMillis> {
    millis.map(UtcMillis::new)
}

/// A ban from its two columns.
pub(super) fn ban(at: Option<i64>, reason: Option<&String>) -> Option<Ban> {
    at.map(|at| Ban { at: UtcMillis::new(at), reason: reason.cloned() })
}

/// The two columns of a ban.
pub(super) fn ban_columns(ban: Option<&Ban>) -> (Option<i64>, Option<String>) {
    (ban.map(|ban| ban.at.get()), ban.and_then(|ban| ban.reason.clone()))
}

/// The two columns of a value: its form and its number, which unlimited has none of.
pub(super) fn value_columns(value: Value) -> (String, Option<i64>) {
    let number = |quantity: Quantity| signed(quantity.get());
    let number = match value {
        Value::Max(bound) | Value::Days(bound) => bound.limit().map(number),
        Value::Min(min) => Some(number(min)),
        Value::Enabled(enabled) => Some(i64::from(enabled)),
    };
    (form(value).to_owned(), number)
}

/// The form of a value, which the database compares with that of its limit key.
pub(super) const fn form(value: Value) -> &'static str {
    match value {
        Value::Max(_) => "max",
        Value::Days(_) => "days",
        Value::Min(_) => "min",
        Value::Enabled(_) => "enabled",
    }
}

/// A value from its two columns.
pub(super) fn value(form: &str, number: Option<i64>) -> Result<Value, StoreError> {
    let quantity = number.map(|number| Quantity::saturating(unsigned(number)));
    let bound = quantity.map_or(Bound::Unlimited, Bound::Limited);
    match (form, quantity) {
        ("max", _) => Ok(Value::Max(bound)),
        ("days", _) => Ok(Value::Days(bound)),
        ("min", Some(min)) => Ok(Value::Min(min)),
        ("enabled", Some(enabled)) => Ok(Value::Enabled(enabled > Quantity::ZERO)),
        _ => Err(StoreError::Internal("A stored value has an unknown form".to_owned())),
    }
}
