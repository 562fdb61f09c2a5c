//! A disk without room, and a database file that cannot be written: nothing is taken, nothing is lost, and it comes back.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{current, set_up, take_once, taking};
use crate::harness::{Actor, Plimsoll, Setup};

const PATIENCE: Duration = Duration::from_secs(20);
const ROOM: u64 = 1_000_000;

/// What a caller has had acknowledged, and the keys whose outcome it does not know.
#[derive(Default)]
struct Taken {
    acknowledged: u64,
    unanswered: Vec<String>,
    number: u64,
}

impl Taken {
    /// Takes one, and says whether it was granted. If it was not, storage is unavailable, and the answer says so in full.
    async fn one(&mut self, actor: &Actor) -> bool {
        self.number += 1;
        let key = format!("call-{}", self.number);
        let answer = take_once(actor, &key, &taking("acme", "seats", 1)).await;
        if answer.status == 200 {
            self.acknowledged += 1;
            assert_eq!(answer.data()["current"], json!(self.acknowledged), "{}", answer.text);
            return true;
        }
        answer.fails(503, "unavailable");
        let after: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=60).contains(&after), "after {after} seconds");
        assert!(answer.body["data"].is_null() && !answer.error().is_empty(), "{}", answer.text);
        self.unanswered.push(key);
        false
    }

    async fn until(&mut self, actor: &Actor, is_granted: bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.one(actor).await != is_granted {
            assert!(Instant::now() < deadline, "{what} does not come about");
        }
    }

    /// What was refused is done once when it is repeated.
    async fn repeat(&mut self, actor: &Actor) {
        for key in std::mem::take(&mut self.unanswered) {
            take_once(actor, &key, &taking("acme", "seats", 1)).await.is(200);
            self.acknowledged += 1;
        }
        assert_eq!(current(actor, "acme", "seats").await, self.acknowledged);
    }
}

/// While nothing can be written, questions are answered and changes are not.
async fn assert_reads_only(actor: &Actor, taken: &mut Taken) {
    for _ in 0..5 {
        assert!(!taken.one(actor).await, "there is no room for it");
        assert_eq!(current(actor, "acme", "seats").await, taken.acknowledged);
    }
    actor.get("/v1/orgs/acme/usage").await.is(200);
    for attempt in 0..3 {
        let refused = actor.put_org(&format!("another-{attempt}"), "free").await;
        refused.fails(503, "unavailable");
        assert!(refused.header("retry-after").is_some(), "{}", refused.text);
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-u").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A server whose database is on a small disk that nobody else sees, and that goes with it.
struct Small {
    server: Plimsoll,
    disk: PathBuf,
}

impl Small {
    async fn start() -> Self {
        let setup = Setup::new();
        let disk = setup.folder().join("disk");
        fs::create_dir(&disk).expect("a folder");
        let mount = "mount -t tmpfs -o size=2m tmpfs \"$1\" && shift && exec \"$@\"";
        let path = disk.to_str().expect("a readable path").to_owned();
        let setup = setup.variable("PLIMSOLL_DATABASE_URL", format!("sqlite://{path}/plimsoll.db?mode=rwc")).through([
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            "sh",
            &path,
        ]);
        Self { server: Plimsoll::on(setup).await, disk }
    }

    /// A file on the disk, as the server sees it.
    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}/{name}", self.server.pid(), self.disk.display()))
    }

    /// Leaves no room on the disk.
    fn fill(&self) {
        let mut filler = File::create(self.file("filler")).expect("a file");
        for size in [65_536, 4_096, 512, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn clear(&self) {
        fs::remove_file(self.file("filler")).expect("a file");
    }

    /// What a crash in this moment would leave, in a folder of its own.
    fn copy(&self) -> Setup {
        let setup = Setup::new();
        for name in ["plimsoll.db", "plimsoll.db-wal"] {
            fs::copy(self.file(name), setup.folder().join(name)).expect("a copy");
        }
        setup
    }
}

#[tokio::test]
async fn a_full_disk_stops_takings_and_nothing_else_until_there_is_room() {
    let small = Small::start().await;
    let admin = small.server.admin();
    set_up(&admin, ROOM, ["acme"]).await;
    let mut taken = Taken::default();
    for _ in 0..20 {
        assert!(taken.one(&admin).await);
    }
    for round in 0..3 {
        small.fill();
        taken.until(&admin, false, "a full disk").await;
        assert_reads_only(&admin, &mut taken).await;
        let crashed = Plimsoll::on(small.copy()).await;
        assert_eq!(current(&crashed.admin(), "acme", "seats").await, taken.acknowledged, "in round {round}");
        small.clear();
        taken.until(&admin, true, "a taking after there is room again").await;
        taken.repeat(&admin).await;
        admin.put_org(&format!("after-{round}"), "free").await.is(201);
    }
    let crashed = Plimsoll::on(small.copy()).await;
    assert_eq!(current(&crashed.admin(), "acme", "seats").await, taken.acknowledged);
    assert_eq!(small.server.terminate().status.code(), Some(0));
}

/// A server whose files can be made such that it cannot write them.
struct Locked(Plimsoll);

impl Locked {
    /// A write beyond the limit must fail, not kill; and whoever is root must not be above permissions.
    async fn start() -> Self {
        let setup = Setup::new().through(["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        let setup = if user() == "0" { setup.through(["setpriv", "--bounding-set=-all", "--inh-caps=-all"]) } else { setup };
        Self(Plimsoll::on(setup).await)
    }

    /// Whether files are writable: by permission, for those that are opened, and by a limit, for those that are open.
    fn writable(&self, is_writable: bool) {
        let database = self.0.database();
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", database.display());
            let mode = if is_writable { 0o644 } else { 0o444 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a file");
        }
        let limit = if is_writable { "--fsize=unlimited:" } else { "--fsize=0:" };
        let set = Command::new("prlimit").args(["--pid", &self.0.pid().to_string(), limit]).status().expect("prlimit");
        assert!(set.success(), "the limit is not set");
    }
}

#[tokio::test]
async fn a_database_file_that_becomes_read_only_stops_takings_and_nothing_else_until_it_is_writable() {
    let locked = Locked::start().await;
    let admin = locked.0.admin();
    set_up(&admin, ROOM, ["acme"]).await;
    let mut taken = Taken::default();
    for round in 0..3 {
        for _ in 0..20 {
            assert!(taken.one(&admin).await);
        }
        locked.writable(false);
        assert_reads_only(&admin, &mut taken).await;
        locked.writable(true);
        taken.until(&admin, true, "a taking after it is writable again").await;
        taken.repeat(&admin).await;
        admin.put_org(&format!("after-{round}"), "free").await.is(201);
    }
    let setup = locked.0.kill().setup.clone();
    assert!(OpenOptions::new().append(true).open(setup.database()).is_ok());
    let again = Plimsoll::on(setup).await;
    assert_eq!(current(&again.admin(), "acme", "seats").await, taken.acknowledged);
}
