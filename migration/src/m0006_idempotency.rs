//! Answers kept so that a repeated request does nothing again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, text, text_null};

use crate::columns::{index, primary_key};
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
        manager.create_table(idempotency()).await?;
        index(manager, "idempotency", &["created_at"]).await?;
        index(manager, "idempotency", &["caller", "created_at"]).await?;
        stamp(manager, 6).await
    }
}

fn idempotency() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("idempotency").col(text("caller")).col(ColumnDef::new("key_hash").blob().not_null());
    table.col(ColumnDef::new("fingerprint").blob().not_null()).col(integer("status"));
    table.col(ColumnDef::new("sealed_body").blob().not_null()).col(text_null("etag")).col(big_integer("created_at"));
    table
        .check(Expr::cust("length(key_hash) = 32 AND length(fingerprint) = 32"))
        .check(Expr::cust("status BETWEEN 100 AND 599"));
    table.primary_key(&mut primary_key("caller", "key_hash")).take()
}
