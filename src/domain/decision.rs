//! The one place where a limit is judged.

use super::ask::Question;
use super::bound::{Bound, Quantity};
use super::effective::Effective;
use super::limit_key::{LimitKey, Rule};
use super::refusal::Refusal;
use super::retention::{self, Range};
use super::time::{Day, Moment, UtcMillis};
use super::value::Value;

/// What an org has taken of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Used for good.
    pub used: Quantity,
    /// Held by reservations.
    pub held: Quantity,
}

impl Usage {
    /// What counts against the cap.
    pub const fn taken(self) -> Quantity {
        self.used.plus(self.held)
    }
}

/// What a sliding window holds at the moment of the question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowUse {
    /// How many happened in it.
    pub used: Quantity,
    /// When there is room for one more; when there is already, when the oldest of them leaves it.
    pub frees_at: Option<UtcMillis>,
}

/// What is known of the org's standing and usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the org is banned.
    pub org_banned: bool,
    /// For count and quota.
    pub usage: Usage,
    /// For rate.
    pub window: WindowUse,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The figures, in the shape of the limit key's kind.
    pub detail: Detail,
    /// Why not; nothing when it is allowed.
    pub refusal: Option<Refusal>,
}

impl Decision {
    /// What is answered once an allowed amount was taken: the figures after it. A refused one stays as it is.
    #[must_use]
    pub fn taken(self) -> Self {
        self.moved(Amounts::with_taken)
    }

    /// What is answered once an allowed amount is held: the figures after it. A refused one stays as it is.
    #[must_use]
    pub fn held(self) -> Self {
        self.moved(|amounts| Amounts { held: amounts.held.plus(amounts.requested), ..amounts.with_taken() })
    }

    fn moved(self, to: impl Fn(Amounts) -> Amounts) -> Self {
        if self.refusal.is_some() {
            return self;
        }
        let detail = match self.detail {
            Detail::Count(amounts) => Detail::Count(to(amounts)),
            Detail::Quota { amounts, window_start, resets_at } => {
                Detail::Quota { amounts: to(amounts), window_start, resets_at }
            }
            other @ (Detail::Rate { .. } | Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. }) => {
                other
            }
        };
        Self { detail, ..self }
    }
}

/// The figures of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// How many exist.
    Count(Amounts),
    /// How many in this calendar window.
    Quota {
        /// The figures.
        amounts: Amounts,
        /// The window's first moment.
        window_start: UtcMillis,
        /// The first moment of the next one.
        resets_at: UtcMillis,
    },
    /// How many in this sliding window.
    Rate {
        /// The most that fit in it.
        limit: Bound,
        /// How many more fit now; nothing when unlimited.
        remaining: Option<Quantity>,
        /// When the oldest leaves the window.
        resets_at: Option<UtcMillis>,
        /// Seconds until there is room, when there is none.
        retry_after: Option<u64>,
    },
    /// Which part of the history may be read.
    Retention {
        /// Days of history.
        retention: Bound,
        /// The first day that may be read.
        earliest: Option<Day>,
        /// The range asked for.
        range: Range,
        /// The part of it that may be read.
        permitted: Option<Range>,
    },
    /// What the interval asked for is clamped to.
    Interval {
        /// What was asked for.
        requested: Quantity,
        /// The smallest allowed.
        min: Quantity,
        /// What applies.
        effective: Quantity,
    },
    /// Whether the feature is in the plan.
    Feature {
        /// Whether it is.
        enabled: bool,
    },
}

impl Detail {
    /// The figures of a count or a quota; no other kind has them.
    pub const fn amounts(&self) -> Option<&Amounts> {
        match self {
            Self::Count(amounts) | Self::Quota { amounts, .. } => Some(amounts),
            Self::Rate { .. } | Self::Retention { .. } | Self::Interval { .. } | Self::Feature { .. } => None,
        }
    }
}

/// The figures of a count or a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// What is used plus what is held.
    pub current: Quantity,
    /// What is held.
    pub held: Quantity,
    /// The cap.
    pub max: Bound,
    /// What was asked for.
    pub requested: Quantity,
    /// What is left before the question, never below zero; nothing when unlimited.
    pub remaining: Option<Quantity>,
}

impl Amounts {
    fn with_taken(self) -> Self {
        let current = self.current.plus(self.requested);
        Self { current, remaining: self.max.remaining(current), ..self }
    }
}

/// The figures of a count or a quota as they stand, without a question: what giving back is answered with.
pub fn standing(limit_key: &LimitKey, effective: Effective, amount: Quantity, usage: Usage, now: UtcMillis) -> Decision {
    let (detail, _) = add(limit_key, max_of(effective.value), amount, usage, now);
    Decision { detail, refusal: None }
}

/// The figures of a sliding window that has counted a call, with it.
pub fn counted(effective: Effective, window: WindowUse) -> Decision {
    let limit = max_of(effective.value);
    let (remaining, resets_at) = (limit.remaining(window.used), window.frees_at);
    Decision { detail: Detail::Rate { limit, remaining, resets_at, retry_after: None }, refusal: None }
}

