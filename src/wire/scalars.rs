//! How the domain's scalars are read from JSON: by deserr, which names every issue, and by serde, which is quicker.

use std::str::FromStr;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, Value, ValueKind, ValuePointerRef, take_cf_content};

use serde::de::{Deserialize, Deserializer, Error as _};

use crate::domain::bound::Quantity;
use crate::domain::effective::Mode;
use crate::domain::event::EventKind;
use crate::domain::issue::Invalid;
use crate::domain::limit_key::{Kind, Per};
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId, ResourceKind, ScopeName, TierName, UserId};
use crate::domain::time::{Moment, UtcMillis};
use crate::domain::webhook::DeliveryState;
use crate::domain::window::Window;

fn unexpected<T, E: DeserializeError>(message: String, location: ValuePointerRef<'_>) -> Result<T, E> {
    let error = ErrorKind::Unexpected { msg: message };
    Err(take_cf_content(E::error::<std::convert::Infallible>(None, error, location)))
}

fn wrong_kind<T, V: IntoValue, E: DeserializeError>(
    actual: Value<V>,
    accepted: &[ValueKind],
    location: ValuePointerRef<'_>,
) -> Result<T, E> {
    Err(take_cf_content(E::error(None, ErrorKind::IncorrectValueKind { actual, accepted }, location)))
}

impl<E: DeserializeError> Deserr<E> for Quantity {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, E> {
        match value {
            Value::Integer(number) => Self::new(number).or_else(|invalid| unexpected(invalid.0, location)),
            // JSON has one kind of number: 5.0 is as whole as 5.
            Value::Float(number) if number.fract() == 0.0 && number >= 0.0 => {
                let digits = number.abs().to_string().parse().unwrap_or(u64::MAX);
                Self::new(digits).or_else(|invalid| unexpected(invalid.0, location))
            }
            Value::NegativeInteger(_) | Value::Float(_) => {
                unexpected("must be a whole number from 0 to 9007199254740991".to_owned(), location)
            }
            Value::Null | Value::Boolean(_) | Value::String(_) | Value::Sequence(_) | Value::Map(_) => {
                wrong_kind(value, &[ValueKind::Integer], location)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

macro_rules! read_from_text {
    ($($scalar:ty => $parse:expr),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $scalar {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(String::deserialize(deserializer)?).map_err(|invalid: Invalid| D::Error::custom(invalid.0))
            }
        }


        impl<E: DeserializeError> Deserr<E> for $scalar {
            fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, E> {
                match value {
                    Value::String(text) => $parse(text).or_else(|invalid| unexpected(invalid.0, location)),
                    Value::Null
                    | Value::Boolean(_)
                    | Value::Integer(_)
                    | Value::NegativeInteger(_)
                    | Value::Float(_)
                    | Value::Sequence(_)
                    | Value::Map(_) => wrong_kind(value, &[ValueKind::String], location),
                }
            }
        }
    )*};
}

read_from_text! {
    TierName => Self::parse,
    LimitKeyName => Self::parse,
    ScopeName => Self::parse,
    ResourceKind => Self::parse,
    OrgId => Self::parse,
    UserId => Self::parse,
    ResourceId => Self::parse,
    RecordId => Self::parse,
    Moment => |text: String| Self::parse(&text),
    UtcMillis => |text: String| Self::parse(&text),
    Kind => |text: String| Self::from_str(&text),
    Per => |text: String| Self::from_str(&text),
    Window => |text: String| Self::from_str(&text),
    Mode => |text: String| Self::from_str(&text),
    EventKind => |text: String| Self::from_str(&text),
    DeliveryState => |text: String| Self::from_str(&text),
}
