//! Webhooks: endpoints that are told of events, their secrets, and what was delivered to them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, text_null};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::columns::{index, mutable_table, reference};
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
        let connection = manager.get_connection();
        let is_embedded = manager.get_database_backend() == DbBackend::Sqlite;
        for statement in if is_embedded { EMBEDDED_LOG } else { SHARED_LOG } {
            connection.execute_unprepared(statement).await?;
        }
        for table in [webhook(), webhook_secret(), webhook_progress(), webhook_delivery(), webhook_lease()] {
            manager.create_table(table).await?;
        }
        index(manager, "webhook_secret", &["webhook"]).await?;
        index(manager, "webhook_delivery", &["webhook", "id"]).await?;
        index(manager, "webhook_delivery", &["seq"]).await?;
        for statement in WAITING {
            connection.execute_unprepared(statement).await?;
        }
        stamp(manager, 13).await
    }
}

/// The log names webhooks too, and the service itself as who changes something. `SQLite` changes a constraint by a new table only.
const EMBEDDED_LOG: &[&str] = &[
    "ALTER TABLE change_log RENAME TO former_change_log",
    "CREATE TABLE change_log (revision bigint NOT NULL PRIMARY KEY, at bigint NOT NULL, actor_kind text NOT NULL, actor_id text, \
     action text NOT NULL, object text NOT NULL, object_id text NOT NULL, org text, before text, after text, request_id text, \
     CHECK (revision > 0), CHECK ((actor_kind IN ('apiKey', 'token')) = (actor_id IS NOT NULL)), \
     CHECK (actor_kind IN ('apiKey', 'token', 'bootstrap', 'commandLine', 'service')), \
     CHECK (object IN ('limitKey', 'tier', 'tierLimit', 'org', 'override', 'user', 'scope', 'apiKey', 'removedEndpoint', 'webhook')))",
    "INSERT INTO change_log (revision, at, actor_kind, actor_id, action, object, object_id, org, before, after, request_id) \
     SELECT revision, at, actor_kind, actor_id, action, object, object_id, org, before, after, request_id FROM former_change_log",
    "DROP TABLE former_change_log",
    "CREATE INDEX change_log_by_object_object_id_revision ON change_log (object, object_id, revision)",
    "CREATE INDEX change_log_by_org_revision ON change_log (org, revision)",
    "CREATE INDEX change_log_by_actor_id_revision ON change_log (actor_id, revision)",
    "CREATE INDEX change_log_by_at ON change_log (at)",
];

const SHARED_LOG: &[&str] = &[
    "ALTER TABLE change_log DROP CONSTRAINT change_log_actor_kind_check",
    "ALTER TABLE change_log DROP CONSTRAINT change_log_object_check",
    "ALTER TABLE change_log ADD CONSTRAINT change_log_actor_kind_check \
     CHECK (actor_kind IN ('apiKey', 'token', 'bootstrap', 'commandLine', 'service'))",
    "ALTER TABLE change_log ADD CONSTRAINT change_log_object_check CHECK (object IN ('limitKey', 'tier', 'tierLimit', 'org', \
     'override', 'user', 'scope', 'apiKey', 'removedEndpoint', 'webhook'))",
];

/// What is looked for all the time: of each org the first that waits. Nobody delivers yet.
const WAITING: &[&str] = &[
    "CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook, org, seq) WHERE state = 'pending'",
    "INSERT INTO webhook_lease (id, holder, ends_at) VALUES (1, '', 0)",
];

/// `types` has commas between them; nothing is all of them.
fn webhook() -> TableCreateStatement {
    let mut table = mutable_table("webhook");
    table.col(text("id").primary_key()).col(text("url")).col(text("description")).col(text_null("types")).col(text_null("org"));
    table.col(big_integer_null("disabled_at")).col(text_null("disabled_because"));
    table.check(Expr::cust("(disabled_at IS NULL) = (disabled_because IS NULL)"));
    table.check(Expr::cust("disabled_because IN ('admin', 'gone', 'failing')")).take()
}

/// A secret has to be known to sign by it. It is sealed where the settings name a key for that.
fn webhook_secret() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("webhook_secret").col(text("id").primary_key()).col(text("webhook")).col(big_integer("is_sealed"));
    table.col(ColumnDef::new("secret").blob().not_null()).col(big_integer("created_at")).col(big_integer_null("expires_at"));
    table.check(Expr::cust("is_sealed IN (0, 1)"));
    table.foreign_key(&mut of_webhook("webhook_secret")).take()
}

/// How far each endpoint's events are written down for it, and since when it has done nothing but fail.
fn webhook_progress() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("webhook_progress").col(text("webhook").primary_key()).col(big_integer("seq"));
    table.col(big_integer_null("failing_since")).check(Expr::cust("seq >= 0"));
    table.foreign_key(&mut of_webhook("webhook_progress")).take()
}

/// What an endpoint is told, in the order of `seq` for each org. What has no org has an empty one. `is_manual` is sent once more by hand, out of the order.
fn webhook_delivery() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("webhook_delivery").col(text("id").primary_key()).col(text("webhook")).col(big_integer("seq"));
    table.col(text("event")).col(text("type")).col(text("org")).col(big_integer("is_manual")).col(text("state"));
    table.col(big_integer("created_at")).col(big_integer("next_at")).col(big_integer("attempts"));
    table.col(big_integer_null("first_at")).col(big_integer_null("last_at")).col(big_integer_null("status"));
    table.col(text_null("error")).col(big_integer_null("duration_ms"));
    table.check(Expr::cust("is_manual IN (0, 1)")).check(Expr::cust("state IN ('pending', 'delivered', 'failed')"));
    table.check(Expr::cust("attempts >= 0")).check(Expr::cust("(attempts = 0) = (last_at IS NULL)"));
    table.foreign_key(&mut of_webhook("webhook_delivery")).take()
}

/// Which process delivers, until when.
fn webhook_lease() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("webhook_lease").col(big_integer("id").primary_key()).col(text("holder")).col(big_integer("ends_at"));
    table.check(Expr::cust("id = 1")).take()
}

fn of_webhook(table: &'static str) -> ForeignKeyCreateStatement {
    reference(table, "webhook", ("webhook", "id"), ForeignKeyAction::Cascade)
}