/// Judges one question. The refusal of a banned org stands above those of the limits.
pub fn decide(limit_key: &LimitKey, effective: Effective, question: &Question, facts: &Facts, now: UtcMillis) -> Decision {
    let (detail, refusal) = match question {
        Question::Add { amount, current, .. } => {
            let usage = current.map_or(facts.usage, |used| Usage { used, held: Quantity::ZERO });
            add(limit_key, max_of(effective.value), *amount, usage, now)
        }
        Question::Happen { .. } => happen(limit_key, max_of(effective.value), facts.window, now),
        Question::Read { from, to } => {
            let range = Range { from: *from, to: to.unwrap_or(Moment::Day(now.day().max(from.day()))) };
            read(limit_key, days_of(effective.value), range, now)
        }
        Question::Clamp { requested } => (clamp(min_of(effective.value), *requested), None),
        Question::Have => have(limit_key, enabled_of(effective.value)),
    };
    let refusal = if facts.org_banned { Some(Refusal::OrgBanned) } else { refusal };
    Decision { detail, refusal }
}

fn add(limit_key: &LimitKey, max: Bound, amount: Quantity, usage: Usage, now: UtcMillis) -> (Detail, Option<Refusal>) {
    let current = usage.taken();
    let amounts = Amounts { current, held: usage.held, max, requested: amount, remaining: max.remaining(current) };
    let refused_at = max.limit().filter(|_| !max.has_room(current, amount));
    match &limit_key.rule {
        Rule::Quota { window, label, .. } => {
            let span = window.span(now);
            let refusal = refused_at.map(|_| Refusal::QuotaExceeded {
                window: *window,
                label: label.clone(),
                retry_after: now.seconds_until(span.end),
            });
            (Detail::Quota { amounts, window_start: span.start, resets_at: span.end }, refusal)
        }
        Rule::Count | Rule::Rate { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => {
            let refusal = refused_at.map(|max| Refusal::LimitReached { limit_key: limit_key.name.clone(), current, max });
            (Detail::Count(amounts), refusal)
        }
    }
}

fn happen(limit_key: &LimitKey, limit: Bound, window: WindowUse, now: UtcMillis) -> (Detail, Option<Refusal>) {
    let (window_seconds, bucket) = match &limit_key.rule {
        Rule::Rate { window_seconds, bucket, .. } => (*window_seconds, bucket.as_str()),
        Rule::Count | Rule::Quota { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => (1, ""),
    };
    let has_room = limit.has_room(window.used, Quantity::ONE);
    // A limit of zero has no event to wait for: the whole window is the honest answer.
    let frees_at = window.frees_at.unwrap_or_else(|| now.plus_seconds(window_seconds));
    let retry_after = (!has_room).then(|| now.seconds_until(frees_at).min(window_seconds));
    let refusal = retry_after.map(|retry_after| Refusal::RateExceeded { bucket: bucket.to_owned(), retry_after });
    let resets_at = window.frees_at.or_else(|| retry_after.map(|_| frees_at));
    (Detail::Rate { limit, remaining: limit.remaining(window.used), resets_at, retry_after }, refusal)
}

fn read(limit_key: &LimitKey, retention: Bound, range: Range, now: UtcMillis) -> (Detail, Option<Refusal>) {
    let reading = retention::read(retention, range, now);
    let refusal = match (retention.limit(), reading.earliest) {
        (Some(retention_days), Some(earliest)) if !reading.permits(range) => {
            Some(Refusal::RetentionExceeded { limit_key: limit_key.name.clone(), retention_days, earliest })
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    (Detail::Retention { retention, earliest: reading.earliest, range, permitted: reading.permitted }, refusal)
}

fn clamp(min: Quantity, requested: Quantity) -> Detail {
    Detail::Interval { requested, min, effective: requested.max(min) }
}

fn have(limit_key: &LimitKey, enabled: bool) -> (Detail, Option<Refusal>) {
    let refusal = (!enabled).then(|| Refusal::FeatureUnavailable { limit_key: limit_key.name.clone() });
    (Detail::Feature { enabled }, refusal)
}

// A value is checked against its limit key's kind wherever it enters; if one of another form got
// here all the same, it grants nothing.

/// The most that a value of a count, a quota or a rate allows.
pub const fn max_of(value: Value) -> Bound {
    match value {
        Value::Max(max) => max,
        Value::Days(_) | Value::Min(_) | Value::Enabled(_) => Bound::Limited(Quantity::ZERO),
    }
}

const fn days_of(value: Value) -> Bound {
    match value {
        Value::Days(days) => days,
        Value::Max(_) | Value::Min(_) | Value::Enabled(_) => Bound::Limited(Quantity::ZERO),
    }
}

const fn min_of(value: Value) -> Quantity {
    match value {
        Value::Min(min) => min,
        Value::Max(_) | Value::Days(_) | Value::Enabled(_) => Quantity::MAX,
    }
}

const fn enabled_of(value: Value) -> bool {
    match value {
        Value::Enabled(enabled) => enabled,
        Value::Max(_) | Value::Days(_) | Value::Min(_) => false,
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
