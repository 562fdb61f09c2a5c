//! Follows the change log: raises fences, compiles the next catalogue, and says how far it has come.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::catalogue::Catalogue;
use super::directory::{Directory, Inner};
use super::fences::Subject;
use crate::store::{ChangeRef, Object, StoreError};

/// How many changes are read at once.
const BATCH: u64 = 1_000;
/// How long to wait before the change log is read again after it could not be.
const RETRY: Duration = Duration::from_millis(100);

/// Starts following, until the directory is dropped.
pub(super) fn start(directory: &Directory) {
    let commits = directory.inner.store.committed();
    tokio::spawn(follow(Arc::downgrade(&directory.inner), commits));
    // Other processes change a shared database too.
    let store = directory.inner.store.clone();
    tokio::spawn(async move { store.watch().await });
}

async fn follow(directory: Weak<Inner>, mut commits: watch::Receiver<u64>) {
    while commits.changed().await.is_ok() {
        let target = *commits.borrow_and_update();
        loop {
            let Some(inner) = directory.upgrade() else { return };
            let directory = Directory { inner };
            if directory.revision() >= target {
                break;
            }
            if let Err(error) = catch_up(&directory, target).await {
                tracing::warn!(%error, "the change log could not be read");
                drop(directory);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn catch_up(directory: &Directory, target: u64) -> Result<(), StoreError> {
    let known = directory.revision();
    let changes = directory.inner.store.changes_since(known, BATCH).await?;
    let last = changes.last().map_or(target, |change| change.revision);
    // Lines that were deleted before this process came to read them said something too; it may be all of them. So did those that a
    // newer version wrote of what this one does not know.
    let misses_some = changes.first().is_none_or(|first| first.revision != known.saturating_add(1))
        || changes.iter().any(|change| change.object.is_none());
    if misses_some || changes.iter().any(is_of_catalogue) {
        let (catalogue, _) = Catalogue::read(&directory.inner.store).await?;
        directory.inner.catalogue.store(Arc::new(catalogue));
    }
    if misses_some {
        directory.inner.fences.raise_all(last);
    }
    for change in &changes {
        raise(directory, change);
    }
    directory.advance(last);
    Ok(())
}

fn is_of_catalogue(change: &ChangeRef) -> bool {
    match change.object {
        Some(Object::LimitKey | Object::Tier | Object::TierLimit | Object::RemovedEndpoint) => true,
        Some(Object::Org | Object::Override | Object::User | Object::Scope | Object::ApiKey | Object::Webhook) | None => false,
    }
}

fn raise(directory: &Directory, change: &ChangeRef) {
    let fences = &directory.inner.fences;
    match change.object {
        Some(Object::Org) => fences.raise(Subject::Org(&change.object_id), change.revision),
        Some(Object::Override) => {
            if let Some(org) = &change.org {
                fences.raise(Subject::Org(org.as_str()), change.revision);
            }
        }
        Some(Object::User) => fences.raise(Subject::User(&change.object_id), change.revision),
        Some(Object::ApiKey) => {
            fences.raise(Subject::ApiKey(&change.object_id), change.revision);
            fences.raise(Subject::AnyApiKey, change.revision);
        }
        Some(
            Object::LimitKey | Object::Tier | Object::TierLimit | Object::Scope | Object::RemovedEndpoint | Object::Webhook,
        )
        | None => {}
    }
}
