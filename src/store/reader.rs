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
    server: Option<OfServer>,
}

/// What reading from a server goes by.
#[derive(Clone)]
struct OfServer {
    health: Arc<Health>,
    /// Connections live with the program and not with the thread that happens to ask first.
    runtime: Handle,
    /// So many there are at most.
    connections: u32,
}

impl Reader {
    /// Of an embedded database.
    pub(super) const fn embedded(db: DatabaseConnection) -> Self {
        Self { db, server: None }
    }

    /// Of a server, by so many connections at most, which live on this runtime.
    pub(super) const fn of_server(db: DatabaseConnection, health: Arc<Health>, runtime: Handle, connections: u32) -> Self {
        Self { db, server: Some(OfServer { health, runtime, connections }) }
    }

    /// A transaction that sees the database as it is in one moment. It is to be held in a task of its own.
    pub(super) async fn moment(&self) -> Result<DatabaseTransaction, DbErr> {
        match &self.server {
            None => self.db.begin().await,
            Some(server) => {
                let (isolation, access) = (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
                server.insist(|| self.db.begin_with_config(isolation, access)).await
            }
        }
    }

    /// Closes its connections.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.db.close_by_ref().await
    }

    async fn read<T, F>(
        &self,
        statement: Statement,
        read: impl Fn(DatabaseConnection, Statement) -> F + Send + Sync + 'static,
    ) -> Result<T, DbErr>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let Some(server) = &self.server else { return read(self.db.clone(), statement).await };
        server.health.check().map_err(|error| DbErr::Conn(sea_orm::RuntimeErr::Internal(error.to_string())))?;
        let (asker, db) = (server.clone(), self.db.clone());
        let work = async move { asker.insist(|| read(db.clone(), statement.clone())).await };
        match tokio::time::timeout(server.health.deadline, server.runtime.spawn(work)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(DbErr::Custom(format!("The read was abandoned: {error}"))),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }
}

impl OfServer {
    /// Reads again if a connection was found broken: reading changes nothing. All that idle may have been broken together, and each
    /// is found out only when it is used; the next after them is a new one.
    async fn insist<T, F: Future<Output = Result<T, DbErr>>>(&self, mut read: impl FnMut() -> F) -> Result<T, DbErr> {
        for _ in 0..self.connections {
            match read().await {
                Err(error) if is_outage(&error) && !is_silence(&error) => {}
                answered => return answered,
            }
        }
        read().await
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
