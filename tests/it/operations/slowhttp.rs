//! slowhttptest with 2000 connections: slow heads, slow bodies, and answers that are read slowly.
//!
//! What is measured is what good callers wait for while the slow connections are held, not while they are opened: that takes
//! slowhttptest's own processor time. They ask two servers in turn, the one under attack and its twin, which serves them as the
//! first did before. So whatever else the machine does is done to both. Since it can only make them slower, of all rounds a
//! quiet one counts, and when others take so much of it that there is none, what its scheduler does to everybody is allowed; the slow connections are there in every round. Most questions are asked on connections that stay open, some on new ones, since
//! a server without room for another connection starves only those.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{sample, set_up};
use crate::harness::Plimsoll;

/// Connections of slowhttptest.
const ATTACKERS: &str = "2000";
/// The longest that it may all take.
const ATTACKING: Duration = Duration::from_secs(60);
/// More connections than good callers have: slowhttptest has begun to open its own.
const ROUSED: f64 = 100.0;
/// Good callers.
const CALLERS: usize = 4;
/// How long they ask between two looks at the number of connections.
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 12;
const ROUNDS_BEFORE: usize = 4;
/// Every so many questions are asked on a new connection.
const NEW: usize = 4;
/// Longer than any good caller may wait for anything; less than the slow ones are given.
const PATIENCE: Duration = Duration::from_secs(3);
/// Who waits for less than this waits for the scheduler of a machine whose two processors also make the attack, not for the server.
const GRAIN: Duration = Duration::from_millis(2);
/// How long the system lets a busy neighbour go on before somebody else has a turn, roughly.
const TURN: Duration = Duration::from_millis(4);
/// The most memory that a server under attack may take: some 200 KiB for each connection.
const MEMORY_KIB: u64 = 400 * 1_024;

/// A running slowhttptest, which ends with its owner.
struct Attack(Child);

