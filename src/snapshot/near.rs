//! The API keys of the callers that a thread has just seen. A service asks with the same key again and again, and the one record of it that all
//! threads share is what they would wait for: the lock of its place in the cache, and the count of who holds it.

use std::cell::RefCell;
use std::sync::Arc;

use super::known::Stamp;
use crate::domain::api_key::ApiKey;

/// How many keys a thread keeps near, each at the place that its hash says: some kilobytes.
const PLACES: usize = 64;

/// A record that no other thread holds.
struct Near {
    directory: u64,
    hash: [u8; 32],
    key: Arc<ApiKey>,
    stamp: Stamp,
}

thread_local! {
    static NEAR: RefCell<[Option<Near>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

fn place(hash: &[u8; 32]) -> usize {
    let [first, ..] = hash;
    usize::from(*first).checked_rem(PLACES).unwrap_or(0)
}

/// What this thread last knew of the key with this hash, in this directory.
pub(super) fn get(directory: u64, hash: &[u8; 32]) -> Option<(Arc<ApiKey>, Stamp)> {
    NEAR.with_borrow(|places| {
        let near = places.get(place(hash))?.as_ref()?;
        (near.directory == directory && near.hash == *hash).then(|| (Arc::clone(&near.key), near.stamp))
    })
}

/// Keeps a copy of the key with this hash.
pub(super) fn keep(directory: u64, hash: &[u8; 32], key: &ApiKey, stamp: Stamp) {
    let near = Near { directory, hash: *hash, key: Arc::new(key.clone()), stamp };
    NEAR.with_borrow_mut(|places| {
        if let Some(place) = places.get_mut(place(hash)) {
            *place = Some(near);
        }
    });
}
