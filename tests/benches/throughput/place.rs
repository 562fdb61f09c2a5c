//! Where a server keeps its data, and what is written there before it is measured.

use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::Outcome;
use crate::postgres::Postgres;

/// A database. It is removed with the last who knows of it.
#[derive(Clone)]
pub(crate) enum Place {
    /// The embedded one, in a folder of its own.
    File(Arc<TempDir>),
    /// One of this name.
    Postgres(Arc<Postgres>, String),
}

impl Place {
    /// An empty embedded one.
    pub(crate) fn file() -> Outcome<Self> {
        Ok(Self::File(Arc::new(TempDir::new()?)))
    }

    /// An empty one of this name.
    pub(crate) fn postgres(cluster: &Arc<Postgres>, name: &str) -> Self {
        cluster.database(name);
        Self::Postgres(Arc::clone(cluster), name.to_owned())
    }

    /// As a server is told.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite://{}?mode=rwc", path(folder).display()),
            Self::Postgres(cluster, name) => cluster.url_at(cluster.address(), name),
        }
    }

    /// The processes that work for whoever uses it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Postgres(cluster, _) => {
                let ids = cluster.processes().into_iter().map(|pid| pid.as_raw_nonzero().get());
                ids.filter_map(|id| u32::try_from(id).ok()).collect()
            }
        }
    }

    /// Runs one statement. No server must use it meanwhile.
    pub(crate) fn execute(&self, statement: &str) -> Outcome<()> {
        match self {
            Self::File(_) => self.in_file(async |database| {
                database.execute_unprepared(statement).await?;
                Ok(())
            }),
            Self::Postgres(cluster, name) => match cluster.try_sql(name, statement) {
                Ok(_) => Ok(()),
                Err(refused) => Err(refused.0.into()),
            },
        }
    }

    /// The columns of a table, in order.
    pub(crate) fn columns(&self, table: &str) -> Outcome<Vec<String>> {
        match self {
            Self::File(_) => {
                let mut columns = Vec::new();
                self.in_file(async |database| {
                    let query = format!("SELECT name FROM pragma_table_info('{table}')");
                    for row in database.query_all_raw(Statement::from_string(DatabaseBackend::Sqlite, query)).await? {
                        columns.push(row.try_get::<String>("", "name")?);
                    }
                    Ok(())
                })?;
                Ok(columns)
            }
            Self::Postgres(cluster, name) => {
                let query = format!(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
                );
                let rows = cluster.try_sql(name, &query).map_err(|refused| refused.0)?;
                Ok(rows.into_iter().flatten().collect())
            }
        }
    }

    /// A table `numbers` of one column `number`, to be selected from.
    pub(crate) fn numbers(&self, first: usize, last: usize) -> String {
        match self {
            Self::File(_) => format!(
                "(WITH RECURSIVE n(number) AS (SELECT {first} AS number WHERE {first} <= {last} \
                 UNION ALL SELECT number + 1 FROM n WHERE number < {last}) SELECT number FROM n) numbers"
            ),
            Self::Postgres(..) => format!("generate_series({first}, {last}) numbers(number)"),
        }
    }

    /// The number of a row as text behind a prefix, with leading zeros.
    pub(crate) fn numbered(&self, prefix: &str, digits: usize) -> String {
        match self {
            Self::File(_) => format!("printf('{prefix}%0{digits}d', number)"),
            Self::Postgres(..) => format!("'{prefix}' || lpad(number::text, {digits}, '0')"),
        }
    }

    /// Does something with the file that only the embedded database can.
    pub(crate) fn in_file(&self, work: impl AsyncFnOnce(&DatabaseConnection) -> Outcome<()>) -> Outcome<()> {
        let Self::File(folder) = self else { return Err("this is for the embedded database".into()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let database = Database::connect(format!("sqlite://{}?mode=rw", path(folder).display())).await?;
            work(&database).await?;
            database.close().await?;
            Ok(())
        })
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("plimsoll.db")
}
