//! Questions: what a caller asks about one limit key, with just the fields that its kind takes.

use super::bound::Quantity;
use super::issue::Issue;
use super::limit_key::{Kind, LimitKey, Per};
use super::names::{RecordId, ResourceId};
use super::time::Moment;

/// A question as it was written, before the limit key's kind says which fields belong.
#[derive(Clone, Debug, Default)]
pub struct WrittenQuestion {
    /// `amount`
    pub amount: Option<Quantity>,
    /// `current`
    pub current: Option<Quantity>,
    /// `resource`
    pub resource: Option<ResourceId>,
    /// `from`
    pub from: Option<Moment>,
    /// `to`
    pub to: Option<Moment>,
    /// `requested`
    pub requested: Option<Quantity>,
    /// `keyId`
    pub key_id: Option<RecordId>,
}

/// A question that fits its limit key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// count and quota: may `amount` more be added?
    Add {
        /// How many more; at least one.
        amount: Quantity,
        /// The caller's own count, which replaces Plimsoll's.
        current: Option<Quantity>,
        /// The resource, when the limit is counted per one.
        resource: Option<ResourceId>,
    },
    /// rate: may this happen now?
    Happen {
        /// The API key whose window it is.
        key_id: RecordId,
    },
    /// retention: may this range be read?
    Read {
        /// Where it starts.
        from: Moment,
        /// Where it ends; today when not given.
        to: Option<Moment>,
    },
    /// interval: what is `requested` clamped to?
    Clamp {
        /// The interval asked for, in the limit key's unit.
        requested: Quantity,
    },
    /// feature: is it in the plan?
    Have,
}

/// Each field of a question: its name, whether it is given, whether the limit key takes it, whether it needs it.
type Field = (&'static str, bool, bool, bool);

impl WrittenQuestion {
    /// The question, or every field that is missing or not taken.
    pub fn about(self, limit_key: &LimitKey) -> Result<Question, Vec<Issue>> {
        let issues = self.misfits(limit_key);
        if !issues.is_empty() {
            return Err(issues);
        }
        let missing = |field: &str| vec![Issue::new(field, "is required")];
        Ok(match limit_key.kind() {
            Kind::Count | Kind::Quota => {
                Question::Add { amount: self.amount.unwrap_or(Quantity::ONE), current: self.current, resource: self.resource }
            }
            Kind::Rate => Question::Happen { key_id: self.key_id.ok_or_else(|| missing("keyId"))? },
            Kind::Retention => Question::Read { from: self.from.ok_or_else(|| missing("from"))?, to: self.to },
            Kind::Interval => Question::Clamp { requested: self.requested.ok_or_else(|| missing("requested"))? },
            Kind::Feature => Question::Have,
        })
    }

    fn fields(&self, limit_key: &LimitKey) -> [Field; 7] {
        let kind = limit_key.kind();
        let adds = matches!(kind, Kind::Count | Kind::Quota);
        let per_resource = limit_key.per != Per::Org;
        [
            ("amount", self.amount.is_some(), adds, false),
            ("current", self.current.is_some(), adds, false),
            ("resource", self.resource.is_some(), per_resource, per_resource),
            ("from", self.from.is_some(), kind == Kind::Retention, kind == Kind::Retention),
            ("to", self.to.is_some(), kind == Kind::Retention, false),
            ("requested", self.requested.is_some(), kind == Kind::Interval, kind == Kind::Interval),
            ("keyId", self.key_id.is_some(), kind == Kind::Rate, kind == Kind::Rate),
        ]
    }

    fn misfits(&self, limit_key: &LimitKey) -> Vec<Issue> {
        let mut issues = Vec::new();
        let (kind, per) = (limit_key.kind(), limit_key.per.as_str());
        for (field, is_given, is_taken, is_needed) in self.fields(limit_key) {
            let message = match (is_given, is_taken, is_needed) {
                (true, false, _) if field == "resource" => format!("is not taken: {} is counted per {per}", limit_key.name),
                (true, false, _) => format!("is not taken by a limit key of kind {kind}"),
                (false, _, true) if field == "resource" => format!("is required: {} is counted per {per}", limit_key.name),
                (false, _, true) => format!("is required by a limit key of kind {kind}"),
                (true, true, _) | (false, _, false) => continue,
            };
            issues.push(Issue::new(field, message));
        }
        let adds = matches!(kind, Kind::Count | Kind::Quota);
        if adds && self.amount == Some(Quantity::ZERO) {
            issues.push(Issue::new("amount", "must be a whole number from 1 to 9007199254740991"));
        }
        if let (Kind::Retention, Some(from), Some(to)) = (kind, self.from, self.to)
            && from.is_after(to)
        {
            issues.push(Issue::new("to", "must not be before from"));
        }
        issues
    }
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
