//! Thresholds that a limit key has of its own.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use crate::stamp::stamp;

/// The step.
#[derive(DeriveMigrationName)]
pub(crate) struct Step;

#[async_trait::async_trait]
impl MigrationTrait for Step {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(ADD).await?;
        stamp(manager, 12).await
    }
}

/// Percents with commas between them; nothing where the usual ones hold. Only what is counted crosses any.
const ADD: &str = "ALTER TABLE limit_key ADD COLUMN thresholds text CHECK (thresholds IS NULL OR kind IN ('count', 'quota'))";
