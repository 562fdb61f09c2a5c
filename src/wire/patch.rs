//! A field of a `PATCH`: left out, cleared by null, or given.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::Issues;

/// Left out means that it stays.
#[derive(Debug, Default)]
pub enum Patch<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is no more.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T: Deserr<Issues>> Deserr<Issues> for Patch<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Issues> {
        Option::<T>::deserialize_from_value(value, location).map(|given| given.map_or(Self::Clear, Self::Set))
    }
}

impl<T> From<Patch<T>> for Option<Option<T>> {
    fn from(patch: Patch<T>) -> Self {
        match patch {
            Patch::Keep => None,
            Patch::Clear => Some(None),
            Patch::Set(value) => Some(Some(value)),
        }
    }
}
