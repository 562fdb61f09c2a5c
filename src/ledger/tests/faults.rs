//! Faults that a test injects at the moments that matter.
//!
//! They belong to the thread: a test that injects one runs its ledger on the one thread that it has itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::store::StoreError;

thread_local! {
    static FAULT: Cell<Option<(&'static str, Fault)>> = const { Cell::new(None) };
    static REACHED: RefCell<HashMap<&'static str, usize>> = RefCell::default();
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Fault {
    /// The program panics.
    Panic,
    /// A statement fails as if the program were at fault.
    Statement,
    /// The storage cannot be used.
    Outage,
}

/// The next time that this moment is reached on this thread, this happens, once.
pub(in crate::ledger) fn inject(moment: &'static str, fault: Fault) {
    FAULT.with(|cell| cell.set(Some((moment, fault))));
}

/// How often this moment was reached on this thread.
pub(in crate::ledger) fn reached(moment: &'static str) -> usize {
    REACHED.with(|counts| counts.borrow().get(moment).copied().unwrap_or(0))
}

fn due(moment: &'static str) -> Option<Fault> {
    REACHED.with(|counts| *counts.borrow_mut().entry(moment).or_insert(0) += 1);
    FAULT.with(|cell| {
        let (planned, fault) = cell.get()?;
        (planned == moment).then(|| cell.take()).map(|_| fault)
    })
}

/// A moment at which an error is possible.
pub(in crate::ledger) fn reach(moment: &'static str) -> Result<(), StoreError> {
    match due(moment) {
        None => Ok(()),
        Some(Fault::Panic) => panic!("a panic was injected {moment}"),
        Some(Fault::Statement) => Err(StoreError::Internal(format!("a fault was injected {moment}"))),
        Some(Fault::Outage) => Err(StoreError::Unavailable(format!("an outage was injected {moment}"))),
    }
}

/// A moment at which only a panic is possible.
pub(in crate::ledger) fn strike(moment: &'static str) {
    if due(moment).is_some() {
        panic!("a panic was injected {moment}");
    }
}
