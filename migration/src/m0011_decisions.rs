//! Receipts of refused takings, and how often limit keys are asked about.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, text_null};

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
        manager.create_table(decision()).await?;
        for columns in LOOK_UPS {
            index(manager, "decision", columns).await?;
        }
        manager.create_table(limit_key_activity()).await?;
        manager.create_table(limit_key_unknown()).await?;
        stamp(manager, 11).await
    }
}

/// What receipts are searched by, each with the id that they are ordered by.
const LOOK_UPS: [&[&str]; 3] = [&["org", "id"], &["limit_key", "id"], &["at"]];

fn decision() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("decision").col(text("id").primary_key()).col(big_integer("at")).col(text("org")).col(text_null("limit_key"));
    table.col(text("operation")).col(text("outcome")).col(big_integer("revision")).col(text("facts"));
    table.check(Expr::cust("outcome <> 'allowed'")).take()
}

/// One row for each limit key and UTC day, which is counted from the epoch.
fn limit_key_activity() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("limit_key_activity").col(text("limit_key")).col(big_integer("day"));
    table.col(big_integer("checked")).col(big_integer("refused"));
    table.col(big_integer("last_checked")).col(big_integer_null("last_refused"));
    table.check(Expr::cust("checked > 0 AND refused BETWEEN 0 AND checked"));
    table.check(Expr::cust("(refused > 0) = (last_refused IS NOT NULL)"));
    table.primary_key(&mut primary_key("limit_key", "day")).take()
}

fn limit_key_unknown() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("limit_key_unknown").col(text("limit_key").primary_key()).col(big_integer("asked"));
    table.col(big_integer("first_asked")).col(big_integer("last_asked"));
    table.check(Expr::cust("asked > 0")).take()
}
