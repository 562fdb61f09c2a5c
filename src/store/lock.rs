//! What keeps other processes from serving the same file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::open::{OpenError, problem};

/// A lock beside the database file. Never on the file itself: closing it would drop the locks that `SQLite` holds on it.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl Lock {
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let is_new = !path.exists();
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| problem(database, format!("cannot be locked: {}: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path, is_new }),
            Err(TryLockError::WouldBlock) => Err(problem(database, "is in use by another process")),
            Err(TryLockError::Error(error)) => Err(problem(database, format!("cannot be locked: {error}"))),
        }
    }

    pub(super) fn keep(self) -> File {
        self.file
    }

    /// Leaves nothing behind beside a file that is not ours. If it cannot be removed, it only lies there.
    pub(super) fn discard(self) {
        if self.is_new {
            std::fs::remove_file(&self.path).ok();
        }
    }
}
