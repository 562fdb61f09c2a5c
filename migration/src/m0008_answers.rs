//! Answers kept so that a repeated request does nothing again, in the order that they were given in.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer, text, text_null};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

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
        if manager.get_database_backend() != DbBackend::Sqlite {
            return shared(manager).await;
        }
        for table in [answer(), answer_count(), answer_segment(), answer_segment_part()] {
            manager.create_table(table).await?;
        }
        for conversion in [ANSWERS, COUNTS, "DROP TABLE idempotency"] {
            manager.get_connection().execute_unprepared(conversion).await?;
        }
        stamp(manager, 8).await
    }
}

/// Several processes look for answers, so the database finds them by an index, and sees to it that there is one of each.
async fn shared(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    answer_columns(table.table("answer")).primary_key(&mut primary_key("caller", "key_hash"));
    manager.create_table(table).await?;
    index(manager, "answer", &["created_at"]).await?;
    manager.create_table(answer_count()).await?;
    manager.drop_table(Table::drop().table("idempotency").take()).await
}

/// The answers that were kept before are still given again.
const ANSWERS: &str = "INSERT INTO answer (seq, created_at, caller, key_hash, fingerprint, status, is_sealed, headers, body) \
    SELECT row_number() OVER (ORDER BY created_at, caller, key_hash), created_at, caller, key_hash, fingerprint, status, TRUE, \
    'ETag: ' || etag, sealed_body FROM idempotency ORDER BY created_at, caller, key_hash";
const COUNTS: &str =
    "INSERT INTO answer_count (caller, records, since) SELECT caller, count(*), min(created_at) FROM answer GROUP BY caller";

/// Without an index over the hashes: every row would change a page of its own there. Rows are found through the segments.
fn answer() -> TableCreateStatement {
    let mut table = Table::create();
    // Of all types, only this one makes the key the row's own number.
    answer_columns(table.table("answer").col(integer("seq").primary_key())).take()
}

fn answer_columns(table: &mut TableCreateStatement) -> &mut TableCreateStatement {
    table.col(big_integer("created_at")).col(text("caller"));
    table.col(ColumnDef::new("key_hash").blob().not_null()).col(ColumnDef::new("fingerprint").blob().not_null());
    table.col(integer("status")).col(boolean("is_sealed")).col(text_null("headers"));
    table.col(ColumnDef::new("body").blob().not_null());
    table.check(Expr::cust("length(key_hash) = 32 AND length(fingerprint) = 32"));
    table.check(Expr::cust("status BETWEEN 100 AND 599"))
}

/// How many answers a caller has, and since when it has had any.
fn answer_count() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("answer_count").col(text("caller").primary_key()).col(big_integer("records")).col(big_integer("since"));
    table.check(Expr::cust("records >= 0")).take()
}

/// A run of answers whose place can be found by the hash of their caller and key.
fn answer_segment() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("answer_segment").col(integer("id").primary_key()).col(big_integer("last_seq")).col(big_integer("newest"));
    table.col(ColumnDef::new("filter").blob().not_null()).take()
}

/// The places of those whose hashes begin with the same bits: the number of the segment and the bits are its id.
fn answer_segment_part() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("answer_segment_part").col(integer("id").primary_key());
    table.col(ColumnDef::new("places").blob().not_null()).take()
}
