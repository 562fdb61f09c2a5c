//! What orgs have used, what is held for them, and which limit keys were ever taken from.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::columns::{MAX_QUANTITY, index, primary_key};
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
        let is_embedded = manager.get_database_backend() == DbBackend::Sqlite;
        manager.create_table(usage(is_embedded)).await?;
        manager.create_table(reservation()).await?;
        index(manager, "reservation", &["expires_at"]).await?;
        manager.create_table(limit_key_use()).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(ENDED_WINDOWS).await?;
        connection.execute_unprepared(HOLDS_OF_A_COUNTER).await?;
        stamp(manager, 7).await
    }
}

/// Counts have no window and are not in it: only what ends is ever looked for by its end.
const ENDED_WINDOWS: &str = "CREATE INDEX usage_by_window_end ON usage (window_end) WHERE window_end IS NOT NULL";
/// Only what may still be alive is ever summed up.
const HOLDS_OF_A_COUNTER: &str =
    "CREATE INDEX reservation_held ON reservation (org, limit_key, resource, window_start) WHERE status = 'held'";

fn usage(is_embedded: bool) -> TableCreateStatement {
    let mut table = counter("usage");
    table.col(big_integer_null("window_end")).col(big_integer("used"));
    table.check(Expr::cust(format!("used BETWEEN 0 AND {MAX_QUANTITY}")));
    table.check(Expr::cust("(window_start = 0 AND window_end IS NULL) OR window_end > window_start"));
    table.primary_key(primary_key("org", "limit_key").col("resource").col("window_start"));
    if is_embedded {
        // The rows stand in the order of their key, so that a counter is found and written in one place.
        table.extra("WITHOUT ROWID");
    } else {
        // Processes share it: what one has read still holds as long as the version is the same. It starts anywhere, so that a
        // row that was deleted and made again is another. `holds` says how many reservations there are to be read.
        table.col(big_integer("version").default(Expr::cust("(random() * 4503599627370496)::bigint")));
        table.col(big_integer("holds").default(0)).check(Expr::cust("holds >= 0"));
        // A row is written again and again: with room on its page it needs no new entry in the index.
        table.extra("WITH (fillfactor = 50)");
    }
    table
}

fn reservation() -> TableCreateStatement {
    let mut table = counter("reservation");
    table.col(text("id")).col(big_integer_null("window_end")).col(big_integer("amount")).col(text("status"));
    table.col(big_integer_null("confirmed")).col(big_integer("created_at")).col(big_integer("expires_at"));
    table.col(big_integer_null("settled_at"));
    table.check(Expr::cust(format!("amount BETWEEN 1 AND {MAX_QUANTITY}")));
    table.check(Expr::cust("status IN ('held', 'confirmed', 'released', 'expired')"));
    table.check(Expr::cust("(status = 'held') = (settled_at IS NULL)"));
    table.check(Expr::cust("(status = 'confirmed') = (confirmed IS NOT NULL)"));
    table.check(Expr::cust("confirmed IS NULL OR confirmed BETWEEN 1 AND amount"));
    table.check(Expr::cust("expires_at > created_at"));
    table.primary_key(&mut primary_key("org", "id")).take()
}

/// A table whose rows belong to a counter. An empty resource is the org as a whole; a window of 0 is that of a count.
fn counter(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(text("org")).col(text("limit_key")).col(text("resource")).col(big_integer("window_start"));
    table
}

fn limit_key_use() -> TableCreateStatement {
    Table::create().table("limit_key_use").col(text("limit_key").primary_key()).take()
}
