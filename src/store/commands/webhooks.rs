//! Changes of webhooks.

use std::collections::BTreeSet;

use entity::webhook_delivery::{Column, Model};
use entity::{webhook, webhook_delivery, webhook_progress};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect};

use super::super::webhooks::{Disabled, KeptSecret, delivery_of, end_of_feed};
use super::super::{Command, Delivery, StoreError, Stored, Webhook, WriteTx};
use super::new_id;
use super::webhook_secrets::add_secret;
use crate::domain::event::{EventKind, Happening};
use crate::domain::names::{OrgId, RecordId};
use crate::domain::webhook::{Because, DeliveryState, MAX_WEBHOOKS};

/// Makes a webhook, which is told of what happens from now on.
#[derive(Clone, Debug)]
pub struct CreateWebhook {
    /// Where it is.
    pub url: String,
    /// For people.
    pub description: String,
    /// The types of events that it is told of; all when there is nothing.
    pub types: Option<BTreeSet<EventKind>>,
    /// The org whose events it is told of; all when there is nothing.
    pub org: Option<OrgId>,
    /// What signs.
    pub secret: KeptSecret,
}

impl Command for CreateWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        tx.expect::<Webhook>(None)?;
        if webhook::Entity::find().count(tx.db()).await? >= MAX_WEBHOOKS {
            return Err(StoreError::Conflict(format!(
                "There are {MAX_WEBHOOKS} webhooks already: delete one that is not used"
            )));
        }
        let Self { url, description, types, org, secret } = self;
        let made = tx.create(Webhook { id: new_id("whk")?, url, description, types, org, disabled: None }).await?;
        let seq = end_of_feed(tx.db()).await?;
        let progress = webhook_progress::Model { webhook: made.value.id.to_string(), seq, failing_since: None };
        webhook_progress::Entity::insert(progress.into_active_model()).exec_without_returning(tx.db()).await?;
        add_secret(tx, &made.value.id, secret).await?;
        Ok(made)
    }
}

/// Changes some of what is known of a webhook. What is not given stays.
#[derive(Clone, Debug)]
pub struct PatchWebhook {
    /// Which.
    pub id: RecordId,
    /// Where it is.
    pub url: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The types of events that it is told of, or that it is told of all.
    pub types: Option<Option<BTreeSet<EventKind>>>,
    /// The org whose events it is told of, or that it is told of all.
    pub org: Option<Option<OrgId>>,
}

impl Command for PatchWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        let was = before.value.clone();
        let after = Webhook {
            url: self.url.unwrap_or(was.url),
            description: self.description.unwrap_or(was.description),
            types: self.types.unwrap_or(was.types),
            org: self.org.unwrap_or(was.org),
            ..was
        };
        tx.replace(before, after, "update").await
    }
}

/// Deletes a webhook with its secrets and its deliveries.
#[derive(Clone, Debug)]
pub struct DeleteWebhook {
    /// Which.
    pub id: RecordId,
}

impl Command for DeleteWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        hold(tx, &self.id).await?;
        tx.delete(&before.value).await?;
        Ok(before)
    }
}

/// Tells a webhook of nothing any more. What it was not told of waits.
#[derive(Clone, Debug)]
pub struct DisableWebhook {
    /// Which.
    pub id: RecordId,
    /// Why.
    pub because: Because,
    /// Only if it is still there.
    pub url: Option<String>,
}

impl Command for DisableWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        let has_moved = self.url.is_some_and(|url| url != before.value.url);
        if before.value.disabled.is_some() || has_moved {
            return Ok(before);
        }
        let disabled = Some(Disabled { at: tx.now(), because: self.because });
        let after = Webhook { disabled, ..before.value.clone() };
        tx.tell(None, Happening::WebhookDisabled { webhook: self.id, reason: self.because });
        tx.renew(&before, after, "disable").await
    }
}

/// Tells a webhook again, from where it was, or of what happens from now on.
#[derive(Clone, Debug)]
pub struct EnableWebhook {
    /// Which.
    pub id: RecordId,
    /// Whether what it was not told of is left out.
    pub skip_missed: bool,
}

impl Command for EnableWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        if before.value.disabled.is_none() {
            return Ok(before);
        }
        hold(tx, &self.id).await?;
        if self.skip_missed {
            skip(tx, &self.id).await?;
        }
        start_anew(tx, &self.id).await?;
        let after = Webhook { disabled: None, ..before.value.clone() };
        tx.renew(&before, after, "enable").await
    }
}

