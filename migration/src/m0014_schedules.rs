//! What is to change by itself: the tiers of orgs, the values of tiers. And a quicker way to the changes of the catalogue.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

use crate::columns::{index, reference, value_columns, value_of_limit_key};
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
        manager.create_table(org_schedule()).await?;
        index(manager, "org_schedule", &["tier", "starts_at"]).await?;
        manager.create_table(tier_limit_schedule()).await?;
        index(manager, "tier_limit_schedule", &["limit_key", "value_form"]).await?;
        for statement in INDEXES {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        stamp(manager, 14).await
    }
}

/// A change of tier is `told` of once it has begun.
fn org_schedule() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("org_schedule").col(text("org")).col(big_integer("starts_at")).col(text("tier"));
    table.col(big_integer("told").default(0)).check(Expr::cust("told IN (0, 1)"));
    table.primary_key(&mut Index::create().col("org").col("starts_at").primary().take());
    table.foreign_key(&mut reference("org_schedule", "org", ("org", "id"), ForeignKeyAction::Cascade));
    table.foreign_key(&mut reference("org_schedule", "tier", ("tier", "name"), ForeignKeyAction::Restrict)).take()
}

fn tier_limit_schedule() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("tier_limit_schedule").col(text("tier")).col(text("limit_key")).col(big_integer("starts_at"));
    value_columns(&mut table, "value");
    table.primary_key(&mut Index::create().col("tier").col("limit_key").col("starts_at").primary().take());
    let mut value = ForeignKey::create();
    value.from("tier_limit_schedule", ("tier", "limit_key")).to("tier_limit", ("tier", "limit_key"));
    table.foreign_key(&mut value.on_delete(ForeignKeyAction::Cascade).take());
    table.foreign_key(&mut value_of_limit_key("tier_limit_schedule")).take()
}

const INDEXES: [&str; 2] = [
    "CREATE INDEX org_schedule_to_tell ON org_schedule (starts_at) WHERE told = 0",
    "CREATE INDEX change_log_of_plan ON change_log (revision) WHERE object IN ('limitKey', 'tier', 'tierLimit')",
];
