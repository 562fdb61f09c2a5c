//! The log of what was delivered, and what was not.

use entity::webhook_delivery::{Column, Entity, Model};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::rows::{moment, text, unsigned};
use super::super::{Listing, PageRequest, Store, StoreError};
use super::Delivery;
use super::plan::org_of;
use crate::domain::event::EventKind;
use crate::domain::names::{OrgId, RecordId};
use crate::domain::time::UtcMillis;
use crate::domain::webhook::DeliveryState;

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those of which this became.
    pub state: Option<DeliveryState>,
    /// Of events of this type.
    pub kind: Option<EventKind>,
    /// Of events of this org.
    pub org: Option<OrgId>,
}

impl Store {
    /// What an endpoint is told, newest first. The key of a page is an id.
    pub async fn deliveries(
        &self,
        webhook: &RecordId,
        page: &PageRequest,
        filter: &DeliveryFilter,
    ) -> Result<Listing<Delivery>, StoreError> {
        self.webhook(webhook).await?;
        let matching = Condition::all()
            .add(Column::Webhook.eq(webhook.as_str()))
            .add_option(filter.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(filter.kind.map(|kind| Column::Kind.eq(kind.as_str())))
            .add_option(filter.org.as_ref().map(|org| Column::Org.eq(org.as_str())))
            .add_option(page.after.as_deref().map(|after| Column::Id.lt(after)));
        let found = Entity::find().filter(matching).order_by_desc(Column::Id).limit(page.limit.saturating_add(1));
        let mut rows = found.all(self.reader()).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        Ok(Listing { items: rows.into_iter().map(delivery_of).collect::<Result<_, _>>()?, next })
    }
}

/// A delivery from its row.
pub(in super::super) fn delivery_of(row: Model) -> Result<Delivery, StoreError> {
    let state = text(&row.state)?;
    Ok(Delivery {
        id: text(&row.id)?,
        webhook: text(&row.webhook)?,
        sequence: unsigned(row.seq),
        event: text(&row.event)?,
        kind: text(&row.kind)?,
        org: org_of(&row.org)?,
        is_manual: row.is_manual != 0,
        state,
        created_at: UtcMillis::new(row.created_at),
        next_at: (state == DeliveryState::Pending).then(|| UtcMillis::new(row.next_at)),
        attempts: unsigned(row.attempts),
        last_at: moment(row.last_at),
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        error: row.error,
        duration_ms: row.duration_ms.map(unsigned),
    })
}
