//! What can be asked of the stored data.

mod audit;
mod catalogue;
mod history;
mod keys;
mod orgs;
mod takings;

pub use history::Past;
pub use takings::{TakingFilter, TakingPart, TakingPlace};

use entity::catalogue_revision;
use sea_orm::EntityTrait;

use super::rows::unsigned;
use super::{Store, StoreError};

impl Store {
    /// The revision of the latest change; 0 before the first.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        let row = catalogue_revision::Entity::find_by_id(1).one(self.reader()).await?;
        Ok(row.map_or(0, |row| unsigned(row.value)))
    }
}
