//! The generator: keep-alive connections that each ask, wait for the answer, and ask about the next org.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::{Outcome, Scenario};

/// Every org is asked about once before it counts, and for at least so long.
const WARM_UP: Duration = Duration::from_secs(1);
/// Digits of an org's number: ids of one length make requests of one length.
const DIGITS: usize = 7;
/// Holds an answer with its headers; a longer one is an error.
const ANSWER_MAX: usize = 8_192;

/// The id of the org of this number.
pub(crate) fn org(number: usize) -> String {
    format!("org-{number:0DIGITS$}")
}

/// The body of the question about that org.
pub(crate) fn body(scenario: Scenario, number: usize) -> String {
    let question = json!({
        "org": org(number), "limitKey": crate::plimsoll::LIMIT_KEY, "amount": 1, "current": scenario.current(),
    });
    question.to_string()
}

/// How to ask.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) scenario: Scenario,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) seconds: u64,
}

/// What came of it.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    /// Asks the server at this address for the given time.
    pub(crate) fn run(self, address: SocketAddr, key: &str) -> Outcome<Measured> {
        let barrier = Arc::new(Barrier::new(self.threads));
        let threads = (0..self.threads).map(|thread| {
            let (key, barrier) = (key.to_owned(), barrier.clone());
            thread::spawn(move || self.run_thread(thread, address, &key, &barrier))
        });
        let mut waits = Vec::new();
        let mut per_second = 0.0;
        for thread in threads.collect::<Vec<_>>() {
            let (thread_waits, elapsed) = thread.join().map_err(|_| "a thread of the generator has panicked")??;
            per_second += rate(thread_waits.len(), elapsed);
            waits.extend(thread_waits);
        }
        waits.sort_unstable();
        Ok(Measured { per_second, p50: percentile(&waits, 50)?, p99: percentile(&waits, 99)? })
    }

    fn run_thread(self, thread: usize, address: SocketAddr, key: &str, barrier: &Barrier) -> Outcome<(Vec<u32>, Duration)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mine = (thread..self.connections).step_by(self.threads);
        let prepared = runtime.block_on(async {
            let mut warming = JoinSet::new();
            for first in mine {
                let mut connection = Connection::new(self, first, key, address).await?;
                warming.spawn(async move { connection.warm_up().await.map(|()| connection) });
            }
            gathered(warming).await
        });
        // All threads wait for each other, also for one that failed.
        barrier.wait();
        let prepared = prepared?;
        runtime.block_on(async {
            let begun = Instant::now();
            let end = begun + Duration::from_secs(self.seconds);
            let mut asking = JoinSet::new();
            for mut connection in prepared {
                asking.spawn(async move { connection.ask_until(end).await });
            }
            let waits = gathered(asking).await?.into_iter().flatten().collect();
            Ok((waits, begun.elapsed()))
        })
    }
}

async fn gathered<T: 'static>(mut tasks: JoinSet<Outcome<T>>) -> Outcome<Vec<T>> {
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^53")]
fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The wait that so many of a hundred do not exceed, of sorted nanoseconds.
fn percentile(sorted: &[u32], percent: usize) -> Outcome<Duration> {
    let wait = sorted.get(sorted.len() * percent / 100).ok_or("nothing was measured")?;
    Ok(Duration::from_nanos(u64::from(*wait)))
}

/// A keep-alive connection and the org that it asks about next.
struct Connection {
    load: Load,
    stream: TcpStream,
    request: Vec<u8>,
    /// Where the org's number stands in the request.
    digits: usize,
    first: usize,
    next: usize,
    answer: Vec<u8>,
}

impl Connection {
    async fn new(load: Load, first: usize, key: &str, address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let body = body(load.scenario, 0);
        let request = format!(
            "POST /v1/check HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let digits = request.find(&org(0)).ok_or("the request names no org")? + "org-".len();
        let answer = vec![0; ANSWER_MAX];
        Ok(Self { load, stream, request: request.into_bytes(), digits, first, next: first, answer })
    }

    /// Asks about every org of this connection once, and looks at the first answers.
    async fn warm_up(&mut self) -> Outcome<()> {
        let end = Instant::now() + WARM_UP;
        self.verify().await?;
        while self.next != self.first {
            self.ask().await?;
        }
        self.ask_until(end).await.map(|_| ())
    }

    async fn verify(&mut self) -> Outcome<()> {
        let asked = org(self.next);
        let range = self.ask().await?;
        let answer: serde_json::Value = serde_json::from_slice(self.answer.get(range).unwrap_or_default())?;
        let told = answer.pointer("/data/allowed").and_then(serde_json::Value::as_bool);
        let about = answer.pointer("/data/org").and_then(serde_json::Value::as_str);
        if told == Some(self.load.scenario.is_allowed()) && about == Some(&asked) {
            return Ok(());
        }
        Err(format!("asked about {asked}, the answer was not as expected: {answer}").into())
    }

    /// The nanoseconds that each answer took.
    async fn ask_until(&mut self, end: Instant) -> Outcome<Vec<u32>> {
        let mut waits = Vec::with_capacity(16_384);
        let mut begun = Instant::now();
        while begun < end {
            self.ask().await?;
            let ended = Instant::now();
            waits.push(u32::try_from(ended.duration_since(begun).as_nanos()).unwrap_or(u32::MAX));
            begun = ended;
        }
        Ok(waits)
    }

    /// Asks once; anything but a 200 is an error. Returns where the body of the answer stands.
    async fn ask(&mut self) -> Outcome<std::ops::Range<usize>> {
        self.write_number();
        self.stream.write_all(&self.request).await?;
        let mut received = 0;
        loop {
            let room = self.answer.get_mut(received..).filter(|room| !room.is_empty()).ok_or("the answer is too long")?;
            let count = self.stream.read(room).await?;
            if count == 0 {
                return Err(format!("the server closed the connection after {received} bytes of an answer").into());
            }
            received += count;
            if let Some(body) = complete(self.answer.get(..received).unwrap_or_default())? {
                return Ok(body);
            }
        }
    }

    fn write_number(&mut self) {
        let mut rest = self.next;
        let place = self.request.get_mut(self.digits..self.digits + DIGITS).unwrap_or_default();
        for digit in place.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        self.next += self.load.connections;
        if self.next >= self.load.scenario.orgs() {
            self.next = self.first;
        }
    }
}

/// Where the body stands once all of the answer is there.
fn complete(received: &[u8]) -> Outcome<Option<std::ops::Range<usize>>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = received.get(..end).unwrap_or_default();
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("not a 200: {}", String::from_utf8_lossy(received)).into());
    }
    let body = end + 4;
    let length = content_length(head).ok_or("the answer has no Content-Length")?;
    Ok((received.len() >= body + length).then_some(body..body + length))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let mut lines = head.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.split_at_checked(NAME.len()).filter(|(name, _)| name.eq_ignore_ascii_case(NAME)))?.1;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}
