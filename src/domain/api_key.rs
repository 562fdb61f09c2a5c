//! API keys: the form of the secret, and when a key is good.

use std::collections::BTreeMap;

use super::effective::{Effective, Source};
use super::issue::Invalid;
use super::names::{LimitKeyName, OrgId, RecordId, UserId};
use super::refusal::{Presented, Refusal};
use super::scope::{Reach, Scopes};
use super::time::UtcMillis;
use super::value::Value;

/// The prefix of the secrets that Plimsoll makes.
pub const SECRET_PREFIX: &str = "plm";
/// Hexadecimal digits of a secret: 256 bits.
const SECRET_DIGITS: usize = 64;
/// Digits of the secret that a listing shows.
const SHOWN_DIGITS: usize = 8;
/// The longest prefix before the underscore.
const PREFIX_MAX: usize = 16;

/// Checks that the text has the form `<prefix>_<64 lowercase hex>` and returns the part that a listing shows.
pub fn shown_part(secret: &str) -> Result<&str, Invalid> {
    let invalid = || Invalid::new("must be <prefix>_<64 lowercase hexadecimal digits>");
    let (prefix, digits) =
        secret.len().checked_sub(SECRET_DIGITS).and_then(|at| secret.split_at_checked(at)).ok_or_else(invalid)?;
    let prefix = prefix.strip_suffix('_').ok_or_else(invalid)?;
    let is_prefix = match prefix.as_bytes() {
        [b'a'..=b'z', rest @ ..] => {
            rest.len() < PREFIX_MAX && rest.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        }
        _ => false,
    };
    // Every digit is looked at, so that many can be at once.
    let is_hex = digits.bytes().fold(true, |so_far, b| so_far & matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let shown = prefix.len().saturating_add(1).saturating_add(SHOWN_DIGITS);
    secret.get(..shown).filter(|_| is_prefix && is_hex).ok_or_else(invalid)
}

/// The rates that an API key has of its own: values of limit keys of kind rate, each in the place of its org's.
pub type OwnRates = BTreeMap<LimitKeyName, Value>;

/// What is known of an API key when it is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: RecordId,
    /// The org that it belongs to; a platform key has none.
    pub org: Option<OrgId>,
    /// The user that it belongs to.
    pub user: Option<UserId>,
    /// What it may do.
    pub scopes: Scopes,
    /// The first moment that it is no longer good at: its own, or the end of a rotation's overlap.
    pub expires_at: Option<UtcMillis>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether its org is banned.
    pub org_banned: bool,
    /// Whether its user is banned.
    pub user_banned: bool,
    /// The rates that are its own.
    pub rates: OwnRates,
}

impl ApiKey {
    /// Refuses a key that is no longer good, or whose org or user is banned; in the order of the ladder.
    pub fn admit(&self, now: UtcMillis) -> Result<(), Refusal> {
        let is_expired = self.expires_at.is_some_and(|end| end <= now);
        if self.revoked || is_expired {
            Err(Refusal::InvalidApiKey(Presented::Something))
        } else if self.org_banned {
            Err(Refusal::OrgBanned)
        } else if self.user_banned {
            Err(Refusal::UserBanned)
        } else {
            Ok(())
        }
    }

    /// What applies to this key, where `of_org` is what applies to its org: its own value, else the org's.
    ///
    /// Its own value replaces the org's whole, with all overrides.
    pub fn rate(&self, limit_key: &LimitKeyName, of_org: Effective) -> Effective {
        own_rate(&self.rates, limit_key).unwrap_or(of_org)
    }

    /// Whose data it may touch.
    pub fn reach(&self) -> Reach {
        Reach::of(self.org.clone())
    }
}

/// The value of these that stands in the place of the org's, if there is one.
pub fn own_rate(rates: &OwnRates, limit_key: &LimitKeyName) -> Option<Effective> {
    rates.get(limit_key).map(|value| Effective { value: *value, source: Source::Override })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bound::{Bound, Quantity};

    #[test]
    fn a_secret_is_a_prefix_and_64_lowercase_hex_digits() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(shown_part(&format!("plm_{digits}")), Ok("plm_01234567"));
        let bad = [
            digits.clone(),
            format!("_{digits}"),
            format!("PLM_{digits}"),
            format!("plm_{}", digits.to_uppercase()),
            format!("plm_{digits}0"),
            format!("plm-{digits}"),
            format!("plm_ü{}", &digits[2..]),
            String::new(),
        ];
        for secret in bad {
            assert!(shown_part(&secret).is_err(), "{secret}");
        }
    }

    fn max(limit: u64) -> Value {
        Value::Max(Bound::Limited(Quantity::saturating(limit)))
    }

    #[test]
    fn what_a_key_has_of_its_own_stands_in_the_place_of_its_orgs() {
        let name = |name: &str| LimitKeyName::parse(name).expect("a name");
        let rates = OwnRates::from([(name("minute"), max(600)), (name("hour"), Value::Max(Bound::Unlimited))]);
        let key = ApiKey {
            id: RecordId::parse("key_1").expect("an id"),
            org: None,
            user: None,
            scopes: Scopes::default(),
            expires_at: None,
            revoked: false,
            org_banned: false,
            user_banned: false,
            rates,
        };
        let own = |value| Effective { value, source: Source::Override };
        for source in [Source::Override, Source::Tier, Source::Default] {
            let of_org = Effective { value: max(60), source };
            assert_eq!(key.rate(&name("minute"), of_org), own(max(600)));
            assert_eq!(key.rate(&name("hour"), of_org), own(Value::Max(Bound::Unlimited)));
            assert_eq!(key.rate(&name("day"), of_org), of_org);
        }
    }
}
