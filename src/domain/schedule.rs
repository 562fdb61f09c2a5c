//! What changes by itself at a set time: an org's tier, a tier's value.
//!
//! Nobody has to be there when it happens: what applies is computed from the clock whenever it is asked about.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::issue::Issue;
use super::limit_key::Kind;
use super::names::TierName;
use super::time::UtcMillis;
use super::value::{Value, WrittenValue};

/// Changes of one thing that are scheduled at most, so that what is kept of an org or a value stays small.
pub const MAX_STEPS: usize = 16;

/// From a moment on, something else applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<T> {
    /// The first moment that it applies at.
    pub starts_at: UtcMillis,
    /// What applies from then on.
    pub to: T,
}

/// What is to change, in the order of its moments, no two of them at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule<T>(Vec<Step<T>>);

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self::nothing()
    }
}

impl<T> Schedule<T> {
    /// Nothing changes by itself.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Of steps in order, or every one that is out of it.
    pub fn of(steps: Vec<Step<T>>) -> Result<Self, Vec<Issue>> {
        if steps.len() > MAX_STEPS {
            return Err(vec![Issue::new("", format!("must be at most {MAX_STEPS}"))]);
        }
        let moments = || steps.iter().map(|step| step.starts_at);
        let pairs = moments().zip(moments().skip(1)).enumerate();
        let disordered = pairs.filter(|(_, (earlier, later))| earlier >= later);
        let issue = |(position, _): (usize, _)| {
            let path = format!("[{}].startsAt", position.saturating_add(1));
            Issue::new(path, "must be after the startsAt before it")
        };
        let issues: Vec<Issue> = disordered.map(issue).collect();
        if issues.is_empty() { Ok(Self(steps)) } else { Err(issues) }
    }

    /// Whether nothing is scheduled.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it, in order, also what has begun.
    pub fn steps(&self) -> &[Step<T>] {
        &self.0
    }

    /// What applies at `now`, if `first` applied before everything that is scheduled.
    pub fn after<'a>(&'a self, first: &'a T, now: UtcMillis) -> &'a T {
        self.0.iter().rev().find(|step| step.starts_at <= now).map_or(first, |step| &step.to)
    }

    /// What has begun at `now`.
    pub fn begun(&self, now: UtcMillis) -> impl Iterator<Item = &Step<T>> {
        self.0.iter().filter(move |step| step.starts_at <= now)
    }

    /// What has not begun at `now`.
    pub fn to_come(&self, now: UtcMillis) -> impl Iterator<Item = &Step<T>> {
        self.0.iter().filter(move |step| step.starts_at > now)
    }

    /// The same with something else in the place of what it changes to.
    pub fn map<U>(self, to: impl Fn(T) -> U) -> Schedule<U> {
        Schedule(self.0.into_iter().map(|step| Step { starts_at: step.starts_at, to: to(step.to) }).collect())
    }
}

impl<T: Clone + PartialEq> Schedule<T> {
    /// The same without what has begun.
    #[must_use]
    pub fn only_to_come(&self, now: UtcMillis) -> Self {
        Self(self.to_come(now).cloned().collect())
    }

    /// Every step that lies in the past and was not there before: what has happened is not scheduled.
    pub fn belated(&self, before: &Self, now: UtcMillis) -> Vec<Issue> {
        let numbered = self.0.iter().enumerate();
        let belated = numbered.filter(|(_, step)| step.starts_at <= now && !before.0.contains(step));
        belated.map(|(position, _)| Issue::new(format!("[{position}].startsAt"), "must be in the future")).collect()
    }
}

impl Schedule<Value> {
    /// Of steps as they were written, each with a value that this kind takes.
    pub fn written(steps: &[Step<WrittenValue>], kind: Kind) -> Result<Self, Vec<Issue>> {
        let (mut read, mut issues) = (Vec::with_capacity(steps.len()), Vec::new());
        for (position, step) in steps.iter().enumerate() {
            match step.to.for_kind_at(kind, &format!("[{position}].value")) {
                Ok(to) => read.push(Step { starts_at: step.starts_at, to }),
                Err(issue) => issues.push(issue),
            }
        }
        if issues.is_empty() { Self::of(read) } else { Err(issues) }
    }
}

