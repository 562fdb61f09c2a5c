//! The PostgreSQL that Debian has installed, and the user that it runs as.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian has a folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// It refuses to run as root: then it runs as the user that Debian has made for it.
const USER: &str = "postgres";

/// The programs of one version.
#[derive(Clone)]
pub(super) struct Installed {
    programs: PathBuf,
    /// Who runs them, when the test runs as root.
    pub(super) user: Option<(u32, u32)>,
}

impl Installed {
    /// The newest that is there.
    pub(super) fn newest() -> Self {
        let versions = fs::read_dir(VERSIONS).into_iter().flatten().filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb").exists().then_some((version, path.join("bin")))
        });
        let newest = versions.max().unwrap_or_else(|| panic!("PostgreSQL is not installed: .ci/test does that"));
        let user = rustix::process::getuid().is_root().then(of_postgres);
        Self { programs: newest.1, user }
    }

    /// One of its programs, to be run as its user with nothing to read or write.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // Neither what libpq would read from the environment, nor another language in the log.
        command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Makes the user the owner of a file or a folder.
    pub(super) fn give(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).expect("root may give");
        }
    }

    /// What it says that it is.
    pub(super) fn version(&self) -> String {
        let output = self.command("postgres").arg("--version").stdout(Stdio::piped()).output().expect("PostgreSQL");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

fn of_postgres() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == USER).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    found.unwrap_or_else(|| panic!("there is no user {USER}, which Debian's package makes"))
}
