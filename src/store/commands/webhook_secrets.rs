//! Changes of the secrets that messages to webhooks are signed with.

use entity::webhook_secret::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};

use super::super::webhooks::KeptSecret;
use super::super::{Command, StoreError, Stored, Webhook, WriteTx};
use crate::domain::names::RecordId;

/// Each secret is one more signature in every message; nobody rotates faster than this on purpose.
const MAX_SECRETS: u64 = 5;

/// Gives a webhook a new secret. The older ones sign as well for a while.
#[derive(Clone, Debug)]
pub struct RotateWebhookSecret {
    /// Which.
    pub id: RecordId,
    /// For how long the older secrets sign as well, in seconds.
    pub overlap_seconds: u64,
    /// The new secret.
    pub secret: KeptSecret,
}

impl Command for RotateWebhookSecret {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        retire(tx, &self.id, self.overlap_seconds).await?;
        let rest = Entity::find().filter(Column::Webhook.eq(self.id.as_str())).count(tx.db()).await?;
        if rest >= MAX_SECRETS {
            let refusal = format!("The webhook {} has {rest} secrets that still sign: wait for one to end", self.id);
            return Err(StoreError::Conflict(refusal));
        }
        add_secret(tx, &self.id, self.secret).await?;
        tx.renew(&before, before.value.clone(), "rotate").await
    }
}

/// The older secrets end with the overlap, or when they would have anyway; those that have ended are deleted.
async fn retire(tx: &WriteTx, webhook: &RecordId, overlap_seconds: u64) -> Result<(), StoreError> {
    let end = tx.now().plus_seconds(overlap_seconds).get();
    let own = Column::Webhook.eq(webhook.as_str());
    let later = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(end));
    let retired = Entity::update_many().col_expr(Column::ExpiresAt, Expr::value(end));
    retired.filter(own.clone()).filter(later).exec(tx.db()).await?;
    Entity::delete_many().filter(own).filter(Column::ExpiresAt.lte(tx.now().get())).exec(tx.db()).await?;
    Ok(())
}

/// Adds a secret to a webhook.
pub(super) async fn add_secret(tx: &WriteTx, webhook: &RecordId, secret: KeptSecret) -> Result<(), StoreError> {
    let KeptSecret { id, is_sealed, bytes } = secret;
    let row = Model {
        id: id.to_string(),
        webhook: webhook.to_string(),
        is_sealed: i64::from(is_sealed),
        secret: bytes,
        created_at: tx.now().get(),
        expires_at: None,
    };
    Entity::insert(row.into_active_model()).exec_without_returning(tx.db()).await?;
    Ok(())
}
