//! Orgs, their overrides, and banned users.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, text_null};

use crate::columns::{index, mutable_table, primary_key, reference, value_columns, value_of_limit_key};
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
        manager.create_table(org()).await?;
        index(manager, "org", &["tier", "id"]).await?;
        index(manager, "org", &["banned_at"]).await?;
        manager.create_table(org_override()).await?;
        index(manager, "org_override", &["limit_key", "value_form"]).await?;
        manager.create_table(user_ban()).await?;
        stamp(manager, 2).await
    }
}

/// A reason needs a ban that it is the reason of.
const BAN: &str = "ban_reason IS NULL OR banned_at IS NOT NULL";

fn org() -> TableCreateStatement {
    let mut table = mutable_table("org");
    table.col(text("id").primary_key()).col(text("tier")).col(text("name")).col(text("metadata"));
    table.col(big_integer_null("banned_at")).col(text_null("ban_reason")).check(Expr::cust(BAN));
    table.foreign_key(&mut reference("org", "tier", ("tier", "name"), ForeignKeyAction::Restrict)).take()
}

fn org_override() -> TableCreateStatement {
    let mut table = mutable_table("org_override");
    table.col(text("org")).col(text("id")).col(text("limit_key")).col(text("mode"));
    value_columns(&mut table, "value");
    table.col(text("reason")).col(big_integer("starts_at")).col(big_integer_null("expires_at"));
    table.check(Expr::cust("mode IN ('set', 'add')")).check(Expr::cust("expires_at IS NULL OR expires_at > starts_at"));
    table.primary_key(&mut primary_key("org", "id"));
    table.foreign_key(&mut reference("org_override", "org", ("org", "id"), ForeignKeyAction::Cascade));
    table.foreign_key(&mut value_of_limit_key("org_override")).take()
}

fn user_ban() -> TableCreateStatement {
    let mut table = mutable_table("user_ban");
    table.col(text("id").primary_key()).col(big_integer_null("banned_at")).col(text_null("ban_reason"));
    table.check(Expr::cust(BAN)).take()
}
