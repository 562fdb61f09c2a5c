//! Which steps of the schema a database has, and whether this program can do with them.

use migration::{Migrator, MigratorTrait, SCHEMA_VERSION};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::open::Trouble;

/// What is said of a schema that a newer program made.
pub(super) fn newer(schema: &str) -> String {
    format!("has a newer schema ({schema}) than this program knows (version {SCHEMA_VERSION}): use a newer plimsoll")
}

/// Refuses a schema that is not exactly this program's.
pub(super) async fn check_applied(db: &impl ConnectionTrait) -> Result<(), Trouble> {
    check_versions(db, true).await
}

/// Refuses steps that this program does not know and, when it cannot apply them, steps that are missing.
pub(super) async fn check_versions(db: &impl ConnectionTrait, must_be_complete: bool) -> Result<(), Trouble> {
    let applied = applied_steps(db).await?;
    let known = Migrator::migrations();
    if let Some(unknown) = applied.iter().find(|name| !known.iter().any(|step| step.name() == *name)) {
        return Err(Trouble::Problem(newer(unknown)));
    }
    if must_be_complete && applied.len() < known.len() {
        return Err(Trouble::Problem("has an older schema: run plimsoll migrate first".to_owned()));
    }
    Ok(())
}

async fn applied_steps(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let is_there = if db.get_database_backend() == DbBackend::Sqlite {
        "SELECT COUNT(*) FROM sqlite_master WHERE name = 'seaql_migrations'"
    } else {
        "SELECT count(to_regclass('seaql_migrations'))"
    };
    if scalar(db, is_there).await? == 0 {
        return Ok(Vec::new());
    }
    let statement = Statement::from_string(db.get_database_backend(), "SELECT version FROM seaql_migrations");
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The number that a statement answers.
pub(super) async fn scalar(db: &impl ConnectionTrait, sql: &str) -> Result<i64, DbErr> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}
