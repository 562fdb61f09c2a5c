//! `plimsoll backup`: what it makes while the server commits, what it refuses, and what it leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::doctor::is_content;
use super::load::{Load, product};
use crate::harness::{Plimsoll, Setup, Stopped};

fn back_up(setup: &Setup, file: &Path) -> Stopped {
    Plimsoll::run(setup, ["backup", file.to_str().expect("UTF-8")])
}

/// The same settings on the copy.
fn restored(file: &Path) -> Setup {
    let setup = Setup::new();
    fs::copy(file, setup.database()).expect("a copy");
    setup
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// A folder that only backups are written to.
fn shelf(setup: &Setup) -> PathBuf {
    let shelf = setup.folder().join("shelf");
    fs::create_dir(&shelf).expect("a folder");
    shelf
}

async fn seats(server: &Plimsoll) -> u64 {
    let mut sum = 0;
    for org in ["org-0", "org-1"] {
        let answer = server.admin().check(serde_json::json!({"org": org, "limitKey": "seats"})).await;
        sum += answer.is(200).data()["current"].as_u64().expect("a number");
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_a_moment_of_the_database_that_serves_again() {
    const CALLERS: u64 = 8;
    let server = Plimsoll::start().await;
    let key = product(&server).await;
    let shelf = shelf(server.setup());
    let load = Load::start(&server, &key, 8);
    for (round, file) in ["a.db", "b.db", "c.db"].map(|name| shelf.join(name)).iter().enumerate() {
        load.acknowledged(50 * (round as u64 + 1)).await;
        let before = load.count();
        let made = back_up(server.setup(), file);
        let after = load.count() + CALLERS;
        assert!(made.status.success(), "{}", made.stderr);
        assert_eq!(fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
        let bytes = fs::metadata(file).expect("a file").len();
        assert_eq!(made.stdout, format!("{} holds the database as it was: {bytes} bytes.", file.display()));
        let setup = restored(file);
        is_content(&setup);
        let second = Plimsoll::on(setup).await;
        let held = seats(&second).await;
        assert!((before..=after).contains(&held), "{before} were acknowledged before it, {after} after, it has {held}");
        second.bearer(&key).check(serde_json::json!({"org": "org-0", "limitKey": "seats"})).await.is(200);
    }
    load.stop().await;
    assert_eq!(names(&shelf), ["a.db", "b.db", "c.db"].map(str::to_owned).into(), "nothing else is left beside them");
    is_content(server.setup());
}

#[tokio::test]
async fn a_backup_of_a_stopped_server_holds_everything_and_the_same_catalogue() {
    let server = Plimsoll::start().await;
    product(&server).await;
    let stopped = server.kill();
    let file = stopped.setup.folder().join("copy.db");
    assert!(back_up(&stopped.setup, &file).status.success());
    let exported = |setup: &Setup| Plimsoll::run(setup, ["catalog", "export"]).stdout;
    assert_eq!(exported(&restored(&file)), exported(&stopped.setup));
    assert!(exported(&stopped.setup).contains("seats"));
}

/// A backup that must fail, with this in its sentence, and that must leave the shelf as it is.
#[track_caller]
fn is_refused(setup: &Setup, file: &Path, named: &str) {
    let shelf = setup.folder().join("shelf");
    let before = names(&shelf);
    let ended = back_up(setup, file);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{named}");
    assert!(ended.stderr.contains(named) && !ended.stderr.contains("panicked"), "{named} is missing: {}", ended.stderr);
    assert_eq!(names(&shelf), before, "{named}");
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence_and_nothing_is_left_behind() {
    let setup = Setup::new();
    let shelf = shelf(&setup);
    let new = shelf.join("new.db");
    is_refused(&setup, &new, "does not exist");
    crate::cli::run(&setup, &["migrate"]);
    let old = shelf.join("old.db");
    fs::write(&old, "the backup of last week").expect("a file");
    is_refused(&setup, &old, "old.db exists already: it is not replaced");
    assert_eq!(fs::read(&old).expect("a file"), b"the backup of last week");
    std::os::unix::fs::symlink(shelf.join("nowhere"), shelf.join("link.db")).expect("a link");
    is_refused(&setup, &shelf.join("link.db"), "exists already");
    is_refused(&setup, &shelf.join("none/new.db"), "its directory");
    is_refused(&setup, Path::new("/proc/new.db"), "cannot be written");
    is_refused(&setup, &shelf.join(".."), "is not the name of a file");
    let mut bytes = fs::read(setup.database()).expect("a database");
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    setup.file("plimsoll.db", &bytes);
    is_refused(&setup, &new, "has a newer schema (version 9999)");
    bytes[68..72].fill(0);
    setup.file("plimsoll.db", &bytes);
    is_refused(&setup, &new, "but not Plimsoll's");
    setup.file("plimsoll.db", "");
    is_refused(&setup, &new, "has an older schema");
}

#[test]
fn a_disk_without_room_leaves_no_part_of_a_backup() {
    let setup = Setup::new();
    let shelf = shelf(&setup);
    crate::cli::run(&setup, &["migrate"]);
    let file = shelf.join("new.db");
    let program = setup.command(["backup", file.to_str().expect("UTF-8")]);
    // No file may grow beyond 64 KiB or so, and who tries is told so instead of being killed.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
    limited.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = limited.output().expect("a shell");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("new.db cannot be written"), "{said}");
    assert!(names(&shelf).is_empty(), "{:?}", names(&shelf));
}

#[tokio::test]
async fn a_damaged_database_gets_no_backup() {
    let setup = Setup::new();
    let shelf = shelf(&setup);
    crate::cli::run(&setup, &["migrate"]);
    let mut bytes = fs::read(setup.database()).expect("a database");
    // Everything behind the first page: an index alone would be made anew for the copy, and do it no harm.
    bytes[4096..].fill(0xff);
    setup.file("plimsoll.db", bytes);
    is_refused(&setup, &shelf.join("new.db"), "malformed");
}

#[test]
fn one_that_is_told_to_stop_takes_its_part_away() {
    let setup = Setup::new();
    let shelf = shelf(&setup);
    crate::cli::run(&setup, &["migrate"]);
    // Until it has been stopped in time: a backup of little data is quick.
    let deadline = Instant::now() + Duration::from_secs(20);
    for round in 0.. {
        assert!(Instant::now() < deadline, "no backup could be stopped in time");
        let file = shelf.join(format!("{round}.db"));
        let mut running = setup.command(["backup", file.to_str().expect("UTF-8")]).spawn().expect("the program");
        while names(&shelf).iter().all(|name| !name.ends_with(".partial")) && running.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        Command::new("kill").args(["-TERM", &running.id().to_string()]).status().expect("kill");
        let status = running.wait().expect("a status");
        assert!(names(&shelf).iter().all(|name| !name.contains(".partial")), "{:?}", names(&shelf));
        if status.code() == Some(1) {
            assert!(!file.exists());
            return;
        }
    }
}
