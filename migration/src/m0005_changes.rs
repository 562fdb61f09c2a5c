//! The log of changes, and the revision that it has reached.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, text_null};

use crate::columns::index;
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
        manager.create_table(change_log()).await?;
        for columns in LOOK_UPS {
            index(manager, "change_log", columns).await?;
        }
        manager.create_table(catalogue_revision()).await?;
        let first =
            Query::insert().into_table("catalogue_revision").columns(["id", "value"]).values_panic([1.into(), 0.into()]).take();
        manager.execute(first).await?;
        stamp(manager, 5).await
    }
}

/// What the log is searched by, each with the revision that it is ordered by.
const LOOK_UPS: [&[&str]; 4] = [&["object", "object_id", "revision"], &["org", "revision"], &["actor_id", "revision"], &["at"]];

fn change_log() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("change_log").col(big_integer("revision").primary_key()).col(big_integer("at"));
    table.col(text("actor_kind")).col(text_null("actor_id")).col(text("action")).col(text("object")).col(text("object_id"));
    table.col(text_null("org")).col(text_null("before")).col(text_null("after")).col(text_null("request_id"));
    table.check(Expr::cust("revision > 0"));
    table.check(Expr::cust("(actor_kind IN ('apiKey', 'token')) = (actor_id IS NOT NULL)"));
    table.check(Expr::cust("actor_kind IN ('apiKey', 'token', 'bootstrap', 'commandLine')"));
    table.check(Expr::cust(
        "object IN ('limitKey', 'tier', 'tierLimit', 'org', 'override', 'user', 'scope', 'apiKey', 'removedEndpoint')",
    ));
    table
}

fn catalogue_revision() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("catalogue_revision").col(big_integer("id").primary_key()).col(big_integer("value"));
    table.check(Expr::cust("id = 1")).check(Expr::cust("value >= 0")).take()
}
