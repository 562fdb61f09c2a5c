//! Statements over many rows. The embedded database is given them one by one; a server takes the rows as arrays, one for each
//! column, so that a statement is one whatever the number of rows.

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use crate::store::many::{self, MAX_ROWS};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Text,
    Number,
    /// A number above 0, or nothing.
    Maybe,
}

/// A statement around a list of rows: `before (…), (…) after`.
pub(super) struct Rows {
    pub(super) before: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) after: &'static str,
}

impl Rows {
    /// Executes the statement for all rows, in as few statements as there can be.
    pub(super) async fn execute(&self, db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Result<(), DbErr> {
        for statement in self.statements(db.get_database_backend(), rows) {
            db.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// Queries with the statement for all rows.
    pub(super) async fn query(&self, db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Result<Vec<QueryResult>, DbErr> {
        let mut found = Vec::new();
        for statement in self.statements(db.get_database_backend(), rows) {
            found.append(&mut db.query_all_raw(statement).await?);
        }
        Ok(found)
    }

    fn statements(&self, backend: DbBackend, rows: Vec<Vec<Value>>) -> Vec<Statement> {
        if rows.is_empty() {
            return Vec::new();
        }
        if backend == DbBackend::Postgres {
            return vec![Statement::from_sql_and_values(backend, self.sql_of_arrays(), arrays(self.columns, rows))];
        }
        let mut rows = rows.into_iter();
        let mut statements = Vec::with_capacity(rows.len().div_ceil(MAX_ROWS));
        while rows.len() > 0 {
            let (given, values) = many::rows(self.columns.len(), rows.by_ref().take(MAX_ROWS));
            statements.push(Statement::from_sql_and_values(backend, format!("{}{given}{}", self.before, self.after), values));
        }
        statements
    }

    fn sql_of_arrays(&self) -> String {
        let (mut taken, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (number, column) in (1..).zip(self.columns) {
            let (form, array) = match column {
                Column::Text => (format!("c{number}"), "text"),
                Column::Number => (format!("c{number}"), "bigint"),
                Column::Maybe => (format!("nullif(c{number}, 0)"), "bigint"),
            };
            taken.push(form);
            arrays.push(format!("${number}::{array}[]"));
            names.push(format!("c{number}"));
        }
        let (taken, arrays, names) = (taken.join(", "), arrays.join(", "), names.join(", "));
        format!("{}SELECT {taken} FROM unnest({arrays}) AS given ({names}){}", self.before, self.after)
    }
}

/// Rows as arrays, one for each column. There is no NULL in an array: a number that is not there is 0.
pub(super) fn arrays(columns: &[Column], rows: Vec<Vec<Value>>) -> Vec<Value> {
    let mut arrays: Vec<Vec<Value>> = columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (array, value) in arrays.iter_mut().zip(row) {
            array.push(if value == Value::BigInt(None) { Value::BigInt(Some(0)) } else { value });
        }
    }
    let typed = |(column, array): (&Column, Vec<Value>)| {
        let of = match column {
            Column::Text => ArrayType::String,
            Column::Number | Column::Maybe => ArrayType::BigInt,
        };
        Value::Array(of, Some(Box::new(array)))
    };
    columns.iter().zip(arrays).map(typed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: Rows =
        Rows { before: "INSERT INTO t ", columns: &[Column::Text, Column::Maybe], after: " ON CONFLICT DO NOTHING" };

    #[test]
    fn a_statement_lists_its_rows() {
        let rows = vec![vec![Value::from("a"), Value::BigInt(None)], vec![Value::from("b"), Value::from(7_i64)]];
        let statements = PAIRS.statements(DbBackend::Sqlite, rows);
        let [statement] = statements.as_slice() else { panic!("one statement: {statements:?}") };
        let listed = "INSERT INTO t SELECT * FROM (VALUES (?, ?), (?, ?)) WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        assert_eq!(statement.sql, listed);
        let of_arrays = "INSERT INTO t SELECT c1, nullif(c2, 0) FROM unnest($1::text[], $2::bigint[]) AS given (c1, c2) \
                         ON CONFLICT DO NOTHING";
        assert_eq!(PAIRS.sql_of_arrays(), of_arrays);
    }

    #[test]
    fn any_number_of_rows_goes_into_as_few_statements_as_there_can_be_and_none_is_lost() {
        for count in [0_i64, 1, 3, 5, 255, 256, 700] {
            let rows = (0..count).map(|number| vec![Value::from(number), Value::from(number)]).collect();
            let statements = PAIRS.statements(DbBackend::Sqlite, rows);
            assert_eq!(statements.len(), usize::try_from(count).expect("a count").div_ceil(MAX_ROWS));
            let values = statements.iter().flat_map(|statement| statement.values.clone().expect("values").0);
            let values: Vec<Value> = values.filter(|value| *value != Value::BigInt(None)).collect();
            let expected: Vec<Value> = (0..count).flat_map(|number| [Value::from(number), Value::from(number)]).collect();
            assert_eq!(values, expected);
        }
    }

    #[test]
    fn a_server_is_given_one_array_for_each_column() {
        let rows = vec![vec![Value::from("a"), Value::BigInt(None)], vec![Value::from("b"), Value::from(7_i64)]];
        let statements = PAIRS.statements(DbBackend::Postgres, rows);
        let [statement] = statements.as_slice() else { panic!("one statement: {statements:?}") };
        let expected = vec![vec!["a".to_owned(), "b".to_owned()].into(), vec![0_i64, 7].into()];
        assert_eq!(statement.values.as_ref().map(|values| &values.0), Some(&expected));
    }
}
