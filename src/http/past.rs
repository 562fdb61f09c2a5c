//! How things were at a moment: read out of the log, and answered by the very rules of the present with the moment as the clock.

use std::time::Duration;

use deserr::Deserr;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::error::ApiError;
use super::service::Service;
use crate::clock;
use crate::domain::endpoints::RemovedEndpoints;
use crate::domain::issue::Issue;
use crate::domain::names::OrgId;
use crate::domain::plan::Plan;
use crate::domain::time::UtcMillis;
use crate::snapshot::{Catalogue, KnownOrg};
use crate::store::{OrgFacts, Past, StoreError};
use crate::wire::plan::PlanDocument;
use crate::wire::{Issues, logged};

/// One at a time looks back, so that they never take more than one connection from those who ask about the present. One look
/// reads the catalogue, at most one line of the log for each thing that has changed since, and of the catalogue's lines since the
/// moment the index.
static TURN: Semaphore = Semaphore::const_new(1);
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// A moment.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct At {
    /// How it was at this moment, from the kept history: after the last change until then, with this moment as the clock. One that is
    /// still to come is answered as far as it is known now: with what is scheduled. Now when left out. 400 when it lies before what is
    /// kept (`PLIMSOLL_KEEP_AUDIT_DAYS`): the message says from when on it can be asked about.
    #[deserr(default)]
    #[param(inline)]
    pub at: Option<UtcMillis>,
}

async fn look(service: &Service, at: UtcMillis, org: Option<&OrgId>) -> Result<(Past, Plan), ApiError> {
    let turn = timeout(PATIENCE, TURN.acquire()).await.map_err(|_| busy())?;
    let _turn = turn.map_err(|_| ApiError::Internal)?;
    let mut past = service.store.past(at, clock::now(), org).await?;
    let plan = PlanDocument::read(past.document.take(), &Plan::default(), at).map_err(|issues| unreadable(&issues))?;
    Ok((past, plan))
}

fn busy() -> ApiError {
    StoreError::Unavailable("Others are looking back at the moment".to_owned()).into()
}

fn unreadable(issues: &[Issue]) -> ApiError {
    tracing::error!(?issues, "the log holds what cannot be read");
    ApiError::Internal
}

/// The catalogue as it was, and the revision of its last change until then.
pub async fn catalogue(service: &Service, at: UtcMillis) -> Result<(Plan, u64), ApiError> {
    let (past, plan) = look(service, at, None).await?;
    Ok((plan, past.plan_revision))
}

/// What is asked about an org at a moment.
pub struct PastOrg {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// The org, with the tier that it had.
    pub org: KnownOrg,
    /// The revision of the last change until then.
    pub revision: u64,
}

/// An org as it was. One that did not exist then was of the default tier, if there is one now.
pub async fn org(service: &Service, org: &OrgId, at: UtcMillis) -> Result<PastOrg, ApiError> {
    let (Past { revision, org, overrides, .. }, plan) = look(service, at, Some(org)).await?;
    let known = match org {
        Some(line) => {
            let (tier, scheduled, banned) = logged::org(line).map_err(|issues| unreadable(&issues))?;
            let overrides = overrides.into_iter().map(|line| logged::override_(line, &plan));
            let overrides = overrides.collect::<Result<_, _>>().map_err(|issues| unreadable(&issues))?;
            Some(KnownOrg::from(OrgFacts { tier, scheduled, banned, overrides }).at(at))
        }
        None => service.unregistered.clone(),
    };
    let org = known.filter(|org| plan.tiers.contains_key(org.tier)).ok_or(ApiError::NotFound("org"))?;
    Ok(PastOrg { catalogue: Catalogue::of(plan, RemovedEndpoints::of(std::iter::empty())), org, revision })
}
