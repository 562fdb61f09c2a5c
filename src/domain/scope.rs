//! Scopes, and whose data a caller may touch.

use std::fmt;

use serde::{Serialize, Serializer};

use super::names::{OrgId, ScopeName};
use super::refusal::Refusal;

/// The scopes that always exist, in the order that they are listed in.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("read", "Ask questions: check, entitlements, usage"),
    ("write", "Change usage: consume, release, reserve, authorize"),
    ("admin", "Administer tiers, limit keys, orgs and API keys"),
];

/// Whether a scope of this name is built in, and so fixed.
pub fn is_built_in(name: &str) -> bool {
    rank(name) < BUILT_IN.len()
}

fn rank(name: &str) -> usize {
    BUILT_IN.iter().position(|(built_in, _)| *built_in == name).unwrap_or(BUILT_IN.len())
}

/// A set of scopes: the built-in ones first, then the product's own by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<ScopeName>);

impl Scopes {
    /// Those of `read`, `write` and `admin` that are named.
    pub fn built_in(names: &[&str]) -> Self {
        names.iter().filter_map(|name| ScopeName::parse(*name).ok()).collect()
    }

    /// Whether the set holds this scope.
    pub fn grants(&self, name: &str) -> bool {
        self.0.iter().any(|scope| scope.as_str() == name)
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ScopeName> {
        self.0.iter()
    }

    /// Refuses when the scope is not in the set.
    pub fn require(&self, required: &'static str) -> Result<(), Refusal> {
        if self.grants(required) {
            return Ok(());
        }
        let Ok(required) = ScopeName::parse(required) else { return Ok(()) };
        self.require_own(&required)
    }

    /// The same for any scope, such as the product's own.
    pub fn require_own(&self, required: &ScopeName) -> Result<(), Refusal> {
        if self.grants(required.as_str()) {
            return Ok(());
        }
        Err(Refusal::InsufficientScope { required: required.clone(), granted: self.clone() })
    }
}

impl FromIterator<ScopeName> for Scopes {
    fn from_iter<I: IntoIterator<Item = ScopeName>>(names: I) -> Self {
        let mut scopes: Vec<ScopeName> = names.into_iter().collect();
        scopes.sort_by(|a, b| (rank(a.as_str()), a).cmp(&(rank(b.as_str()), b)));
        scopes.dedup();
        Self(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (position, scope) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{scope}")?;
        }
        f.write_str("]")
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Whose data a caller may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every org's.
    Platform,
    /// One org's only.
    Org(OrgId),
}

impl Reach {
    /// Of an optional org: none means the platform.
    pub fn of(org: Option<OrgId>) -> Self {
        org.map_or(Self::Platform, Self::Org)
    }

    /// Whether this org is within reach.
    pub fn covers(&self, org: &OrgId) -> bool {
        match self {
            Self::Platform => true,
            Self::Org(own) => own == org,
        }
    }
}
