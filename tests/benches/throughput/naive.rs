//! What most products would write: `consume` as one transaction per request, select, compare, upsert, commit, as durable as Plimsoll's.

use std::time::Duration;

use actix_web::error::ErrorInternalServerError;
use actix_web::rt::System;
use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use sea_orm::sea_query::OnConflict;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait, Set, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use crate::bare::{self, Question};
use crate::scenario::Scenario;
use crate::{Contender, Outcome};

/// The cap: nobody ever reaches it.
const MAX: u64 = 9_007_199_254_740_991;
/// How long a request waits for the one connection that writes.
const TURN: Duration = Duration::from_secs(60);

mod counter {
    //! What an org has used of a limit key.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "counter")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) org: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) limit_key: String,
        pub(super) used: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Starts this very program as the naive server.
pub(crate) fn start(answer_bytes: usize) -> Outcome<Contender> {
    bare::start_self("naive", "--naive-server", answer_bytes, &[])
}

/// Serves until it is ended, on a database of its own.
pub(crate) fn serve(answer_bytes: usize) -> Outcome<()> {
    let padding = Data::new(bare::padding(answer_bytes)?);
    let folder = tempfile::tempdir()?;
    System::new().block_on(async move {
        let database = Data::new(open(&folder.path().join("naive.db")).await?);
        let app = move || {
            let app = App::new().app_data(padding.clone()).app_data(database.clone());
            app.route(Scenario::Naive.path(), web::post().to(consume))
        };
        let server = HttpServer::new(app).keep_alive(bare::KEEP_ALIVE).bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            eprintln!("listening on http://{address}");
        }
        server.run().await?;
        Ok(())
    })
}

/// One connection, since `SQLite` has one writer: more of them would wait for its lock instead of for their turn.
async fn open(file: &std::path::Path) -> Result<DatabaseConnection, DbErr> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true).disable_statement_logging();
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut pool = ConnectOptions::new("sqlite::memory:");
    pool.map_sqlx_sqlite_opts(move |_| options.clone());
    pool.max_connections(1).min_connections(1).acquire_timeout(TURN).sqlx_logging(false).test_before_acquire(false);
    let database = Database::connect(pool).await?;
    let table = "CREATE TABLE counter (org TEXT NOT NULL, limit_key TEXT NOT NULL, used INTEGER NOT NULL, \
                 PRIMARY KEY (org, limit_key)) WITHOUT ROWID";
    database.execute_unprepared(table).await?;
    Ok(database)
}

async fn consume(
    question: Json<Question>,
    database: Data<DatabaseConnection>,
    padding: Data<String>,
) -> actix_web::Result<HttpResponse> {
    let used = taken(&database, &question).await.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(bare::answer(&question, used, MAX, &padding)))
}

/// What is used now.
async fn taken(database: &DatabaseConnection, question: &Question) -> Result<u64, DbErr> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
    let transaction = database.begin_with_options(options).await?;
    let id = (question.org.clone(), question.limit_key.clone());
    let found = counter::Entity::find_by_id(id).one(&transaction).await?;
    let used = found.map_or(0, |row| u64::try_from(row.used).unwrap_or(0));
    let wanted = used.saturating_add(question.amount);
    if wanted > MAX {
        return Ok(used);
    }
    let row = counter::ActiveModel {
        org: Set(question.org.clone()),
        limit_key: Set(question.limit_key.clone()),
        used: Set(i64::try_from(wanted).unwrap_or(i64::MAX)),
    };
    let conflict =
        OnConflict::columns([counter::Column::Org, counter::Column::LimitKey]).update_column(counter::Column::Used).to_owned();
    counter::Entity::insert(row).on_conflict(conflict).exec_without_returning(&transaction).await?;
    transaction.commit().await?;
    Ok(wanted)
}
