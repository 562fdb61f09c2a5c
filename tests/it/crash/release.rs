//! The program as it is shipped, and what it says of its database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the release binary, unless it is there already, and says where it is.
pub(super) fn release_binary() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--release", "--locked", "--bin", "plimsoll"]);
    assert!(cargo.status().expect("cargo").success(), "the release binary cannot be built");
    let target = Path::new(env!("CARGO_BIN_EXE_plimsoll")).ancestors().nth(2).expect("the target folder");
    target.join("release/plimsoll")
}

const INTEGRITY: &str = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())";

/// Asserts that nothing is off in the database that a crash left. What looks at it looks at a copy: it may repair what it reads.
pub(super) fn assert_content(database: &Path) {
    let copy = tempfile::tempdir().expect("a folder");
    let copied = copy.path().join("plimsoll.db");
    for (suffix, is_needed) in [("", true), ("-wal", false)] {
        let beside = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let done = fs::copy(beside(database), beside(&copied));
        assert!(done.is_ok() || !is_needed, "{done:?}");
    }
    let output = Command::new("python3").args(["-c", INTEGRITY]).arg(&copied).output().expect("python3");
    let (found, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(found.trim(), "[('ok',)]", "{trouble}");
}
