//! `plimsoll transfer`: a move from an embedded database to a server.

use clap::Args;

use super::say;
use crate::clock;
use crate::store::{Moved, transfer};

#[derive(Args, Debug)]
pub(super) struct TransferArguments {
    /// The embedded database, which nobody may serve meanwhile, such as `sqlite://plimsoll.db`
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty PostgreSQL database, such as `postgres://user:password@host/plimsoll`
    #[arg(long, value_name = "URL", env = "PLIMSOLL_TRANSFER_TO", hide_env_values = true)]
    to: String,
}

pub(super) async fn run(arguments: TransferArguments) -> Result<(), String> {
    let TransferArguments { from, to } = arguments;
    let moved = transfer(&from, &to, clock::now()).await.map_err(|error| error.to_string())?;
    say(&written(&moved))
}

/// A line for each table, and all of them together.
fn written(moved: &[Moved]) -> String {
    let line = |Moved { table, rows, digest }: &Moved| format!("{table:<20} {rows:>12} rows  {digest}\n");
    let lines: String = moved.iter().map(line).collect();
    let rows = moved.iter().fold(0_u64, |sum, moved| sum.saturating_add(moved.rows));
    format!("{lines}{rows} rows were moved, read back and found to be the same.\n")
}
