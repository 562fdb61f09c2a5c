//! The program as it is shipped, and what it says of its database.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The release binary: the one that the tests were built with, unless they are being debugged; then it is built.
pub(super) fn release_binary() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_plimsoll"));
    if !cfg!(debug_assertions) {
        return own.to_owned();
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--profile",
        "gate",
        "--locked",
        "--bin",
        "plimsoll",
    ]);
    assert!(cargo.status().expect("cargo").success(), "the release binary cannot be built");
    own.ancestors().nth(2).expect("the target folder").join("gate/plimsoll")
}

/// Asserts that the doctor finds nothing off in the database that a crash left.
pub(super) fn assert_content(program: &Path, database: &Path) {
    let url = format!("sqlite://{}", database.display());
    let output = Command::new(program).args(["doctor", "--database-url", &url]).output().expect("the doctor");
    let (found, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{found}{trouble}");
}
