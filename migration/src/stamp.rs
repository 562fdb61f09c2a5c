//! What the header of an embedded database says about itself, so that a file can be judged before it is opened.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Writes whose database it is, and the version that it is at after this step. Part of the step's transaction.
pub(crate) async fn stamp(manager: &SchemaManager<'_>, version: u32) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let connection = manager.get_connection();
    connection.execute_unprepared(&format!("PRAGMA application_id = {}", crate::APPLICATION_ID)).await?;
    connection.execute_unprepared(&format!("PRAGMA user_version = {version}")).await?;
    Ok(())
}
