//! The script in a real Redis, beside a list of everything that was ever counted.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, Script};

use super::reference::{Everything, below, random_of};
use super::server::Redis;
use super::*;
use crate::limiter::shared::{Judged, Purpose, SCRIPT, invocation, judged};

const TRACES: u64 = 1_500;
/// The line of the script that reads the server's clock.
const CLOCK: &str = "redis.call('TIME')";

/// The script at a time that the test says.
struct At {
    connection: MultiplexedConnection,
    script: Script,
}

impl At {
    async fn of(redis: &Redis) -> Self {
        assert_eq!(SCRIPT.matches(CLOCK).count(), 1, "there is one clock");
        let script = Script::new(&SCRIPT.replace(CLOCK, "{ ARGV[#ARGV - 1], ARGV[#ARGV] }"));
        Self { connection: connection(redis).await, script }
    }

    async fn ask(&mut self, tag: &str, windows: &[Window<'_>], purpose: Purpose, now: u64) -> Judged {
        let mut invocation = invocation(&self.script, tag, windows, purpose);
        invocation.arg(now / 1_000_000).arg(now % 1_000_000);
        let answer: Vec<i64> = invocation.invoke_async(&mut self.connection).await.expect("an answer");
        judged(&answer, windows.len()).expect("an answer that is understood")
    }

    async fn moments(&mut self, tag: &str) -> Vec<u64> {
        self.connection.lrange(format!("plimsoll:{{{tag}}}:v1Api"), 0, -1).await.expect("a list")
    }
}

async fn connection(redis: &Redis) -> MultiplexedConnection {
    let client = Client::open(redis.url()).expect("an address");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

async fn play(at: &mut At, seed: u64) {
    let mut random = random_of(seed);
    let tag = format!("acme/key_{seed}");
    let seconds = 1 + below(&mut random, 3);
    let mut limit = below(&mut random, 9);
    let (mut now, mut reference) = (1_800_000_000_000_000 + below(&mut random, 1_000), Everything::default());
    for step in 0..2 + below(&mut random, 40) {
        // Often the very moment at which something leaves, or the one before it.
        now += match below(&mut random, 4) {
            0 => 0,
            1 => below(&mut random, 200_000),
            2 => reference
                .held(now, seconds * 1_000_000, limit)
                .frees_in
                .map_or(1, |wait| u64::try_from(wait.as_micros()).expect("a number") - below(&mut random, 2)),
            _ => below(&mut random, 1_500_000),
        };
        if below(&mut random, 16) == 0 {
            limit = below(&mut random, 9);
        }
        let window = at_most(limit, seconds);
        let expected = reference.held(now, seconds * 1_000_000, limit);
        let seen = at.ask(&tag, &[window], Purpose::Look, now).await;
        assert_eq!(seen, Judged { has_room: expected.used < limit, held: vec![expected] }, "seed {seed}, step {step}");
        let passed = at.ask(&tag, &[window], Purpose::Count, now).await;
        assert_eq!(passed.has_room, expected.used < limit, "seed {seed}, step {step}");
        if passed.has_room {
            reference.count(now);
            assert_eq!(
                at.moments(&tag).await,
                reference.inside(now, seconds * 1_000_000),
                "only what is in the window is kept"
            );
        }
        assert_eq!(passed.held, [reference.held(now, seconds * 1_000_000, limit)], "seed {seed}, step {step}");
    }
}

#[tokio::test]
async fn the_script_agrees_with_an_exact_reference_on_random_traces() {
    let redis = Redis::start();
    let mut at = At::of(&redis).await;
    for seed in 0..TRACES {
        play(&mut at, seed).await;
    }
}

#[tokio::test]
async fn long_windows_are_as_exact_as_short_ones() {
    let redis = Redis::start();
    let mut at = At::of(&redis).await;
    let start = 1_800_000_000_000_000;
    let window = at_most(3_000, 60);
    for call in 0..3_000 {
        assert!(at.ask("acme/key_1", &[window], Purpose::Count, start + call * 1_000).await.has_room);
    }
    for (later, left) in [(0, 0), (1, 1), (999, 1), (1_000, 2), (1_499_000, 1_500), (2_998_999, 2_999), (2_999_000, 3_000)] {
        let now = start + 60_000_000 + later - u64::from(later == 0);
        let Judged { held, .. } = at.ask("acme/key_1", &[window], Purpose::Look, now).await;
        assert_eq!(held[0].used, 3_000 - left, "{later} microseconds after the first has left");
    }
    let lowered = at.ask("acme/key_1", &[at_most(10, 60)], Purpose::Look, start + 3_000_000).await;
    let until = Duration::from_micros(2_990 * 1_000 + 60_000_000 - 3_000_000);
    assert_eq!(lowered.held, [Held { used: 3_000, frees_in: Some(until) }], "all but nine have to leave");
}

#[tokio::test]
async fn windows_of_one_call_are_counted_together_or_not_at_all() {
    let redis = Redis::start();
    let mut at = At::of(&redis).await;
    let now = 1_800_000_000_000_000;
    let wide = Window { name: "wide", ..at_most(3, 60) };
    let narrow = Window { name: "narrow", ..at_most(1, 1) };
    let endless = Window { name: "endless", limit: Bound::Unlimited, ..at_most(0, 60) };
    let all = [wide, narrow, endless];
    assert!(at.ask("acme/key_1", &all, Purpose::Count, now).await.has_room);
    let refused = at.ask("acme/key_1", &all, Purpose::Count, now + 1).await;
    let used: Vec<u64> = refused.held.iter().map(|held| held.used).collect();
    assert_eq!((refused.has_room, used), (false, vec![1, 1, 0]), "what one window refused is in none");
    let passed = at.ask("acme/key_1", &all, Purpose::Count, now + 1_000_000).await;
    let used: Vec<u64> = passed.held.iter().map(|held| held.used).collect();
    assert_eq!((passed.has_room, used), (true, vec![2, 1, 0]));
}

#[tokio::test]
async fn a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_a_window() {
    let redis = Redis::start();
    let mut at = At::of(&redis).await;
    let ahead = 1_800_003_600_000_000;
    let window = at_most(3, 60);
    for call in 0..3 {
        assert!(at.ask("acme/key_1", &[window], Purpose::Count, ahead + call).await.has_room);
    }
    let now = ahead - 3_600_000_000;
    let minute = Some(Duration::from_secs(60));
    let seen = at.ask("acme/key_1", &[window], Purpose::Look, now).await;
    assert_eq!(seen.held, [Held { used: 3, frees_in: minute }], "it has happened by now");
    let refused = at.ask("acme/key_1", &[window], Purpose::Count, now).await;
    assert_eq!((refused.has_room, &refused.held[..]), (false, &[Held { used: 3, frees_in: minute }][..]));
    let still = at.ask("acme/key_1", &[window], Purpose::Count, now + 59_999_999).await;
    assert!(!still.has_room);
    assert!(at.ask("acme/key_1", &[window], Purpose::Count, now + 60_000_000).await.has_room);
    let mut connection = connection(&redis).await;
    let expires: i64 = connection.pttl("plimsoll:{acme/key_1}:v1Api").await.expect("a time");
    assert!((60_000..=61_000).contains(&expires), "{expires}");
}

#[tokio::test]
async fn a_window_expires_by_itself_and_holds_no_more_than_its_limit() {
    let redis = Redis::start();
    let mut connection = connection(&redis).await;
    let script = Script::new(SCRIPT);
    let window = at_most(2, 1);
    for call in 0..6 {
        let answer: Vec<i64> = invocation(&script, "acme/key_1", &[window], Purpose::Count)
            .invoke_async(&mut connection)
            .await
            .expect("an answer");
        assert_eq!(answer[0], i64::from(call < 2), "{answer:?}");
    }
    let key = "plimsoll:{acme/key_1}:v1Api";
    assert_eq!(connection.llen::<_, u64>(key).await.expect("a length"), 2, "what was refused takes no room");
    let expires: i64 = connection.pttl(key).await.expect("a time");
    assert!((1..=2_000).contains(&expires), "{expires}");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while connection.exists::<_, bool>(key).await.expect("an answer") {
        assert!(std::time::Instant::now() < deadline, "it does not expire");
    }
}
