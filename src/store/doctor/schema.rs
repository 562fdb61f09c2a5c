//! What the schema should be: built anew in memory by the steps of this version, and taken apart.

use std::collections::BTreeMap;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};

/// The schema of this version.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The text of every table and index, without what says nothing.
    pub(super) objects: BTreeMap<String, String>,
    pub(super) tables: Vec<Table>,
}

/// A table as it should be.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// An expression for the key of a row, which is called `r`.
    pub(super) key: String,
    /// What its constraints demand of each row.
    pub(super) conditions: Vec<String>,
    pub(super) has_references: bool,
}

/// A column as it should be.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// `integer`, `text` or `blob`.
    storage: &'static str,
    is_nullable: bool,
    is_key: bool,
}

impl Column {
    pub(super) fn described(&self) -> &'static str {
        match (self.storage, self.is_nullable) {
            ("integer", false) => "a whole number",
            ("integer", true) => "a whole number or NULL",
            ("blob", _) => "bytes",
            (_, false) => "a text",
            (_, true) => "a text or NULL",
        }
    }

    pub(super) fn is_violated(&self) -> String {
        let also = if self.is_nullable { ", 'null'" } else { "" };
        format!("typeof(r.\"{}\") NOT IN ('{}'{also})", self.name, self.storage)
    }

    /// Its text, for a database server.
    fn shown_on_server(&self) -> String {
        match self.storage {
            "blob" => format!("encode(r.\"{}\", 'hex')", self.name),
            _ => format!("r.\"{}\"::text", self.name),
        }
    }

    fn shown(&self) -> String {
        match self.storage {
            "blob" => format!("hex(r.\"{}\")", self.name),
            _ => format!("coalesce(r.\"{}\", 'NULL')", self.name),
        }
    }
}

impl Expected {
    /// With the keys of rows as a database server writes them.
    pub(super) fn on_server(mut self) -> Self {
        for table in &mut self.tables {
            table.key = match table.name.as_str() {
                "api_key_secret" => "r.key_id || '/' || r.shown".to_owned(),
                "answer" => "r.caller || '/' || encode(r.key_hash, 'hex')".to_owned(),
                _ => {
                    let keys = table.columns.iter().filter(|column| column.is_key);
                    keys.map(Column::shown_on_server).collect::<Vec<_>>().join(" || '/' || ")
                }
            };
        }
        self
    }

    pub(super) async fn build() -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new("sqlite::memory:");
        // Each connection would have a memory of its own.
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await?;
        Migrator::up(&db, None).await?;
        let objects = objects(&db).await?;
        let mut tables = Vec::new();
        for (name, text) in &objects {
            if text.starts_with("CREATE TABLE") {
                tables.push(table(&db, name, text).await?);
            }
        }
        db.close().await?;
        Ok(Self { objects, tables })
    }
}

/// The text of every table, index, view and trigger. What the database and the migrations keep for themselves is left out.
pub(super) async fn objects(db: &impl ConnectionTrait) -> Result<BTreeMap<String, String>, DbErr> {
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               AND name <> 'seaql_migrations'";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

async fn table(db: &DatabaseConnection, name: &str, text: &str) -> Result<Table, DbErr> {
    let sql = format!("SELECT name, lower(type), \"notnull\", pk FROM pragma_table_info('{name}') ORDER BY pk, cid");
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let columns: Vec<Column> = rows.iter().map(column).collect::<Result<_, _>>()?;
    let key = match name {
        // Not by the hash of the secret: a report is passed around.
        "api_key_secret" => "r.key_id || '/' || r.shown".to_owned(),
        _ => columns.iter().filter(|column| column.is_key).map(Column::shown).collect::<Vec<_>>().join(" || '/' || "),
    };
    let has_references = text.contains("FOREIGN KEY");
    Ok(Table { name: name.to_owned(), columns, key, conditions: conditions(text), has_references })
}

fn column(row: &sea_orm::QueryResult) -> Result<Column, DbErr> {
    let declared: String = row.try_get_by_index(1)?;
    let storage = match declared.as_str() {
        "text" => "text",
        "blob" => "blob",
        // Also a boolean.
        _ => "integer",
    };
    let (not_null, key): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
    Ok(Column { name: row.try_get_by_index(0)?, storage, is_nullable: not_null == 0, is_key: key > 0 })
}

/// The conditions of a table's constraints, out of its text.
fn conditions(text: &str) -> Vec<String> {
    text.split("CHECK (").skip(1).filter_map(|rest| rest.get(..end_of(rest)?)).map(str::to_owned).collect()
}

/// Where the parenthesis closes that was opened before this text.
fn end_of(rest: &str) -> Option<usize> {
    let mut depth = 1_u32;
    rest.char_indices().find_map(|(at, character)| {
        depth = match character {
            '(' => depth.saturating_add(1),
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        (depth == 0).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_constraint_of_the_schema_is_found() {
        let expected = Expected::build().await.expect("a schema");
        let checks: usize = expected.objects.values().map(|text| text.matches("CHECK").count()).sum();
        assert_eq!(expected.tables.iter().map(|table| table.conditions.len()).sum::<usize>(), checks);
        let usage = expected.tables.iter().find(|table| table.name == "usage").expect("a table");
        assert_eq!(usage.columns.len(), 7);
        assert!(usage.conditions.contains(&"used BETWEEN 0 AND 9007199254740991".to_owned()), "{:?}", usage.conditions);
        assert!(expected.tables.iter().all(|table| !table.key.is_empty()), "every row has a key to be named by");
    }

    #[test]
    fn a_condition_ends_with_its_own_parenthesis() {
        assert_eq!(conditions("x CHECK ((a) = (b IN (1))), CHECK (c) )"), ["(a) = (b IN (1))", "c"]);
    }
}
