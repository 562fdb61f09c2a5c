//! What happened, for those who follow it, and which limits were told to be reached.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

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
        let own = if is_embedded { EMBEDDED } else { SHARED };
        for statement in own.iter().chain(BOTH) {
            connection.execute_unprepared(statement).await?;
        }
        stamp(manager, 10).await
    }
}

/// One process writes, so that the order of the rows is that of the commits. A number is never given twice, also when every
/// event is deleted.
const EMBEDDED: &[&str] = &[
    "CREATE TABLE event (seq integer NOT NULL PRIMARY KEY AUTOINCREMENT, id text NOT NULL UNIQUE, type text NOT NULL, org text, \
     at bigint NOT NULL, data text NOT NULL)",
    "ALTER TABLE usage ADD COLUMN reached bigint NOT NULL DEFAULT 0 CHECK (reached IN (0, 1))",
    "ALTER TABLE org_override ADD COLUMN told bigint NOT NULL DEFAULT 0 CHECK (told IN (0, 1, 2))",
    "UPDATE org_override SET told = 2 WHERE expires_at <= CAST(strftime('%s', 'now') AS integer) * 1000",
];

/// Several processes write, and commit in another order than that of any number that they take before. So events have no number
/// until they are committed; then one process at a time gives them theirs, in the order of `place`: what follows from what another
/// transaction did is inserted after that one's commit, and so has the later place.
const SHARED: &[&str] = &[
    "CREATE TABLE event (place bigserial PRIMARY KEY, seq bigint UNIQUE, id text NOT NULL UNIQUE, type text NOT NULL, org text, \
     at bigint NOT NULL, data text NOT NULL)",
    "CREATE INDEX event_without_seq ON event (place) WHERE seq IS NULL",
    "ALTER TABLE usage ADD COLUMN reached bigint NOT NULL DEFAULT 0 CHECK (reached IN (0, 1))",
    "ALTER TABLE org_override ADD COLUMN told bigint NOT NULL DEFAULT 0 CHECK (told IN (0, 1, 2))",
    "UPDATE org_override SET told = 2 WHERE expires_at <= extract(epoch FROM now()) * 1000",
];

/// `last` is the last number that was given where processes share the feed, `swept` the last that was deleted. An override is `told`
/// of once before it lapses (1), and once when it has (2).
const BOTH: &[&str] = &[
    "CREATE INDEX event_by_org_seq ON event (org, seq)",
    "CREATE INDEX org_override_to_tell ON org_override (expires_at) WHERE expires_at IS NOT NULL AND told < 2",
    "CREATE TABLE event_feed (id bigint NOT NULL PRIMARY KEY, last bigint NOT NULL, swept bigint NOT NULL, CHECK (id = 1), \
     CHECK (last >= 0), CHECK (swept >= 0))",
    "INSERT INTO event_feed (id, last, swept) VALUES (1, 0, 0)",
];
