//! Many rows in one statement of the embedded database.
//!
//! A statement is prepared once for each number of rows that it is written for, so there are but a few of them: what is left over
//! is filled with rows of nothing, which the statement passes over. One statement costs two turns of a thread, whatever it holds.

use sea_orm::Value;

/// The numbers of rows that statements are written for: never more than half of them are rows of nothing.
const SIZES: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/// The most rows in one statement: with 13 columns far below the parameters that it may have.
pub const MAX_ROWS: usize = 256;

/// The rows as a part of a statement, `SELECT …`, and their values in the order of its parameters. There is one row at least and
/// [`MAX_ROWS`] at most, and the first column of none is NULL.
pub fn rows<R: IntoIterator<Item = Value>>(columns: usize, given: impl ExactSizeIterator<Item = R>) -> (String, Vec<Value>) {
    let size = SIZES.into_iter().find(|size| *size >= given.len()).unwrap_or(MAX_ROWS);
    let mut values: Vec<Value> = Vec::with_capacity(size.saturating_mul(columns));
    given.for_each(|row| values.extend(row));
    values.resize(size.saturating_mul(columns), Value::BigInt(None));
    (text(columns, size), values)
}

/// Parameters that have a name, also a number, are looked up one by one in a list of all of them: these have none.
fn text(columns: usize, size: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL", vec![row.as_str(); size].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_filled_with_rows_of_nothing() {
        let given: Vec<[Value; 2]> = (0..5).map(|number: i64| [Value::from(number), Value::from("x")]).collect();
        let (text, values) = rows(2, given.clone().into_iter());
        assert_eq!(text, "SELECT * FROM (VALUES (?, ?), (?, ?), (?, ?), (?, ?), (?, ?), (?, ?)) WHERE column1 IS NOT NULL");
        let nothing = [Value::BigInt(None), Value::BigInt(None)];
        assert_eq!(values, given.into_iter().flatten().chain(nothing).collect::<Vec<Value>>());
        for count in 1..=MAX_ROWS {
            let one = vec![[Value::from(1_i64)]; count];
            let (text, values) = rows(1, one.into_iter());
            assert_eq!(text.matches('?').count(), values.len());
            assert!(values.len() >= count && values.len() < 2 * count.max(1), "{count}");
        }
    }
}