/// Whoever touches deliveries holds the progress of their webhook first: nobody waits for each other in a circle.
async fn hold(tx: &WriteTx, id: &RecordId) -> Result<(), StoreError> {
    webhook_progress::Entity::find_by_id(id.as_str()).lock_exclusive().one(tx.db()).await?;
    Ok(())
}

/// What waits is not delivered, and what was not written down yet is not written down.
async fn skip(tx: &WriteTx, id: &RecordId) -> Result<(), StoreError> {
    waiting(webhook_delivery::Entity::delete_many(), id).exec(tx.db()).await?;
    let seq = end_of_feed(tx.db()).await?;
    let moved = webhook_progress::Entity::update_many().col_expr(webhook_progress::Column::Seq, Expr::value(seq));
    moved.filter(webhook_progress::Column::Webhook.eq(id.as_str())).exec(tx.db()).await?;
    Ok(())
}

/// What waits is tried at once, and the endpoint has not failed yet.
async fn start_anew(tx: &WriteTx, id: &RecordId) -> Result<(), StoreError> {
    let nothing = Expr::value(Option::<i64>::None);
    let now = webhook_delivery::Entity::update_many().col_expr(Column::NextAt, Expr::value(tx.now().get()));
    let now = now.col_expr(Column::Attempts, Expr::value(0_i64));
    let now = now.col_expr(Column::FirstAt, nothing.clone());
    let now = now.col_expr(Column::LastAt, nothing.clone());
    waiting(now, id).exec(tx.db()).await?;
    let works = webhook_progress::Entity::update_many().col_expr(webhook_progress::Column::FailingSince, nothing);
    works.filter(webhook_progress::Column::Webhook.eq(id.as_str())).exec(tx.db()).await?;
    Ok(())
}

fn waiting<Q: QueryFilter>(query: Q, id: &RecordId) -> Q {
    let of = Column::Webhook.eq(id.as_str());
    query.filter(of).filter(Column::State.eq(DeliveryState::Pending.as_str()))
}

/// Sends something to a webhook once more: what waits at once, the rest out of the order.
#[derive(Clone, Debug)]
pub struct Redeliver {
    /// To which.
    pub webhook: RecordId,
    /// What: an earlier delivery.
    pub delivery: RecordId,
}

impl Command for Redeliver {
    type Output = Delivery;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.webhook.as_str()).await?;
        hold(tx, &self.webhook).await?;
        let of = Column::Webhook.eq(self.webhook.as_str());
        let earlier = webhook_delivery::Entity::find_by_id(self.delivery.as_str()).filter(of).one(tx.db()).await?;
        let earlier = earlier.ok_or(StoreError::NoDelivery)?;
        if before.value.disabled.is_some() {
            let refusal = format!("The webhook {} is disabled: enable it first", self.webhook);
            return Err(StoreError::Conflict(refusal));
        }
        let again = if earlier.state == DeliveryState::Pending.as_str() {
            sooner(tx, earlier).await?
        } else {
            once_more(tx, earlier).await?
        };
        tx.renew(&before, before.value.clone(), "redeliver").await?;
        delivery_of(again)
    }
}

/// What waits is tried at once.
async fn sooner(tx: &WriteTx, waiting: Model) -> Result<Model, StoreError> {
    let now = tx.now().get();
    let sooner = webhook_delivery::Entity::update_many().col_expr(Column::NextAt, Expr::value(now));
    sooner.filter(Column::Id.eq(waiting.id.as_str())).exec(tx.db()).await?;
    Ok(Model { next_at: now, ..waiting })
}

/// What does not wait any more is a delivery of its own.
async fn once_more(tx: &WriteTx, earlier: Model) -> Result<Model, StoreError> {
    let now = tx.now().get();
    let again = Model {
        id: new_id("whd")?.to_string(),
        is_manual: 1,
        state: DeliveryState::Pending.as_str().to_owned(),
        created_at: now,
        next_at: now,
        attempts: 0,
        first_at: None,
        last_at: None,
        status: None,
        error: None,
        duration_ms: None,
        ..earlier
    };
    webhook_delivery::Entity::insert(again.clone().into_active_model()).exec_without_returning(tx.db()).await?;
    Ok(again)
}

/// Tells a webhook that it is tested, and no other.
#[derive(Clone, Debug)]
pub struct TestWebhook {
    /// Which.
    pub id: RecordId,
}

impl Command for TestWebhook {
    type Output = Stored<Webhook>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = tx.target::<Webhook>(self.id.as_str()).await?;
        if before.value.disabled.is_some() {
            return Err(StoreError::Conflict(format!("The webhook {} is disabled: enable it first", self.id)));
        }
        tx.tell(None, Happening::WebhookTested { webhook: self.id });
        tx.renew(&before, before.value.clone(), "test").await
    }
}
