//! What reads go through: the embedded database as it is; a database server with patience that ends.

use std::future::Future;
use std::sync::Arc;

use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    IsolationLevel, QueryResult, Statement, TransactionTrait,
};

use tokio::runtime::Handle;

use super::error::is_outage;
use super::health::Health;

/// The connections that questions are answered by.
///
/// On a server every statement runs in a task of its own, so that a caller that hangs up never leaves a connection in the middle
/// of one, and whoever waits longer than the server's deadline waits no more.
#[derive(Clone)]
pub struct Reader {
    db: DatabaseConnection,
    /// Of a server.
    server: Option<(Arc<Health>, Handle)>,
}

impl Reader {
    /// Of an embedded database.
    pub(super) const fn embedded(db: DatabaseConnection) -> Self {
        Self { db, server: None }
    }

    /// Of a server, whose connections live with the program and not with the thread that happens to ask first.
    pub(super) const fn of_server(db: DatabaseConnection, health: Arc<Health>, runtime: Handle) -> Self {
        Self { db, server: Some((health, runtime)) }
    }

    /// A transaction that sees the database as it is in one moment. It is to be held in a task of its own.
    pub(super) async fn moment(&self) -> Result<DatabaseTransaction, DbErr> {
        match &self.server {
            None => self.db.begin().await,
            Some(_) => self.db.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await,
        }
    }

    /// Closes its connections.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.db.close_by_ref().await
    }

    /// Reads twice if a connection was found broken: reading changes nothing, and the next connection may be good.
    async fn read<T, F>(&self, statement: Statement, read: impl Fn(DatabaseConnection, Statement) -> F) -> Result<T, DbErr>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let Some(server @ (health, _)) = &self.server else { return read(self.db.clone(), statement).await };
        health.check().map_err(|error| DbErr::Conn(sea_orm::RuntimeErr::Internal(error.to_string())))?;
        match in_time(server, read(self.db.clone(), statement.clone())).await {
            Err(error) if is_outage(&error) && !is_silence(&error) => in_time(server, read(self.db.clone(), statement)).await,
            answered => answered,
        }
    }
}

async fn in_time<T: Send + 'static>(
    (health, runtime): &(Arc<Health>, Handle),
    work: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    match tokio::time::timeout(health.deadline, runtime.spawn(work)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(DbErr::Custom(format!("The read was abandoned: {error}"))),
        Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
    }
}

/// Nobody answered, so that asking again would only be more waiting.
const fn is_silence(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(_))
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.read(statement, |db, statement| async move { db.execute_raw(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.db.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.read(statement, |db, statement| async move { db.query_one_raw(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.read(statement, |db, statement| async move { db.query_all_raw(statement).await }).await
    }
}
