//! The ledger on a real database file.

pub(super) mod faults;
mod housekeeping;
