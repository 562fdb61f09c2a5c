//! Endpoints: as they are listed, and as they are delivered to.

use std::collections::HashMap;

use entity::{webhook, webhook_secret};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use super::super::rows::{stored, text};
use super::super::{Listing, PageRequest, Store, StoreError, Stored, queries};
use super::{KeptSecret, Webhook};
use crate::domain::names::RecordId;
use crate::domain::time::UtcMillis;

/// An endpoint that is delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What is known of it.
    pub webhook: Webhook,
    /// The secrets that sign, newest first.
    pub secrets: Vec<KeptSecret>,
    /// The first moment that one of them no longer signs at.
    pub secrets_until: Option<UtcMillis>,
}

impl Store {
    /// The webhooks, oldest first.
    pub async fn webhooks(&self, page: &PageRequest) -> Result<Listing<Stored<Webhook>>, StoreError> {
        let (all, by) = (webhook::Entity::find(), webhook::Column::Id);
        queries::page(self.reader(), all, by, page, |row: &webhook::Model| &row.id).await
    }

    /// A webhook.
    pub async fn webhook(&self, id: &RecordId) -> Result<Stored<Webhook>, StoreError> {
        self.existing(id.as_str()).await
    }

    /// Those that are delivered to, with what signs for them at `now`.
    pub async fn endpoints(&self, now: UtcMillis) -> Result<Vec<Endpoint>, StoreError> {
        let enabled = webhook::Entity::find().filter(webhook::Column::DisabledAt.is_null());
        let rows = enabled.order_by_asc(webhook::Column::Id).all(self.lookout()).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut secrets_of: HashMap<String, Vec<webhook_secret::Model>> = HashMap::new();
        let newest_first = webhook_secret::Entity::find().filter(still_signs_at(now));
        for row in newest_first.order_by_desc(webhook_secret::Column::Id).all(self.lookout()).await? {
            secrets_of.entry(row.webhook.clone()).or_default().push(row);
        }
        rows.iter().map(|row| endpoint(row, &secrets_of.remove(&row.id).unwrap_or_default())).collect()
    }
}

/// Which secrets have not been rotated out.
pub(in super::super) fn still_signs_at(now: UtcMillis) -> Condition {
    let end = webhook_secret::Column::ExpiresAt;
    Condition::any().add(end.is_null()).add(end.gt(now.get()))
}

fn endpoint(row: &webhook::Model, secrets: &[webhook_secret::Model]) -> Result<Endpoint, StoreError> {
    let secrets_until = secrets.iter().filter_map(|secret| secret.expires_at).min().map(UtcMillis::new);
    let kept = |secret: &webhook_secret::Model| {
        Ok(KeptSecret { id: text(&secret.id)?, is_sealed: secret.is_sealed != 0, bytes: secret.secret.clone() })
    };
    let secrets = secrets.iter().map(kept).collect::<Result<_, StoreError>>()?;
    Ok(Endpoint { webhook: stored::<Webhook>(row)?.value, secrets, secrets_until })
}
