//! What applies to an org: the active `set` override, else the tier's value, else the default,
//! plus every active `add` override.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::issue::Invalid;
use super::names::{LimitKeyName, RecordId};
use super::time::UtcMillis;
use super::value::Value;

/// What an override does to the value of the tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Replaces it.
    Set,
    /// Adds to it.
    Add,
}

impl Mode {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Add => "add",
        }
    }
}

impl FromStr for Mode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "set" => Ok(Self::Set),
            "add" => Ok(Self::Add),
            _ => Err(Invalid::new("must be set or add")),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A value for one org beside its tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its id; ids are ordered by creation.
    pub id: RecordId,
    /// The limit key that it is for.
    pub limit_key: LimitKeyName,
    /// Whether it replaces or adds.
    pub mode: Mode,
    /// By what.
    pub value: Value,
    /// The first moment that it applies at.
    pub starts_at: UtcMillis,
    /// The first moment that it no longer applies at.
    pub expires_at: Option<UtcMillis>,
}

impl Override {
    /// Whether it applies at `now`.
    pub fn is_active(&self, now: UtcMillis) -> bool {
        self.starts_at <= now && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// At least one active override shaped it.
    Override,
    /// The org's tier.
    Tier,
    /// The limit key's default.
    Default,
}

impl Source {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Tier => "tier",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The value that applies, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub source: Source,
}

/// The value that applies at `now`. `overrides` are those of the org for this limit key.
/// Of several active `set` overrides the one that started last wins, and of those the newest.
pub fn effective<'a>(
    default: Value,
    tier: Option<Value>,
    overrides: impl Iterator<Item = &'a Override>,
    now: UtcMillis,
) -> Effective {
    let mut set: Option<&Override> = None;
    let mut added: Option<Value> = None;
    for candidate in overrides.filter(|candidate| candidate.is_active(now)) {
        match candidate.mode {
            Mode::Set => set = set.max_by_start(candidate),
            Mode::Add => added = Some(added.map_or(candidate.value, |sum| sum.plus(candidate.value))),
        }
    }
    let base = match (set, tier) {
        (Some(set), _) => Effective { value: set.value, source: Source::Override },
        (None, Some(value)) => Effective { value, source: Source::Tier },
        (None, None) => Effective { value: default, source: Source::Default },
    };
    match added {
        Some(added) => Effective { value: base.value.plus(added), source: Source::Override },
        None => base,
    }
}

/// Those of an org's overrides for one limit key that shape its value at `now`: the `set` override that wins, and every `add`.
pub fn shaping<'a>(overrides: impl Iterator<Item = &'a Override>, now: UtcMillis) -> Vec<&'a Override> {
    let (mut set, mut shaping): (Option<&Override>, Vec<&Override>) = (None, Vec::new());
    for candidate in overrides.filter(|candidate| candidate.is_active(now)) {
        match candidate.mode {
            Mode::Set => set = set.max_by_start(candidate),
            Mode::Add => shaping.push(candidate),
        }
    }
    set.into_iter().chain(shaping).collect()
}

trait LaterStart<'a> {
    fn max_by_start(self, candidate: &'a Override) -> Option<&'a Override>;
}

impl<'a> LaterStart<'a> for Option<&'a Override> {
    fn max_by_start(self, candidate: &'a Override) -> Option<&'a Override> {
        let order = |o: &'a Override| (o.starts_at, &o.id);
        match self {
            Some(best) if order(best) >= order(candidate) => Some(best),
            Some(_) | None => Some(candidate),
        }
    }
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
