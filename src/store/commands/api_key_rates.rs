//! The rates that API keys have of their own.

use std::collections::BTreeMap;

use entity::api_key_rate;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::super::rows::value_columns;
use super::super::{ApiKeyInfo, StoreError, WriteTx};
use crate::domain::api_key::OwnRates;
use crate::domain::issue::Issue;
use crate::domain::limit_key::{Kind, LimitKey};
use crate::domain::names::LimitKeyName;
use crate::domain::value::{Value, WrittenValue};

/// Rates as they were written; whether there are such limit keys is not known yet.
pub type WrittenRates = BTreeMap<LimitKeyName, WrittenValue>;

/// The rates that were written, and what is wrong with them. Those in `before` may stay although their limit key is archived.
pub(super) async fn checked(
    tx: &WriteTx,
    written: &WrittenRates,
    before: &OwnRates,
) -> Result<(OwnRates, Vec<Issue>), StoreError> {
    let (mut rates, mut issues) = (OwnRates::new(), Vec::new());
    for (name, written) in written {
        let found = tx.find::<LimitKey>(name.as_str()).await?;
        match rate(found.map(|found| found.value).as_ref(), *written, before.get(name)) {
            Ok(value) => {
                rates.insert(name.clone(), value);
            }
            Err(message) => issues.push(Issue::new(format!("rateLimits.{name}"), message)),
        }
    }
    Ok((rates, issues))
}

fn rate(limit_key: Option<&LimitKey>, written: WrittenValue, before: Option<&Value>) -> Result<Value, String> {
    let limit_key = limit_key.ok_or("there is no such limit key")?;
    if limit_key.kind() != Kind::Rate {
        return Err(format!("must name a limit key of kind rate, not {}", limit_key.kind()));
    }
    let value = written.for_kind(Kind::Rate).map_err(|invalid| invalid.0)?;
    if limit_key.archived.is_some() && before != Some(&value) {
        return Err("the limit key is archived".to_owned());
    }
    Ok(value)
}

/// Writes the rates of an API key that has none yet.
pub(super) async fn insert(tx: &WriteTx, key: &ApiKeyInfo) -> Result<(), StoreError> {
    let row = |(name, value): (&LimitKeyName, &Value)| {
        let (key_id, limit_key, kind) = (key.id.to_string(), name.to_string(), Kind::Rate.to_string());
        api_key_rate::Model { key_id, limit_key, kind, max: value_columns(*value).1 }.into_active_model()
    };
    if !key.rates.is_empty() {
        let rows = api_key_rate::Entity::insert_many(key.rates.iter().map(row));
        rows.exec_without_returning(tx.db()).await?;
    }
    Ok(())
}

/// Writes the rates of an API key in the place of those that it had.
pub(super) async fn replace(tx: &WriteTx, key: &ApiKeyInfo) -> Result<(), StoreError> {
    let own = api_key_rate::Column::KeyId.eq(key.id.as_str());
    api_key_rate::Entity::delete_many().filter(own).exec(tx.db()).await?;
    insert(tx, key).await
}
