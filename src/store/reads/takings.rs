//! What orgs have taken, one page after another, for questions about very many of them.

use entity::{org, reservation, usage};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryResult};

use super::super::rows::{text, unsigned};
use super::super::{Store, StoreError, schedules};
use crate::domain::bound::Quantity;
use crate::domain::names::{LimitKeyName, OrgId, ResourceId, TierName};
use crate::domain::time::UtcMillis;

/// Where a counter stands among all: they are in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TakingPlace {
    /// Whose.
    pub org: OrgId,
    /// Of what.
    pub limit_key: LimitKeyName,
    /// For which resource; none for the org as a whole, which comes first.
    pub resource: Option<ResourceId>,
    /// The first moment of its window, in milliseconds since the epoch; 0 without one.
    pub window_start: i64,
}

/// Which counters to look at.
#[derive(Clone, Debug)]
pub struct TakingFilter {
    /// Of these limit keys, in these windows.
    pub counted: Vec<(LimitKeyName, i64)>,
    /// Of this org only.
    pub org: Option<OrgId>,
}

/// A part of what was taken, and where.
pub type TakingPart = (TakingPlace, Quantity);

impl Store {
    /// At most `limit` counters after a place with what is used of them, in order.
    pub async fn used_after(
        &self,
        filter: &TakingFilter,
        after: Option<&TakingPlace>,
        limit: u64,
    ) -> Result<Vec<TakingPart>, StoreError> {
        let used = counters("usage", filter, after, limit).expr(Expr::col(usage::Column::Used)).take();
        self.parts(&used).await
    }

    /// The same with what reservations hold of them that are alive at `now`.
    pub async fn held_after(
        &self,
        filter: &TakingFilter,
        after: Option<&TakingPlace>,
        limit: u64,
        now: UtcMillis,
    ) -> Result<Vec<TakingPart>, StoreError> {
        let held = Expr::col(reservation::Column::Amount).sum().cast_as("bigint");
        let held = counters("reservation", filter, after, limit)
            .expr(held)
            .and_where(Expr::col(reservation::Column::Status).eq("held"))
            .and_where(Expr::col(reservation::Column::ExpiresAt).gt(now.get()))
            .add_group_by(KEY.map(Expr::col))
            .take();
        self.parts(&held).await
    }

    async fn parts(&self, select: &SelectStatement) -> Result<Vec<TakingPart>, StoreError> {
        self.reader().query_all(select).await?.iter().map(part).collect()
    }

    /// How many orgs are registered, in all or in these tiers at a moment.
    pub async fn count_orgs(&self, tiers: Option<(&[&TierName], UtcMillis)>) -> Result<u64, StoreError> {
        let mut orgs = org::Entity::find();
        if let Some((tiers, now)) = tiers {
            orgs = orgs.filter(schedules::has_tier(tiers, now));
        }
        Ok(orgs.count(self.reader()).await?)
    }
}

/// What counters are known by, in both tables that speak of them.
const KEY: [&str; 4] = ["org", "limit_key", "resource", "window_start"];

fn counters(table: &'static str, filter: &TakingFilter, after: Option<&TakingPlace>, limit: u64) -> SelectStatement {
    let TakingFilter { counted, org } = filter;
    let mut select = Query::select();
    select.from(table).columns(KEY).limit(limit);
    select.and_where(Expr::col("limit_key").is_in(counted.iter().map(|(limit_key, _)| limit_key.as_str())));
    select.and_where(Expr::col("window_start").is_in(counted.iter().map(|(_, window_start)| *window_start)));
    select.and_where_option(org.as_ref().map(|org| Expr::col("org").eq(org.as_str())));
    if let Some(TakingPlace { org, limit_key, resource, window_start }) = after {
        let resource = resource.as_ref().map_or("", ResourceId::as_str);
        let place: [Expr; 4] =
            [Expr::val(org.as_str()), Expr::val(limit_key.as_str()), Expr::val(resource), Expr::val(*window_start)];
        select.and_where(Expr::tuple(KEY.map(Expr::col)).gt(Expr::tuple(place)));
    }
    for column in KEY {
        select.order_by(column, Order::Asc);
    }
    select
}

fn part(row: &QueryResult) -> Result<TakingPart, StoreError> {
    let resource: String = row.try_get_by_index(2)?;
    let place = TakingPlace {
        org: text(&row.try_get_by_index::<String>(0)?)?,
        limit_key: text(&row.try_get_by_index::<String>(1)?)?,
        resource: if resource.is_empty() { None } else { Some(text(&resource)?) },
        window_start: row.try_get_by_index(3)?,
    };
    let amount = Quantity::saturating(unsigned(row.try_get_by_index(4)?));
    Ok((place, amount))
}