impl Attack {
    fn start(mode: &str, url: &str, more: &[&str]) -> Self {
        let mut command = Command::new("slowhttptest");
        // Opened as fast as it can, and held for longer than anybody watches.
        command.args([mode, "-c", ATTACKERS, "-r", ATTACKERS, "-l", "120", "-u", url]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("slowhttptest, which .ci/test installs"))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What good callers waited for, on connections that stayed open and on new ones.
#[derive(Default)]
struct Waits {
    kept: Vec<Duration>,
    new: Vec<Duration>,
}

impl Waits {
    fn add(&mut self, mut other: Self) {
        self.kept.append(&mut other.kept);
        self.new.append(&mut other.new);
    }

    /// The p99 of both.
    fn p99(&mut self) -> [Duration; 2] {
        [&mut self.kept, &mut self.new].map(|waits| {
            waits.sort_unstable();
            waits[waits.len() * 99 / 100]
        })
    }
}

/// Sends the question and reads the whole answer, which must be a good one.
async fn exchange(stream: &mut TcpStream, question: &[u8]) {
    stream.write_all(question).await.expect("a connection");
    let mut answer = Vec::new();
    let is_whole = |answer: &[u8]| {
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let text = std::str::from_utf8(&answer[..head]).expect("a head");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        Some(answer.len() == head + 4 + length.parse::<usize>().expect("a number"))
    };
    while is_whole(&answer) != Some(true) {
        let read = stream.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

/// A server, and a question to it.
struct Asked {
    server: Plimsoll,
    question: Vec<u8>,
}

impl Asked {
    async fn start() -> Self {
        let server = Plimsoll::start().await;
        set_up(&server.admin()).await;
        let key = server.key(&["read"], None).await;
        let body = r#"{"org":"acme","limitKey":"seats","current":4}"#;
        let head = format!("POST /v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}", key.secret());
        let question = format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Self { server, question: question.into_bytes() }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.expect("a connection")
    }

    /// How long one answer takes, on this connection or on a new one.
    async fn ask(&self, kept: Option<&mut TcpStream>) -> Duration {
        let begun = Instant::now();
        let asking = async {
            match kept {
                Some(stream) => exchange(stream, &self.question).await,
                None => exchange(&mut self.connect().await, &self.question).await,
            }
        };
        timeout(PATIENCE, asking).await.expect("a good caller has to wait for seconds");
        begun.elapsed()
    }

    async fn connections(&self) -> f64 {
        let metrics = self.server.anonymous().get("/metrics").await;
        sample(&metrics.text, "plimsoll_connections").expect("a number")
    }

    /// Processor time so far, in ticks of the system.
    fn processor(&self) -> u64 {
        processor_of(&self.server.pid().to_string())
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

fn processor_of(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("its name");
    let number = |place: usize| fields.split_whitespace().nth(place).and_then(|text| text.parse::<u64>().ok());
    number(11).expect("user time") + number(12).expect("system time")
}

/// Processor time of the whole machine so far, in ticks: what there was, and what programs took of it.
fn machine() -> [u64; 2] {
    let stat = std::fs::read_to_string("/proc/stat").expect("the system's counts");
    let line = stat.lines().next().expect("a line of all processors");
    let fields: Vec<u64> = line.split_whitespace().skip(1).take(8).map(|field| field.parse().expect("a number")).collect();
    [fields.iter().sum(), fields[..3].iter().sum()]
}

/// A good caller with a connection to each of two servers, which it asks in turn.
struct Caller<'a> {
    servers: [&'a Asked; 2],
    kept: [TcpStream; 2],
}

impl<'a> Caller<'a> {
    async fn of(servers: [&'a Asked; 2]) -> Self {
        let kept = [servers[0].connect().await, servers[1].connect().await];
        Self { servers, kept }
    }

    async fn ask_for_a_round(&mut self) -> [Waits; 2] {
        let (begun, mut waits) = (Instant::now(), <[Waits; 2]>::default());
        for number in 1_usize.. {
            for (place, server) in self.servers.iter().enumerate() {
                if number.is_multiple_of(NEW) {
                    waits[place].new.push(server.ask(None).await);
                } else {
                    waits[place].kept.push(server.ask(Some(&mut self.kept[place])).await);
                }
            }
            if begun.elapsed() > ROUND {
                break;
            }
        }
        waits
    }
}

/// All callers ask for a while.
async fn round(callers: &mut [Caller<'_>]) -> [Waits; 2] {
    let mut sum = <[Waits; 2]>::default();
    for waits in futures_util::future::join_all(callers.iter_mut().map(Caller::ask_for_a_round)).await {
        for (sum, waits) in sum.iter_mut().zip(waits) {
            sum.add(waits);
        }
    }
    sum
}

/// Of the server under attack and of its twin: on connections that stayed open, and on new ones.
type P99s = [[Duration; 2]; 2];

/// What one round found, of the server under attack and of its twin.
struct Round {
    p99: P99s,
    /// Processor time, in ticks.
    processor: [u64; 2],
    /// Processor time of the machine, and what programs took of it that have nothing to do with this.
    others: [u64; 2],
}

/// Rounds from when no more slow connections are opened until fewer than `held` are left.
async fn rounds_while_held(callers: &mut [Caller<'_>], attack: &Attack, held: f64, deadline: Instant) -> Vec<Round> {
    let servers = callers[0].servers;
    let (mut open, mut rounds) = (0.0, Vec::new());
    while open < ROUSED || servers[0].connections().await > open {
        open = servers[0].connections().await;
        // It takes a while, and is not counted.
        round(callers).await;
        assert!(Instant::now() < deadline, "no more than {open} connections are open");
    }
    while rounds.len() < ROUNDS {
        let ours = || processor_of("self") + processor_of(&attack.0.id().to_string());
        let begun = (servers.map(Asked::processor), machine(), ours());
        let p99 = round(callers).await.map(|mut waits| waits.p99());
        let processor = [0, 1].map(|server| servers[server].processor() - begun.0[server]);
        let [all, taken] = [0, 1].map(|kind| machine()[kind] - begun.1[kind]);
        let others = taken.saturating_sub(processor[0] + processor[1] + ours() - begun.2);
        // Those that were opened first are cut first.
        if servers[0].connections().await < held {
            break;
        }
        rounds.push(Round { p99, processor, others: [all, others] });
    }
    rounds
}

/// The p99s of one server in its quieter rounds: those of the first quartile.
fn typical(rounds: &[P99s], server: usize) -> [Duration; 2] {
    [0, 1].map(|kind| {
        let mut p99s: Vec<Duration> = rounds.iter().map(|p99s| p99s[server][kind]).collect();
        p99s.sort_unstable();
        p99s[p99s.len() / 4]
    })
}

/// Good callers of a server under attack wait at most twice as long as before or, if the machine has become busier since, as
/// those of its twin at the same time; and the attack costs it hardly any processor time and little memory.
/// `held` is how many slow connections there are at least while it is measured.
async fn is_withstood(mode: &str, path: &str, more: &[&str], held: f64) {
    let (attacked, twin) = (Asked::start().await, Asked::start().await);
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller::of([&attacked, &twin]).await);
    }
    // What is asked first has to be loaded first.
    round(&mut callers).await;
    let mut before = Vec::new();
    for _ in 0..ROUNDS_BEFORE {
        before.push(round(&mut callers).await.map(|mut waits| waits.p99()));
    }
    let before = typical(&before, 0);
    let credential = format!("x=y\r\nAuthorization: Bearer {}", crate::harness::ADMIN_KEY);
    // It has no option for headers of one's own, but one for cookies.
    let more: Vec<&str> = more.iter().copied().chain(["-j", &credential]).collect();
    let deadline = Instant::now() + ATTACKING;
    let mut rounds = Vec::new();
    // Slow heads are cut so soon that it takes several attacks.
    while rounds.len() < ROUNDS {
        let attack = Attack::start(mode, &attacked.server.url(path), &more);
        rounds.extend(rounds_while_held(&mut callers, &attack, held, deadline).await);
        assert!(Instant::now() < deadline, "the slow connections were held for {} rounds only", rounds.len());
    }
    let p99s: Vec<P99s> = rounds.iter().map(|round| round.p99).collect();
    let [during, of_twin] = [0, 1].map(|server| typical(&p99s, server));
    let processor = [0, 1].map(|server| rounds.iter().map(|round| round.processor[server]).sum::<u64>());
    let [all, others] = [0, 1].map(|kind| rounds.iter().map(|round| round.others[kind]).sum::<u64>());
    let allowed = if others * 5 > all { TURN } else { GRAIN };
    let memory = attacked.resident_kib();
    let said = format!(
        "{mode}: p99 {during:?} after {before:?} and beside {of_twin:?}, {processor:?} ticks of {all} in {} rounds, \
         {others} of others, {memory} KiB",
        rounds.len()
    );
    println!("{said}");
    for ((during, before), of_twin) in during.into_iter().zip(before).zip(of_twin) {
        assert!(during <= 2 * before.max(of_twin).max(allowed), "{said}");
    }
    assert!(processor[0] <= 2 * processor[1] + 10, "{said}");
    assert!(memory < MEMORY_KIB, "{said}");
}

#[tokio::test]
async fn two_thousand_slow_heads_leave_good_callers_alone() {
    is_withstood("-H", "/v1/check", &["-i", "1", "-x", "8"], 1_500.0).await;
}

#[tokio::test]
async fn two_thousand_slow_bodies_leave_good_callers_alone() {
    is_withstood("-B", "/v1/check", &["-i", "1", "-x", "8", "-f", "application/json"], 1_950.0).await;
}

#[tokio::test]
async fn two_thousand_slow_readers_leave_good_callers_alone() {
    // The largest answer that there is for everybody, asked for ten times on each connection.
    let slowly = ["-n", "1", "-z", "5", "-w", "1", "-y", "512", "-k", "10"];
    is_withstood("-X", "/openapi.json", &slowly, 1_950.0).await;
}
