//! Limit keys, tiers and their values.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, boolean_null, text, text_null};

use crate::columns::{index, mutable_table, primary_key, reference, unique, value_columns, value_of_limit_key};
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
        manager.create_table(limit_key()).await?;
        unique(manager, "limit_key", &["name", "value_form"]).await?;
        index(manager, "limit_key", &["replacement"]).await?;
        manager.create_table(tier()).await?;
        manager.create_table(tier_limit()).await?;
        index(manager, "tier_limit", &["limit_key", "value_form"]).await?;
        stamp(manager, 1).await
    }
}

/// The fields that each kind has, and only it.
const KINDS: [&str; 10] = [
    "kind IN ('count', 'quota', 'rate', 'retention', 'interval', 'feature')",
    "(value_form = 'max') = (kind IN ('count', 'quota', 'rate'))",
    "(value_form = 'days') = (kind = 'retention')",
    "(value_form = 'min') = (kind = 'interval')",
    "(kind = 'quota') = (calendar_window IS NOT NULL) AND (kind = 'quota') = (label IS NOT NULL)",
    "calendar_window IS NULL OR calendar_window IN ('minute', 'hour', 'day', 'week', 'month')",
    "(kind = 'rate') = (window_seconds IS NOT NULL) AND (kind = 'rate') = (bucket IS NOT NULL)",
    "window_seconds IS NULL OR window_seconds BETWEEN 1 AND 2678400",
    "(kind IN ('quota', 'rate')) = (per_request IS NOT NULL) AND (kind = 'interval') = (unit IS NOT NULL)",
    "replacement IS NULL OR (archived_at IS NOT NULL AND replacement <> name)",
];

fn limit_key() -> TableCreateStatement {
    let mut table = mutable_table("limit_key");
    table.col(text("name").primary_key()).col(text("kind")).col(text("per"));
    value_columns(&mut table, "default_value");
    table.col(text_null("calendar_window")).col(text_null("label")).col(boolean_null("per_request"));
    table.col(big_integer_null("window_seconds")).col(text_null("bucket")).col(text_null("unit"));
    table.col(text("description")).col(big_integer_null("archived_at")).col(text_null("replacement"));
    for condition in KINDS {
        table.check(Expr::cust(condition));
    }
    let replacement = reference("limit_key", "replacement", ("limit_key", "name"), ForeignKeyAction::Restrict);
    table.foreign_key(&mut replacement.clone()).take()
}

fn tier() -> TableCreateStatement {
    let mut table = mutable_table("tier");
    table.col(text("name").primary_key()).col(text("display_name")).col(text("description")).take()
}

fn tier_limit() -> TableCreateStatement {
    let mut table = mutable_table("tier_limit");
    table.col(text("tier")).col(text("limit_key"));
    value_columns(&mut table, "value");
    table.primary_key(&mut primary_key("tier", "limit_key"));
    table.foreign_key(&mut reference("tier_limit", "tier", ("tier", "name"), ForeignKeyAction::Cascade));
    table.foreign_key(&mut value_of_limit_key("tier_limit")).take()
}