/// What the written form of a step calls what it changes to.
pub trait Written: Serialize {
    /// The field.
    const FIELD: &'static str;
}

impl Written for TierName {
    const FIELD: &'static str = "tier";
}

impl Written for Value {
    const FIELD: &'static str = "value";
}

impl<T: Written> Serialize for Step<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("startsAt", &self.starts_at)?;
        map.serialize_entry(T::FIELD, &self.to)?;
        map.end()
    }
}

impl<T: Written> Serialize for Schedule<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What a tier says about a limit key: a value, and what it changes to by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What applies before everything that is scheduled.
    pub value: Value,
    /// What it changes to.
    pub scheduled: Schedule<Value>,
}

impl From<Value> for Limit {
    fn from(value: Value) -> Self {
        Self { value, scheduled: Schedule::default() }
    }
}

impl Limit {
    /// The value that applies at `now`.
    pub fn at(&self, now: UtcMillis) -> Value {
        *self.scheduled.after(&self.value, now)
    }

    /// The same with another value from `now` on. What is to come stays.
    #[must_use]
    pub fn replaced(&self, value: Value, now: UtcMillis) -> Self {
        Self { value, scheduled: self.scheduled.only_to_come(now) }
    }

    /// Every value that it has at some time, with where it stands in the written form.
    pub fn values(&self) -> impl Iterator<Item = (String, Value)> {
        let numbered = self.scheduled.steps().iter().enumerate();
        let scheduled = numbered.map(|(position, step)| (format!(".scheduled[{position}].value"), step.to));
        std::iter::once((String::new(), self.value)).chain(scheduled)
    }
}

/// The value's own form, and beside it what is scheduled, if anything is.
impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.value.write_into(&mut map)?;
        if !self.scheduled.is_empty() {
            map.serialize_entry("scheduled", &self.scheduled)?;
        }
        map.end()
    }
}

/// A tier's value as it was written, before the limit key's kind says which form is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenLimit {
    /// What applies before everything that is scheduled.
    pub value: WrittenValue,
    /// What it changes to.
    pub scheduled: Vec<Step<WrittenValue>>,
}

impl WrittenLimit {
    /// The value for a limit key of this kind, or everything that is wrong with it, placed at `path`.
    pub fn for_kind_at(&self, kind: Kind, path: &str) -> Result<Limit, Vec<Issue>> {
        let value = self.value.for_kind_at(kind, path);
        let place = format!("{path}.scheduled");
        let scheduled = Schedule::written(&self.scheduled, kind).map_err(|issues| under(issues, &place));
        match (value, scheduled) {
            (Ok(value), Ok(scheduled)) => Ok(Limit { value, scheduled }),
            (value, scheduled) => Err(value.err().into_iter().chain(scheduled.err().into_iter().flatten()).collect()),
        }
    }
}

/// The findings, inside of what is at `place`.
pub fn under(issues: Vec<Issue>, place: &str) -> Vec<Issue> {
    issues.into_iter().map(|issue| issue.under(place)).collect()
}

/// What an org's tier says about a limit key, and what that changes to by itself: because the org's tier does, or the tier's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What it says at the moment of the question; nothing when it is silent.
    pub value: Option<Value>,
    /// Everything that is scheduled, in order, also what has begun. Usually nothing.
    pub turns: Vec<Turn>,
}

/// From a moment on, an org's tier is this one, and says this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The first moment.
    pub starts_at: UtcMillis,
    /// The tier.
    pub tier: TierName,
    /// What it says; nothing when it is silent.
    pub value: Option<Value>,
}

impl Said {
    /// What is said at `now`, which is the moment of the question or later.
    pub fn at(&self, now: UtcMillis) -> Option<Value> {
        self.turns.iter().rev().find(|turn| turn.starts_at <= now).map_or(self.value, |turn| turn.value)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
