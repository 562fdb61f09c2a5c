//! A copy of the database as it is in one moment, made while it is served.
//!
//! The copy gets its name when it is whole and was looked at. Until then it stands in a directory beside it, whose name says so.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use uuid::Uuid;

use super::{Access, OpenError, Store, open};

/// The owner's alone: a database holds the hashes of keys.
const MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How often the directory of a copy is emptied before it is left: SQLite makes two files in it, and each but once.
const REMOVALS: usize = 16;

/// Why there is no copy. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// Its name cannot be that of the copy.
    #[error("The backup {} {problem}", .file.display())]
    Target {
        /// The copy that was asked for.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Store {
    /// Writes the database as it is in this moment to a new file, on disk and examined, and says how many bytes it has.
    ///
    /// It only reads, so nobody waits for it; but what is written meanwhile stays in the log file beside the database.
    /// Errors are sentences. A file that exists is never replaced.
    pub async fn back_up(url: &str, target: &Path) -> Result<u64, BackupError> {
        open::file_of(url, "pg_dump makes a copy of it")?;
        let target = new_target(target)?;
        let store = Self::open(url, Access::ReadOnly).await?;
        let partial = Partial::beside(&target).map_err(|error| problem(&target, failed(&error)))?;
        let copied = store.copy_to(&partial.file).await;
        let closed = store.0.reader.close().await;
        copied.and(closed).map_err(|error| problem(&target, failed(&error)))?;
        examine(&partial.file).await.map_err(|sentence| problem(&target, sentence))?;
        partial.publish(&target).map_err(|error| problem(&target, failed(&error)))
    }

    async fn copy_to(&self, file: &Path) -> Result<(), DbErr> {
        let name = file.to_str().ok_or_else(|| DbErr::Custom("its name is not UTF-8".to_owned()))?;
        let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
        self.0.reader.execute_raw(copy).await.map(drop)
    }
}

fn problem(file: &Path, problem: impl Into<String>) -> BackupError {
    BackupError::Target { file: file.to_owned(), problem: problem.into() }
}

fn failed(error: &impl ToString) -> String {
    format!("cannot be written: {}", error.to_string())
}

/// The one true path of a file that does not exist yet.
fn new_target(target: &Path) -> Result<PathBuf, BackupError> {
    let name = target.file_name().ok_or_else(|| problem(target, "is not the name of a file"))?;
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let directory = directory.canonicalize();
    let directory = directory.map_err(|error| problem(target, format!("cannot be written: its directory: {error}")))?;
    let full = directory.join(name);
    match full.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(full),
        Err(error) => Err(problem(target, failed(&error))),
        Ok(_) => Err(problem(target, "exists already: it is not replaced")),
    }
}

/// A directory of its own for a file that is not whole yet, and for what SQLite puts beside it. Dropped, it is removed.
struct Partial {
    directory: PathBuf,
    file: PathBuf,
}

impl Partial {
    fn beside(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.partial", Uuid::now_v7().simple()));
        let directory = PathBuf::from(name);
        let partial = Self { file: directory.join("copy.db"), directory };
        DirBuilder::new().mode(DIRECTORY_MODE).create(&partial.directory)?;
        OpenOptions::new().write(true).create_new(true).mode(MODE).open(&partial.file)?;
        Ok(partial)
    }

    /// Gives it its name, unless there is a file of that name by now, and says how many bytes it has.
    fn publish(self, target: &Path) -> io::Result<u64> {
        let file = File::open(&self.file)?;
        file.sync_all()?;
        fs::hard_link(&self.file, target)?;
        self.remove()?;
        File::open(target.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()?;
        Ok(file.metadata()?.len())
    }

    /// Takes it away for good: a statement that is still at work makes its files anew while they are removed, but none in a
    /// directory that is gone.
    fn remove(&self) -> io::Result<()> {
        for _ in 1..REMOVALS {
            match fs::remove_dir_all(&self.directory) {
                Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
                ended => return ended,
            }
            if !self.directory.exists() {
                return Ok(());
            }
        }
        fs::remove_dir_all(&self.directory)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // When it has got its name, it is there no more.
        self.remove().ok();
    }
}

/// Whether the copy is one that a start would accept, and sound in itself.
async fn examine(file: &Path) -> Result<(), String> {
    let sentence = |error: DbErr| format!("cannot be read: {error}");
    let copy = open::copy(file).await.map_err(|error| error.to_string())?;
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
    let found = copy.query_one_raw(check).await.map_err(sentence)?;
    let found: Option<String> = found.map(|row| row.try_get_by_index(0)).transpose().map_err(sentence)?;
    copy.close().await.map_err(sentence)?;
    match found.as_deref() {
        Some("ok") => Ok(()),
        Some(found) => Err(format!("would be damaged: {found}")),
        None => Err("could not be examined".to_owned()),
    }
}
