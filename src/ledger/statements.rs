//! Statements over many rows, in a few fixed sizes, so that the database prepares each of them once.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

/// Rows in one statement, largest first. 256 rows of 13 columns stay far below the parameters that a statement may have.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A statement around a list of rows: `before (…), (…) after`.
pub(super) struct Rows {
    pub(super) before: &'static str,
    pub(super) columns: usize,
    pub(super) after: &'static str,
}

impl Rows {
    /// Executes the statement for all rows, in as few statements as the sizes allow.
    pub(super) async fn execute(&self, db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Result<(), DbErr> {
        for statement in self.statements(db, rows) {
            db.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// Queries with the statement for all rows.
    pub(super) async fn query(&self, db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Result<Vec<QueryResult>, DbErr> {
        let mut found = Vec::new();
        for statement in self.statements(db, rows) {
            found.append(&mut db.query_all_raw(statement).await?);
        }
        Ok(found)
    }

    fn statements(&self, db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Vec<Statement> {
        let backend = db.get_database_backend();
        let mut rows = rows.into_iter();
        let mut statements = Vec::new();
        for size in SIZES {
            while rows.len() >= size {
                let values: Vec<Value> = rows.by_ref().take(size).flatten().collect();
                statements.push(Statement::from_sql_and_values(backend, self.sql(size, backend), values));
            }
        }
        statements
    }

    fn sql(&self, size: usize, backend: DbBackend) -> String {
        let mut sql = String::with_capacity(self.before.len().saturating_add(size.saturating_mul(32)));
        sql.push_str(self.before);
        for number in 0..size.saturating_mul(self.columns) {
            let (row, column) = (number.checked_div(self.columns), number.checked_rem(self.columns));
            sql.push_str(match (row, column) {
                (Some(0), Some(0)) => "(",
                (_, Some(0)) => "), (",
                _ => ", ",
            });
            match backend {
                // Parameters that have a name, also a number, are looked up one by one in a list of all of them.
                DbBackend::Sqlite | DbBackend::MySql => sql.push('?'),
                // Writing to a string cannot fail.
                DbBackend::Postgres | _ => write!(sql, "${}", number.saturating_add(1)).unwrap_or_default(),
            }
        }
        sql.push(')');
        sql.push_str(self.after);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: Rows = Rows { before: "INSERT INTO t VALUES ", columns: 2, after: " ON CONFLICT DO NOTHING" };

    #[test]
    fn a_statement_lists_its_rows() {
        let (embedded, server) = (DbBackend::Sqlite, DbBackend::Postgres);
        assert_eq!(PAIRS.sql(1, embedded), "INSERT INTO t VALUES (?, ?) ON CONFLICT DO NOTHING");
        assert_eq!(PAIRS.sql(2, embedded), "INSERT INTO t VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING");
        assert_eq!(PAIRS.sql(3, server), "INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6) ON CONFLICT DO NOTHING");
    }

    #[tokio::test]
    async fn any_number_of_rows_is_cut_into_the_fixed_sizes_and_none_is_lost() {
        let db = sea_orm::Database::connect("sqlite::memory:").await.expect("a database");
        for count in [0_i64, 1, 3, 5, 255, 256, 700] {
            let rows = (0..count).map(|number| vec![Value::from(number), Value::from(number)]).collect();
            let statements = PAIRS.statements(&db, rows);
            let values: Vec<Value> =
                statements.iter().flat_map(|statement| statement.values.clone().expect("values").0).collect();
            let expected: Vec<Value> = (0..count).flat_map(|number| [Value::from(number), Value::from(number)]).collect();
            assert_eq!(values, expected);
        }
    }
}
