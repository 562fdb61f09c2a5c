//! JSON objects whose keys are names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::str::FromStr;

use deserr::{Deserr, ErrorKind, IntoValue, Map, MergeWithError, Value, ValueKind, ValuePointerRef, take_cf_content};

use super::Issues;
use crate::domain::issue::Invalid;

/// A map whose keys are parsed and whose every bad entry is named.
#[derive(Debug)]
pub struct Entries<K, T>(pub BTreeMap<K, T>);

impl<K, T> Default for Entries<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K, T> Deserr<Issues> for Entries<K, T>
where
    K: FromStr<Err = Invalid> + Ord,
    T: Deserr<Issues>,
{
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Issues> {
        let map = match value {
            Value::Map(map) => map,
            actual @ (Value::Null
            | Value::Boolean(_)
            | Value::Integer(_)
            | Value::NegativeInteger(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Sequence(_)) => {
                let error = ErrorKind::IncorrectValueKind { actual, accepted: &[ValueKind::Map] };
                return Err(take_cf_content(deserr::DeserializeError::error(None, error, location)));
            }
        };
        let mut entries = BTreeMap::new();
        let mut found: Option<Issues> = None;
        for (name, value) in map.into_iter() {
            let here = location.push_key(&name);
            let key = K::from_str(&name).map_err(|invalid| take_cf_content(Issues::merge(None, invalid, here)));
            let entry = key.and_then(|key| Ok((key, T::deserialize_from_value(value.into_value(), here)?)));
            match entry {
                Ok((key, value)) => {
                    entries.insert(key, value);
                }
                Err(issues) => match Issues::merge(found, issues, here) {
                    ControlFlow::Continue(issues) => found = Some(issues),
                    ControlFlow::Break(issues) => return Err(issues),
                },
            }
        }
        found.map_or(Ok(Self(entries)), Err)
    }
}
