//! Changes of the secrets of API keys.

use entity::api_key_secret;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};

use super::super::queries::still_good_at;
use super::super::{ApiKeyInfo, Command, StoreError, Stored, WriteTx};
use super::api_keys::find_target;
use crate::domain::event::Happening;
use crate::domain::names::RecordId;

/// Every secret that is still good is one more that can leak; nobody rotates faster than this on purpose.
const MAX_GOOD_SECRETS: u64 = 10;

/// A new secret, of which only this is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret {
    /// Its SHA-256 hash.
    pub hash: [u8; 32],
    /// The part of it that a listing shows.
    pub shown: String,
}

/// Gives an API key a new secret. The older ones stay good for a while.
#[derive(Clone, Debug)]
pub struct RotateApiKey {
    /// Which.
    pub id: RecordId,
    /// For how long the older secrets stay good, in seconds.
    pub overlap_seconds: u64,
    /// The new secret.
    pub secret: NewSecret,
}

impl Command for RotateApiKey {
    type Output = Stored<ApiKeyInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = find_target(tx, &self.id).await?;
        check_good(&before.value, tx)?;
        check_unused(tx, &self.secret).await?;
        retire(tx, &self.id, self.overlap_seconds).await?;
        let rest = own(&self.id).filter(still_good_at(tx.now())).count(tx.db()).await?;
        if rest >= MAX_GOOD_SECRETS {
            let refusal = format!("The API key {} has {rest} secrets that are still good: wait for one to end", self.id);
            return Err(StoreError::Conflict(refusal));
        }
        let older = if self.overlap_seconds == 0 { Vec::new() } else { before.value.shown.clone() };
        let shown = [vec![self.secret.shown.clone()], older].concat();
        add_secret(tx, &self.id, self.secret).await?;
        let older_end_at = tx.now().plus_seconds(self.overlap_seconds);
        tx.tell(before.value.org.as_ref(), Happening::KeyRotated { api_key: self.id, older_end_at });
        let after = ApiKeyInfo { shown, ..before.value.clone() };
        tx.renew(&before, after, "rotate").await
    }
}

fn check_good(key: &ApiKeyInfo, tx: &WriteTx) -> Result<(), StoreError> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= tx.now() => "expired",
        (None, _) => return Ok(()),
    };
    Err(StoreError::Conflict(format!("The API key {} is {state}: it cannot be rotated", key.id)))
}

fn own(id: &RecordId) -> sea_orm::Select<api_key_secret::Entity> {
    api_key_secret::Entity::find().filter(api_key_secret::Column::KeyId.eq(id.as_str()))
}

/// The older secrets end with the overlap, or when they would have anyway; those that have ended are deleted.
async fn retire(tx: &WriteTx, id: &RecordId, overlap_seconds: u64) -> Result<(), StoreError> {
    let end = tx.now().plus_seconds(overlap_seconds).get();
    let (key_id, expires_at) = (api_key_secret::Column::KeyId, api_key_secret::Column::ExpiresAt);
    let later = sea_orm::Condition::any().add(expires_at.is_null()).add(expires_at.gt(end));
    let retired = api_key_secret::Entity::update_many().col_expr(expires_at, Expr::value(end));
    retired.filter(key_id.eq(id.as_str())).filter(later).exec(tx.db()).await?;
    let ended = api_key_secret::Entity::delete_many().filter(key_id.eq(id.as_str()));
    ended.filter(expires_at.lte(tx.now().get())).exec(tx.db()).await?;
    Ok(())
}

/// A secret is given once: not to two API keys, nor to one again.
pub(super) async fn check_unused(tx: &WriteTx, secret: &NewSecret) -> Result<(), StoreError> {
    match api_key_secret::Entity::find_by_id(secret.hash.to_vec()).one(tx.db()).await? {
        Some(_) => Err(StoreError::Duplicate("The secret belongs to an API key already".to_owned())),
        None => Ok(()),
    }
}

/// Adds an unused secret to an API key.
pub(super) async fn add_secret(tx: &WriteTx, id: &RecordId, secret: NewSecret) -> Result<(), StoreError> {
    let hash = secret.hash.to_vec();
    let (key_id, shown, created_at) = (id.to_string(), secret.shown, tx.now().get());
    let row = api_key_secret::Model { hash, key_id, shown, expires_at: None, created_at };
    api_key_secret::Entity::insert(row.into_active_model()).exec_without_returning(tx.db()).await?;
    Ok(())
}
