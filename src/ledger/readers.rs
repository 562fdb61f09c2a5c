//! What questions read of a shared database: everything that is asked meanwhile in one statement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::counters::{CounterKey, Counters, Known};
use super::shared_rows;
use super::writer::LoadJob;
use crate::store::{Store, StoreError};

/// Questions that one statement answers.
const MAX_QUESTIONS: usize = 256;

/// Answers questions until nobody can ask any more.
pub(super) async fn run(store: Store, counters: Arc<Counters>, mut questions: mpsc::Receiver<LoadJob>) {
    let mut asked = Vec::with_capacity(MAX_QUESTIONS);
    while questions.recv_many(&mut asked, MAX_QUESTIONS).await > 0 {
        let loads = std::mem::take(&mut asked);
        answer(&store, &counters, loads).await;
    }
}

async fn answer(store: &Store, counters: &Counters, loads: Vec<LoadJob>) {
    let at = Instant::now();
    let keys: BTreeSet<&CounterKey> = loads.iter().flat_map(|load| &load.keys).collect();
    let keys: Vec<&CounterKey> = keys.into_iter().collect();
    let found = shared_rows::read(store.reader(), &keys).await;
    if matches!(found, Err(StoreError::Unavailable(_))) {
        store.fails();
    }
    for LoadJob { keys, reply } in loads {
        let answer = found.as_ref().map_err(Clone::clone).map(|found| {
            let known = |key: &CounterKey| found.get(key).map(|(counter, _)| counter.clone());
            keys.iter().map(|key| known(key).unwrap_or_default()).collect()
        });
        // A caller that hung up needs no answer.
        reply.send(answer).ok();
    }
    for (key, (counter, version)) in found.into_iter().flatten() {
        counters.put_read(key, Known { counter, version, window_end: None, at });
    }
}
