//! Endpoints of the product that no longer exist.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{text, text_null};

use crate::columns::{mutable_table, unique};
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
        manager.create_table(removed_endpoint()).await?;
        unique(manager, "removed_endpoint", &["method", "path"]).await?;
        stamp(manager, 4).await
    }
}

fn removed_endpoint() -> TableCreateStatement {
    let mut table = mutable_table("removed_endpoint");
    table.col(text("id").primary_key()).col(text("method")).col(text("path")).col(text_null("replacement")).take()
}
