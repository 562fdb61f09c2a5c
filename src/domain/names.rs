//! Names and ids: parsed once at the border, valid ever after.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::issue::Invalid;

/// The pattern of names of tiers, limit keys and scopes.
pub const NAME_PATTERN: &str = "^[a-z][a-z0-9_:.-]{0,63}$";
/// The pattern of ids of orgs, users, resources and API keys.
pub const ID_PATTERN: &str = "^[A-Za-z0-9._:@-]{1,128}$";

/// Names are at most this long, so that they fit in logs, headers and paths.
const NAME_MAX: usize = 64;
/// Ids are the callers' own; 128 characters hold a UUID, an e-mail address or a prefixed id.
const ID_MAX: usize = 128;

fn is_name(text: &str) -> bool {
    let rest_is_valid = |rest: &[u8]| rest.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':' | b'.' | b'-'));
    match text.as_bytes() {
        [b'a'..=b'z', rest @ ..] => rest.len() < NAME_MAX && rest_is_valid(rest),
        _ => false,
    }
}

fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=ID_MAX).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'@' | b'-'))
}

macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $valid:path, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Accepts the text if it is valid.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                if $valid(&text) {
                    Ok(Self(text.into_boxed_str()))
                } else {
                    Err(Invalid::new($expected))
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_type!(
    /// The name of a tier.
    TierName, is_name, "must match ^[a-z][a-z0-9_:.-]{0,63}$"
);
text_type!(
    /// The name of a limit key.
    LimitKeyName, is_name, "must match ^[a-z][a-z0-9_:.-]{0,63}$"
);
text_type!(
    /// The name of a scope.
    ScopeName, is_name, "must match ^[a-z][a-z0-9_:.-]{0,63}$"
);
text_type!(
    /// The name of the kind of resource that a limit is counted per (`project`).
    ResourceKind, is_name, "must match ^[a-z][a-z0-9_:.-]{0,63}$"
);
text_type!(
    /// A customer's id, chosen by the caller.
    OrgId, is_id, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"
);
text_type!(
    /// A user's id, chosen by the caller.
    UserId, is_id, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"
);
text_type!(
    /// The id of a thing inside an org, chosen by the caller.
    ResourceId, is_id, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"
);
text_type!(
    /// The id of one of Plimsoll's own records (`key_…`, `ovr_…`, `rem_…`).
    RecordId, is_id, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"
);

/// `res_`, 32 digits, `_` and an org's id.
const RESERVATION_MAX: usize = 37 + ID_MAX;

fn may_be_a_reservation(text: &str) -> bool {
    text.len() <= RESERVATION_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'@' | b'-'))
}

text_type!(
    /// What stands where the id of a reservation is expected; it may be the id of none.
    ReservationText, may_be_a_reservation, "must be at most 165 characters of A-Z a-z 0-9 . _ : @ -"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "free", "max_creators_per_org", "v1:read", "a.b-c", &"a".repeat(64)] {
            assert!(TierName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "1a", "_a", "a b", "é", "a/b", "a\0", &"a".repeat(65)] {
            assert!(TierName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_1_to_128_characters() {
        for good in ["a", "ACME-1", "user@example.com", "a:b.c_d", &"9".repeat(128)] {
            assert!(OrgId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "a\0b", "ü", &"9".repeat(129)] {
            assert!(OrgId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
