//! A clock that jumps under the running program: forward, backward, across midnight and the ends of months.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::random::Random;
use super::{current, set_up, taking};
use crate::harness::{Actor, Plimsoll, Setup};

const MAX: u64 = 7;
const DAY: u64 = 86_400;
/// The longest month.
const MONTH: u64 = 31 * DAY;

/// Forward and back again, over midnights, the ends of months and years, and a leap day.
const JUMPS: [&str; 14] = [
    "2026-11-22 17:05:53",
    "2026-11-22 23:59:59",
    "2026-11-23 00:00:00",
    "2026-11-22 23:59:58",
    "2026-11-30 23:59:59",
    "2026-12-01 00:00:00",
    "2026-11-30 12:00:00",
    "2026-12-31 23:59:59",
    "2027-01-01 00:00:00",
    "2028-02-28 23:59:59",
    "2028-02-29 00:00:00",
    "2028-02-29 23:59:59",
    "2028-03-01 00:00:00",
    "2026-11-22 17:05:53",
];

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("libfaketime: the package is called faketime")
}

/// A server whose clock the test sets.
struct Fooled {
    server: Plimsoll,
    file: PathBuf,
}

impl Fooled {
    async fn start() -> Self {
        let setup = Setup::new();
        let file = setup.folder().join("time");
        write(&file, JUMPS[0]);
        let setup = setup
            .variable("LD_PRELOAD", library())
            .variable("FAKETIME_TIMESTAMP_FILE", &file)
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .variable("DONT_FAKE_MONOTONIC", "1")
            .variable("TZ", "UTC");
        Self { server: Plimsoll::on(setup).await, file }
    }

    /// Sets the clock, and sees that the program has noticed: its day is the one that was set.
    async fn set(&self, time: &str) {
        write(&self.file, time);
        let seen = self.server.admin().check(json!({"org": "acme", "limitKey": "daily"})).await;
        assert_eq!(seen.text_at("/data/windowStart"), format!("{}T00:00:00Z", &time[..10]), "at {time}");
    }
}

/// The file is never read half written.
fn write(file: &Path, time: &str) {
    let new = file.with_extension("new");
    fs::write(&new, time).expect("a writable folder");
    fs::rename(new, file).expect("a writable folder");
}

/// Takes, and holds the answer to a sum for each window.
async fn take(actor: &Actor, limit_key: &'static str, amount: u64, sums: &mut BTreeMap<(&'static str, String), u64>) {
    let body = taking("acme", limit_key, amount);
    let answer = actor.post("/v1/consume?enforce=true", body).await;
    let window = actor.check(json!({"org": "acme", "limitKey": limit_key})).await;
    let start = window.text_at("/data/windowStart").to_owned();
    let sum = sums.entry((limit_key, start.clone())).or_default();
    match answer.status {
        200 => *sum += amount,
        429 => {
            assert!(*sum + amount > MAX, "{limit_key} from {start}: refused with {sum} taken");
            let after: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
            let longest = if limit_key == "daily" { DAY } else { MONTH };
            assert!((1..=longest).contains(&after), "{limit_key} from {start}: Retry-After is {after}");
        }
        _ => panic!("{}", answer.text),
    }
    assert!(*sum <= MAX, "{limit_key} from {start}: {sum} in a window of {MAX}");
    assert_eq!(window.data()["current"], json!(*sum), "{limit_key} from {start}");
}

#[tokio::test]
async fn however_the_clock_jumps_no_window_sums_above_its_cap() {
    let fooled = Fooled::start().await;
    let admin = fooled.server.admin();
    set_up(&admin, MAX, ["acme"]).await;
    let (mut random, mut sums) = (Random::new(), BTreeMap::new());
    for step in 0..80 {
        // First each once in its order, then anywhere.
        let place = if step < JUMPS.len() { step } else { usize::try_from(random.below(14)).expect("below 14") };
        fooled.set(JUMPS[place]).await;
        for limit_key in ["daily", "monthly"] {
            take(&admin, limit_key, 1 + random.below(3), &mut sums).await;
        }
    }
    assert_eq!(sums.len(), 14, "{sums:?}");
}

#[tokio::test]
async fn a_used_up_day_ends_at_midnight_by_the_clock_of_the_machine() {
    let fooled = Fooled::start().await;
    let admin = fooled.server.admin();
    set_up(&admin, MAX, ["acme"]).await;
    fooled.set("2028-02-29 23:59:58").await;
    admin.post("/v1/consume", taking("acme", "daily", MAX)).await.is(200);
    let refused = admin.post("/v1/consume?enforce=true", taking("acme", "daily", 1)).await;
    assert_eq!(refused.is(429).header("retry-after"), Some("2"));
    fooled.set("2028-03-01 00:00:00").await;
    admin.post("/v1/consume?enforce=true", taking("acme", "daily", 1)).await.is(200);
}

#[tokio::test]
async fn a_hold_that_was_seen_expired_stays_so_when_the_clock_goes_back() {
    let fooled = Fooled::start().await;
    let admin = fooled.server.admin();
    set_up(&admin, MAX, ["acme"]).await;
    fooled.set("2026-11-30 23:59:00").await;
    let mut body: Value = taking("acme", "seats", MAX);
    body["ttlSeconds"] = json!(90);
    let reserved = admin.post("/v1/reservations", body).await;
    let id = reserved.is(201).text_at("/data/id").to_owned();
    for (time, is_free) in [("2026-12-01 00:00:29", false), ("2026-12-01 00:00:30", true)] {
        fooled.set(time).await;
        let taken = admin.post("/v1/consume", taking("acme", "seats", MAX)).await;
        assert_eq!(taken.is(200).data()["allowed"], json!(is_free), "at {time}");
    }
    fooled.set("2026-11-30 23:59:30").await;
    assert_eq!(current(&admin, "acme", "seats").await, MAX);
    admin.post(&format!("/v1/reservations/{id}/confirm"), json!({})).await.fails(409, "state_conflict");
    let found = admin.get(&format!("/v1/reservations/{id}")).await;
    assert_eq!(found.is(200).data()["status"], json!("expired"));
    assert_eq!(current(&admin, "acme", "seats").await, MAX);
}
