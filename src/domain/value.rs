//! The value of a limit key: what a tier, an override or a default says.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::bound::{Bound, Quantity};
use super::issue::{Invalid, Issue};
use super::limit_key::Kind;

/// A value, in the form that its kind of limit key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `{"max": 5}`: count, quota and rate.
    Max(Bound),
    /// `{"days": 30}`: retention.
    Days(Bound),
    /// `{"min": 6}`: interval.
    Min(Quantity),
    /// `{"enabled": true}`: feature.
    Enabled(bool),
}

/// A value as it was written, before the limit key's kind says which form is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenValue {
    /// `max`
    pub max: Option<Quantity>,
    /// `days`
    pub days: Option<Quantity>,
    /// `min`
    pub min: Option<Quantity>,
    /// `enabled`
    pub enabled: Option<bool>,
    /// `unlimited`
    pub unlimited: Option<bool>,
}

impl WrittenValue {
    /// The value for a limit key of this kind, or a finding that names the form it takes.
    pub fn for_kind(self, kind: Kind) -> Result<Value, Invalid> {
        let expected = || Invalid::new(format!("must be {} for a limit key of kind {kind}", kind.value_form()));
        let named = [self.max.is_some(), self.days.is_some(), self.min.is_some(), self.enabled.is_some()];
        let named = named.into_iter().filter(|is_named| *is_named).count();
        let bound = |number: Option<Quantity>| match (number, self.unlimited, named) {
            (Some(number), None, 1) => Some(Bound::Limited(number)),
            (None, Some(true), 0) => Some(Bound::Unlimited),
            _ => None,
        };
        let alone = self.unlimited.is_none() && named == 1;
        let value = match kind {
            Kind::Count | Kind::Quota | Kind::Rate => bound(self.max).map(Value::Max),
            Kind::Retention => bound(self.days).map(Value::Days),
            Kind::Interval => self.min.filter(|_| alone).map(Value::Min),
            Kind::Feature => self.enabled.filter(|_| alone).map(Value::Enabled),
        };
        value.ok_or_else(expected)
    }

    /// The same, placed at `path`.
    pub fn for_kind_at(self, kind: Kind, path: &str) -> Result<Value, Issue> {
        self.for_kind(kind).map_err(|invalid| invalid.at(path))
    }
}

impl Value {
    /// Both together, as `add` overrides do: numbers add up, a feature that either enables is on.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Max(a), Self::Max(b)) => Self::Max(a.plus(b)),
            (Self::Days(a), Self::Days(b)) => Self::Days(a.plus(b)),
            (Self::Min(a), Self::Min(b)) => Self::Min(a.plus(b)),
            (Self::Enabled(a), Self::Enabled(b)) => Self::Enabled(a || b),
            // Values of two kinds never meet: every value is checked against its limit key's kind.
            (Self::Max(_) | Self::Days(_) | Self::Min(_) | Self::Enabled(_), _) => self,
        }
    }

    /// Writes the one entry that it has in an object.
    pub(super) fn write_into<M: SerializeMap>(self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Max(Bound::Limited(max)) => map.serialize_entry("max", &max),
            Self::Days(Bound::Limited(days)) => map.serialize_entry("days", &days),
            Self::Max(Bound::Unlimited) | Self::Days(Bound::Unlimited) => map.serialize_entry("unlimited", &true),
            Self::Min(min) => map.serialize_entry("min", &min),
            Self::Enabled(enabled) => map.serialize_entry("enabled", &enabled),
        }
    }

    /// Whether the value is in the form that this kind takes.
    pub const fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Max(_) => matches!(kind, Kind::Count | Kind::Quota | Kind::Rate),
            Self::Days(_) => matches!(kind, Kind::Retention),
            Self::Min(_) => matches!(kind, Kind::Interval),
            Self::Enabled(_) => matches!(kind, Kind::Feature),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        self.write_into(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(number: u64) -> Option<Quantity> {
        Quantity::new(number).ok()
    }

    #[test]
    fn each_kind_takes_its_own_form_only() {
        let max = WrittenValue { max: quantity(5), ..WrittenValue::default() };
        let both = WrittenValue { unlimited: Some(true), ..max };
        let never = WrittenValue { unlimited: Some(false), ..WrittenValue::default() };
        for kind in [Kind::Count, Kind::Quota, Kind::Rate] {
            assert!(max.for_kind(kind).is_ok());
            assert!(both.for_kind(kind).is_err());
            assert!(never.for_kind(kind).is_err());
        }
        for kind in [Kind::Retention, Kind::Interval, Kind::Feature] {
            assert!(max.for_kind(kind).is_err());
        }
        let unlimited = WrittenValue { unlimited: Some(true), ..WrittenValue::default() };
        assert_eq!(unlimited.for_kind(Kind::Retention), Ok(Value::Days(Bound::Unlimited)));
        assert!(unlimited.for_kind(Kind::Interval).is_err());
        assert!(unlimited.for_kind(Kind::Feature).is_err());
    }
}
