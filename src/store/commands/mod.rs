//! The changes that can be made, one file for each kind of object.

mod api_key_rates;
mod api_key_secrets;
mod api_keys;
mod limit_keys;
mod orgs;
mod overrides;
mod plan;
mod removed_endpoints;
mod scopes;
mod tiers;
mod users;
mod webhook_secrets;
mod webhooks;

pub use api_key_rates::WrittenRates;
pub use api_key_secrets::{NewSecret, RotateApiKey};
pub use api_keys::{CreateApiKey, DeleteApiKey, PatchApiKey};
pub use limit_keys::{ArchiveLimitKey, DeleteLimitKey, PutLimitKey};
pub use orgs::{BanOrg, DeleteOrg, PutOrg, UnbanOrg};
pub use overrides::{CreateOverride, DeleteOverride};
pub use plan::ApplyPlan;
pub use removed_endpoints::{CreateRemovedEndpoint, DeleteRemovedEndpoint};
pub use scopes::{DeleteScope, PutScope};
pub use tiers::{DeleteTier, DeleteTierLimit, PutTier, PutTierLimit, ScheduleTierLimit};
pub use users::{BanUser, UnbanUser};
pub use webhook_secrets::RotateWebhookSecret;
pub use webhooks::{CreateWebhook, DeleteWebhook, DisableWebhook, EnableWebhook, PatchWebhook, Redeliver, TestWebhook};

use uuid::Uuid;

use super::StoreError;
use crate::domain::names::RecordId;

/// An id that nobody has, ordered by the time that it was made at.
pub(super) fn new_id(prefix: &str) -> Result<RecordId, StoreError> {
    RecordId::parse(format!("{prefix}_{}", Uuid::now_v7().simple())).map_err(|invalid| StoreError::corrupt(&invalid))
}
