//! Columns and constraints that several tables share.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text};

/// The largest number that every JSON client can hold exactly: 2^53 - 1.
pub(crate) const MAX_QUANTITY: u64 = 9_007_199_254_740_991;

/// A table whose rows change: with the times and the revision that every such row carries.
pub(crate) fn mutable_table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(big_integer("created_at")).col(big_integer("updated_at")).col(big_integer("revision"));
    table.check(Expr::cust("revision > 0"));
    table
}

/// The two columns of a value, of which `number` may be empty for unlimited.
pub(crate) fn value_columns(table: &mut TableCreateStatement, number: &'static str) {
    table.col(text("value_form")).col(big_integer_null(number));
    table.check(Expr::cust("value_form IN ('max', 'days', 'min', 'enabled')"));
    table.check(Expr::cust(format!(
        "({number} IS NULL AND value_form IN ('max', 'days')) OR ({number} IS NOT NULL \
         AND {number} BETWEEN 0 AND {MAX_QUANTITY} AND (value_form <> 'enabled' OR {number} <= 1))"
    )));
}

/// A value always has the form that its limit key's kind takes: the key refers to both.
pub(crate) fn value_of_limit_key(table: &'static str) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.from(table, ("limit_key", "value_form")).to("limit_key", ("name", "value_form"));
    key.on_delete(ForeignKeyAction::Restrict).on_update(ForeignKeyAction::Restrict).take()
}

/// A reference to one column of another table.
pub(crate) fn reference(
    table: &'static str,
    column: &'static str,
    target: (&'static str, &'static str),
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(target.0, target.1).on_delete(on_delete).take()
}

/// A table's primary key over several columns.
pub(crate) fn primary_key(first: &'static str, second: &'static str) -> IndexCreateStatement {
    Index::create().col(first).col(second).primary().take()
}

/// An index over these columns.
pub(crate) async fn index(manager: &SchemaManager<'_>, table: &'static str, columns: &[&'static str]) -> Result<(), DbErr> {
    manager.create_index(index_of(table, columns)).await
}

/// An index that allows each combination of these columns once.
pub(crate) async fn unique(manager: &SchemaManager<'_>, table: &'static str, columns: &[&'static str]) -> Result<(), DbErr> {
    manager.create_index(index_of(table, columns).unique().take()).await
}

fn index_of(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_by_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}
