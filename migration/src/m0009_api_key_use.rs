//! When API keys were last used, and the rates that are their own.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, text};

use crate::columns::{MAX_QUANTITY, index, primary_key, reference, unique};
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
        let last_used_at = Table::alter().table("api_key").add_column(big_integer_null("last_used_at")).take();
        manager.alter_table(last_used_at).await?;
        unique(manager, "limit_key", &["name", "kind"]).await?;
        manager.create_table(api_key_rate()).await?;
        index(manager, "api_key_rate", &["limit_key", "kind"]).await?;
        stamp(manager, 9).await
    }
}

/// The limit key is of kind rate as long as an API key has a rate of its own: the key refers to both.
fn api_key_rate() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("api_key_rate").col(text("key_id")).col(text("limit_key")).col(text("kind")).col(big_integer_null("max"));
    table.check(Expr::cust("kind = 'rate'"));
    table.check(Expr::cust(format!("max IS NULL OR max BETWEEN 0 AND {MAX_QUANTITY}")));
    table.primary_key(&mut primary_key("key_id", "limit_key"));
    let mut rate = ForeignKey::create();
    rate.from("api_key_rate", ("limit_key", "kind")).to("limit_key", ("name", "kind"));
    table.foreign_key(rate.on_delete(ForeignKeyAction::Restrict).on_update(ForeignKeyAction::Restrict));
    table.foreign_key(&mut reference("api_key_rate", "key_id", ("api_key", "id"), ForeignKeyAction::Cascade)).take()
}
