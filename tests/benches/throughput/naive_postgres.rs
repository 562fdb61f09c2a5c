//! What most products would write on PostgreSQL: `consume` as one conditional UPDATE per request through a pool, as durable as Plimsoll's.

use std::sync::Arc;
use std::time::Duration;

use actix_web::error::ErrorInternalServerError;
use actix_web::rt::System;
use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, Statement};

use crate::bare::{self, Question};
use crate::place::Place;
use crate::postgres::Postgres;
use crate::scenario::{DIGITS, ORG, Scenario};
use crate::{Contender, Outcome};

/// The cap: nobody ever reaches it.
const MAX: u64 = 9_007_199_254_740_991;
/// How long a request waits for a connection.
const TURN: Duration = Duration::from_secs(60);
const TAKE: &str = "UPDATE counter SET used = used + $1 WHERE org = $2 AND limit_key = $3 AND used + $1 <= $4 RETURNING used";

/// Starts this very program as the naive server, on a database with a counter for each org.
pub(crate) fn start(answer_bytes: usize, cluster: &Arc<Postgres>, orgs: usize, pool: u32) -> Outcome<Contender> {
    let place = Place::postgres(cluster, "naive");
    place.execute(
        "CREATE TABLE counter (org TEXT COLLATE \"C\" NOT NULL, limit_key TEXT COLLATE \"C\" NOT NULL, used BIGINT NOT NULL, \
         PRIMARY KEY (org, limit_key))",
    )?;
    place.execute(&format!("ALTER TABLE counter OWNER TO {}", crate::postgres::USER))?;
    let (numbered, numbers) = (place.numbered(ORG, DIGITS), place.numbers(0, orgs - 1));
    let counted_key = crate::plimsoll::COUNTED_KEY;
    place.execute(&format!("INSERT INTO counter SELECT {numbered}, '{counted_key}', 0 FROM {numbers}"))?;
    place.execute("VACUUM ANALYZE counter")?;
    let (url, pool) = (place.url(), pool.to_string());
    let mut contender = bare::start_self("naive", "--naive-server", answer_bytes, &["--naive-url", &url, "--pool", &pool])?;
    contender.server = contender.server.keeping(place);
    contender.notes.push(format!("a pool of {pool}"));
    Ok(contender)
}

/// Serves until it is ended.
pub(crate) fn serve(answer_bytes: usize, url: &str, pool: u32) -> Outcome<()> {
    let padding = Data::new(bare::padding(answer_bytes)?);
    let mut options = ConnectOptions::new(url);
    options.max_connections(pool).min_connections(pool).acquire_timeout(TURN).sqlx_logging(false).test_before_acquire(false);
    System::new().block_on(async move {
        let database = Data::new(Database::connect(options).await?);
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

async fn consume(
    question: Json<Question>,
    database: Data<DatabaseConnection>,
    padding: Data<String>,
) -> actix_web::Result<HttpResponse> {
    let used = taken(&database, &question).await.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(bare::answer(&question, used, MAX, &padding)))
}

/// What is used now; the cap when there is no room.
async fn taken(database: &DatabaseConnection, question: &Question) -> Result<u64, DbErr> {
    let amount = i64::try_from(question.amount).unwrap_or(i64::MAX);
    let max = i64::try_from(MAX).unwrap_or(i64::MAX);
    let values = [amount.into(), question.org.as_str().into(), question.limit_key.as_str().into(), max.into()];
    let row = database.query_one_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, TAKE, values)).await?;
    let Some(row) = row else { return Ok(MAX) };
    Ok(u64::try_from(row.try_get::<i64>("", "used")?).unwrap_or(0))
}
