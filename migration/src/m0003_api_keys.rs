//! Scopes, API keys and their secrets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, text_null};

use crate::columns::{index, mutable_table, primary_key, reference};
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
        manager.create_table(scope()).await?;
        manager.create_table(api_key()).await?;
        index(manager, "api_key", &["org", "id"]).await?;
        index(manager, "api_key", &["user_id", "id"]).await?;
        manager.create_table(api_key_scope()).await?;
        index(manager, "api_key_scope", &["scope"]).await?;
        manager.create_table(api_key_secret()).await?;
        index(manager, "api_key_secret", &["key_id"]).await?;
        stamp(manager, 3).await
    }
}

fn scope() -> TableCreateStatement {
    let mut table = mutable_table("scope");
    table.col(text("name").primary_key()).col(text("description"));
    table.check(Expr::cust("name NOT IN ('read', 'write', 'admin')")).take()
}

fn api_key() -> TableCreateStatement {
    let mut table = mutable_table("api_key");
    table.col(text("id").primary_key()).col(text("name")).col(text_null("org")).col(text_null("user_id"));
    table.col(big_integer_null("expires_at")).col(big_integer_null("revoked_at"));
    table.foreign_key(&mut reference("api_key", "org", ("org", "id"), ForeignKeyAction::Cascade)).take()
}

fn api_key_scope() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("api_key_scope").col(text("key_id")).col(text("scope"));
    table.primary_key(&mut primary_key("key_id", "scope"));
    table.foreign_key(&mut reference("api_key_scope", "key_id", ("api_key", "id"), ForeignKeyAction::Cascade)).take()
}

fn api_key_secret() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("api_key_secret").col(ColumnDef::new("hash").blob().not_null().primary_key());
    table.col(text("key_id")).col(text("shown")).col(big_integer_null("expires_at")).col(big_integer("created_at"));
    table.check(Expr::cust("length(hash) = 32"));
    table.foreign_key(&mut reference("api_key_secret", "key_id", ("api_key", "id"), ForeignKeyAction::Cascade)).take()
}
