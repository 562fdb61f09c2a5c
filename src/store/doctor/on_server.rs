//! The same look at a database server: what no constraint of its can say.

use sea_orm::{AccessMode, DbErr, IsolationLevel, TransactionTrait};

use super::super::open::Trouble;
use super::super::postgres::{Purpose, Server};
use super::super::versions::check_applied;
use super::Report;
use super::checks::{CHECKS, SHARED, TEXTS};
use super::examination::{Examination, Level};
use super::schema::Expected;
use crate::domain::time::UtcMillis;

/// Looks at a database as it stands at `now`, also while processes serve it.
pub(super) async fn examine(server: &Server, now: UtcMillis) -> Result<Report, Trouble> {
    let connection = server.pool(Purpose::Schema).await?;
    check_applied(&connection).await?;
    let moment = connection.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await?;
    let expected = Expected::build().await?.on_server();
    let report = look(Examination::of(moment, expected, now)).await?;
    connection.close().await?;
    Ok(report)
}

async fn look(mut examination: Examination) -> Result<Report, DbErr> {
    examination.look_at_revision().await?;
    for check in CHECKS.iter().chain(SHARED).filter(|check| !check.is_of_files) {
        examination.look_for(check).await?;
    }
    for (table, column, text) in TEXTS {
        let says = format!("its {column} {}", text.expected());
        examination.find(Level::Off, table, &says, &text.is_violated_on_server(column)).await?;
    }
    examination.look_at_windows().await?;
    examination.look_at_caps().await?;
    examination.count().await?;
    examination.end().await
}
