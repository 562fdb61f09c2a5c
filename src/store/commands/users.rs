//! Changes of users: being banned is all that is known of them.

use super::super::{Ban, Command, StoreError, Stored, User, WriteTx};
use crate::domain::event::Happening;
use crate::domain::names::UserId;
use crate::domain::time::UtcMillis;

/// Bans a user: API keys of the user's are refused. Banned again, the user has the new reason since the first ban.
#[derive(Clone, Debug)]
pub struct BanUser {
    /// Which.
    pub id: UserId,
    /// Why.
    pub reason: Option<String>,
}

impl Command for BanUser {
    type Output = Stored<User>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.find::<User>(self.id.as_str()).await?;
        tx.context().expected.check(Some(revision(before.as_ref())))?;
        let ban = before.as_ref().and_then(|before| before.value.ban.as_ref());
        let at = ban.map_or(tx.now(), |ban| ban.at);
        if ban.is_none() {
            tx.tell(None, Happening::UserBanned { user: self.id.clone(), reason: self.reason.clone() });
        }
        let after = User { id: self.id, ban: Some(Ban { at, reason: self.reason }) };
        match before {
            Some(before) => tx.replace(before, after, "ban").await,
            None => tx.create_by(after, "ban").await,
        }
    }
}

/// Lifts a user's ban, if there is one.
#[derive(Clone, Debug)]
pub struct UnbanUser {
    /// Which.
    pub id: UserId,
}

impl Command for UnbanUser {
    type Output = Stored<User>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.find::<User>(self.id.as_str()).await?;
        tx.context().expected.check(Some(revision(before.as_ref())))?;
        if before.as_ref().is_some_and(|before| before.value.ban.is_some()) {
            tx.tell(None, Happening::UserUnbanned { user: self.id.clone() });
        }
        let after = User { id: self.id, ban: None };
        match before {
            Some(before) => tx.replace(before, after, "unban").await,
            None => {
                let never = UtcMillis::new(0);
                Ok(Stored { value: after, revision: 0, created_at: never, updated_at: never })
            }
        }
    }
}

/// Every user can be asked about: one who never was banned is at revision 0.
fn revision(before: Option<&Stored<User>>) -> u64 {
    before.map_or(0, |before| before.revision)
}
