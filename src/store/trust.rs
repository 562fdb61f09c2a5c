//! Whether the connection that writes is to be used again.
//!
//! When a commit fails, the database itself may have ended the transaction. The driver then counts one that is not there,
//! and the next transaction would be a savepoint of it, whose commit says that it is done and writes nothing. And a file
//! that was read-only when it was opened stays so for its connection. So after any trouble the connection is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::ConnectOptions;
use sea_orm::sqlx::Connection;

/// Shared by those who write and by the pool that hands out the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    is_lost: Arc<AtomicBool>,
}

impl Trust {
    /// The connection has met trouble: it is not handed out again.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
    }

    /// Lets a pool replace what is not to be trusted, also when somebody dropped a transaction that could not be undone.
    pub(super) fn guard(&self, pool: &mut ConnectOptions) {
        let trust = self.clone();
        pool.map_sqlx_sqlite_pool_opts(move |options| {
            let trust = trust.clone();
            options.before_acquire(move |connection, _| {
                let is_lost = trust.is_lost.swap(false, Ordering::SeqCst);
                let is_trusted = !is_lost && !connection.is_in_transaction();
                Box::pin(async move { Ok(is_trusted) })
            })
        });
    }
}
