//! `plimsoll doctor`: what a database holds that cannot be.

use super::{Failure, say};
use crate::clock;
use crate::config::DatabaseSettings;
use crate::store::{Report, examine};

/// What the program's exit says: something is off.
const OFF: u8 = 1;
/// What the program's exit says: the database could not be looked at.
const UNSEEN: u8 = 2;

pub(super) async fn run(database: &DatabaseSettings) -> Result<(), Failure> {
    let unseen = |sentence| Failure { sentence, code: UNSEEN };
    let report = examine(&database.database_url, clock::now()).await.map_err(|error| unseen(error.to_string()))?;
    say(&written(&report)).map_err(unseen)?;
    match report.off.len() {
        0 => Ok(()),
        1 => Err(Failure { sentence: "1 finding is off".to_owned(), code: OFF }),
        several => Err(Failure { sentence: format!("{several} findings are off"), code: OFF }),
    }
}

/// A line for each finding, and what was looked at.
fn written(report: &Report) -> String {
    let off = report.off.iter().map(|finding| format!("off   {finding}\n"));
    let notes = report.notes.iter().map(|finding| format!("note  {finding}\n"));
    let lines: String = off.chain(notes).collect();
    let counted = |(nouns, rows): &(&str, u64)| match rows {
        1 => format!("1 {}", nouns.trim_end_matches('s')),
        rows => format!("{} {nouns}", grouped(*rows)),
    };
    let looked_at: Vec<String> = report.looked_at.iter().map(counted).collect();
    let verdict = if report.off.is_empty() { "content" } else { "not content" };
    format!("{lines}{}: {verdict}\n", looked_at.join(", "))
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(at);
        if at > 0 && left.is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let written = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(written, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn the_last_line_says_what_was_looked_at() {
        let report = Report { looked_at: vec![("counters", 1_204), ("orgs", 1)], ..Report::default() };
        assert_eq!(written(&report), "1,204 counters, 1 org: content\n");
    }
}
