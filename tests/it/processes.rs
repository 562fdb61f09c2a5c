//! Several processes over one PostgreSQL: the same answers and the same guarantees as of one.

mod differential;
mod fresh;
mod oracle;
mod pgbouncer;
mod races;
mod schema;
mod statements;
mod tls;
mod told;

use crate::harness::{Postgres, Setup};

/// A PostgreSQL that finds deadlocks long before anybody has waited too long.
fn watchful() -> Postgres {
    Postgres::with(|options| options.setting("deadlock_timeout", "100ms"))
}

/// Processes that wait for the database however long a busy machine takes: of tests that are about what is answered, not when.
fn patient(postgres: &Postgres) -> Setup {
    Setup::on_postgres(postgres).variable("PLIMSOLL_DATABASE_DEADLINE_MS", "30000")
}
