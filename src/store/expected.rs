//! What a caller believes the present state to be: `If-Match` and `If-None-Match`, by revisions.

use super::error::StoreError;

/// What must hold for a change to be done. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The record exists, at one of these revisions.
    pub if_match: Option<IfMatch>,
    /// The record does not exist: `If-None-Match: *`.
    pub absent: bool,
}

/// Which revisions match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Every one: `If-Match: *`.
    Any,
    /// These.
    Revisions(Vec<u64>),
}

impl Expected {
    /// Refuses when it does not hold for the record's present revision; nothing means that there is no record.
    pub fn check(&self, current: Option<u64>) -> Result<(), StoreError> {
        let matches = match (&self.if_match, current) {
            (None, _) | (Some(IfMatch::Any), Some(_)) => true,
            (Some(IfMatch::Revisions(revisions)), Some(current)) => revisions.contains(&current),
            (Some(_), None) => false,
        };
        if matches && !(self.absent && current.is_some()) { Ok(()) } else { Err(StoreError::PreconditionFailed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_holds_or_the_change_is_refused() {
        let of = |if_match, absent| Expected { if_match, absent };
        let cases = [
            (of(None, false), true, true),
            (of(None, true), false, true),
            (of(Some(IfMatch::Any), false), true, false),
            (of(Some(IfMatch::Revisions(vec![3, 7])), false), true, false),
            (of(Some(IfMatch::Revisions(vec![3])), false), false, false),
        ];
        for (expected, holds_at_7, holds_without) in cases {
            assert_eq!(expected.check(Some(7)).is_ok(), holds_at_7, "{expected:?}");
            assert_eq!(expected.check(None).is_ok(), holds_without, "{expected:?}");
        }
    }
}
