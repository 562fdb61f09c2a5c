//! What reads go through: the embedded database as it is; a database server with patience that ends.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    IsolationLevel, QueryResult, Statement, TransactionTrait,
};

use tokio::runtime::Handle;

use super::error::is_outage;
use super::health::Health;
use super::postgres::{Purpose, Server};

/// The connections that questions are answered by.
///
/// On a server every statement runs in a task of its own, so that a caller that hangs up never leaves a connection in the middle
/// of one, and whoever waits longer than the server's deadline waits no more.
#[derive(Clone)]
pub struct Reader(Kind);

#[derive(Clone)]
enum Kind {
    Embedded(DatabaseConnection),
    Server(OfServer),
}

/// What reading from a server goes by.
#[derive(Clone)]
struct OfServer {
    server: Arc<Server>,
    health: Arc<Health>,
    /// Connections live with the program and not with the thread that happens to ask first.
    runtime: Handle,
    pool: Arc<Mutex<Pool>>,
}

struct Pool {
    connections: DatabaseConnection,
    /// How often the server had been found down when it was made.
    outages: u64,
}

impl Reader {
    /// Of an embedded database.
    pub(super) const fn embedded(db: DatabaseConnection) -> Self {
        Self(Kind::Embedded(db))
    }

    /// Of a server.
    pub(super) async fn of_server(server: Arc<Server>, health: Arc<Health>) -> Result<Self, DbErr> {
        let outages = health.outages();
        let pool = Arc::new(Mutex::new(Pool { connections: server.pool(Purpose::Questions).await?, outages }));
        Ok(Self(Kind::Server(OfServer { server, health, runtime: Handle::current(), pool })))
    }

    /// A transaction that sees the database as it is in one moment. It is to be held in a task of its own.
    pub(super) async fn moment(&self) -> Result<DatabaseTransaction, DbErr> {
        match &self.0 {
            Kind::Embedded(db) => db.begin().await,
            Kind::Server(server) => {
                let (isolation, access) = (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
                server.insist(async |db| db.begin_with_config(isolation, access).await).await
            }
        }
    }

    /// Closes its connections.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match &self.0 {
            Kind::Embedded(db) => db.close_by_ref().await,
            Kind::Server(server) => server.latest().await?.close().await,
        }
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
        let server = match &self.0 {
            Kind::Embedded(db) => return read(db.clone(), statement).await,
            Kind::Server(server) => server,
        };
        server.health.check().map_err(|error| DbErr::Conn(sea_orm::RuntimeErr::Internal(error.to_string())))?;
        let asker = server.clone();
        let work = async move { asker.insist(|db| read(db, statement.clone())).await };
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
    async fn insist<T, F>(&self, mut read: impl FnMut(DatabaseConnection) -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        for _ in 0..self.server.readers() {
            match read(self.latest().await?).await {
                Err(error) if is_outage(&error) && !is_silence(&error) => {}
                answered => return answered,
            }
        }
        read(self.latest().await?).await
    }

    /// Connections that were not there when the server was last found down: those may hang, and never be given back.
    async fn latest(&self) -> Result<DatabaseConnection, DbErr> {
        let outages = self.health.outages();
        if let Some(connections) = self.made_since(outages) {
            return Ok(connections);
        }
        let connections = self.server.pool(Purpose::Questions).await?;
        let made = Pool { connections: connections.clone(), outages };
        let before = std::mem::replace(&mut *self.pool(), made).connections;
        // What hangs is not waited for.
        self.runtime.spawn(async move { before.close().await });
        Ok(connections)
    }

    fn made_since(&self, outages: u64) -> Option<DatabaseConnection> {
        let pool = self.pool();
        (pool.outages >= outages).then(|| pool.connections.clone())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody answered, so that asking again would only be more waiting.
const fn is_silence(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(_))
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            Kind::Embedded(db) => db.get_database_backend(),
            Kind::Server(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.read(statement, |db, statement| async move { db.execute_raw(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            Kind::Embedded(db) => db.execute_unprepared(sql).await,
            Kind::Server(server) => server.latest().await?.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.read(statement, |db, statement| async move { db.query_one_raw(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.read(statement, |db, statement| async move { db.query_all_raw(statement).await }).await
    }
}
