//! An empty cluster, made once by whoever needs it first and copied by all who come later: making one takes seconds.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::installed::Installed;
use super::{DATABASE, PASSWORD, USER};

/// The default order of text is a natural language's, as where most products run: what must be in the order of bytes has to say so.
const INITDB: [&str; 10] = [
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=icu",
    "--icu-locale=en-US",
    "--auth=trust",
    "--data-checksums",
    "--wal-segsize=1",
    "--no-instructions",
    "--no-sync",
];

/// One statement a line. The role is no superuser, and owns its database as operators set it up. Databases that nobody asks for would
/// only be copied.
fn statements() -> String {
    format!(
        "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'\n\
         DROP DATABASE template0\n\
         DROP DATABASE postgres\n\
         SET password_encryption = 'scram-sha-256'\n\
         CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{PASSWORD}'\n\
         CREATE DATABASE {DATABASE} OWNER {USER}\n"
    )
}

/// Copies the empty cluster to a path that does not exist yet.
pub(super) fn copy(installed: &Installed, data: &Path) {
    let made = made(installed);
    cp(&made, data);
}

/// Where the empty cluster is, made by now.
fn made(installed: &Installed) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (installed.version(), installed.user, INITDB, statements()).hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    fs::create_dir_all(&folder).expect("a writable folder");
    let made = folder.join(format!("{:016x}", hasher.finish()));
    let file = File::create(made.with_extension("lock")).expect("a writable folder");
    file.lock().expect("a lock");
    if !made.exists() {
        let partial = made.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).expect("what an interrupted run has left");
        }
        make(installed, &partial);
        fs::rename(&partial, &made).expect("a writable folder");
    }
    made
}

/// Makes it in a temporary folder, since its user need not be allowed to enter the target folder.
fn make(installed: &Installed, to: &Path) {
    let folder = TempDir::new().expect("a temporary folder");
    installed.give(folder.path());
    let data = folder.path().join("data");
    let output = installed.command("initdb").args(INITDB).arg("-D").arg(&data).stderr(Stdio::piped()).output().expect("initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    let mut single = installed.command("postgres");
    single.args(["--single", "-F", "-D"]).arg(&data).arg("template1").stdin(Stdio::piped());
    let mut child = single.spawn().expect("PostgreSQL");
    child.stdin.take().expect("a pipe").write_all(statements().as_bytes()).expect("PostgreSQL reads");
    assert!(child.wait().expect("an exit status").success(), "a role and a database");
    cp(&data, to);
}

/// Gives the log segments of the usual size.
pub(super) fn enlarge(installed: &Installed, data: &Path) {
    let done = installed.command("pg_resetwal").args(["--wal-segsize=16", "-D"]).arg(data).status().expect("pg_resetwal");
    assert!(done.success(), "the size of the log's segments cannot be changed");
}

fn cp(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status().expect("cp");
    assert!(done.success(), "{} cannot be copied to {}", from.display(), to.display());
}
