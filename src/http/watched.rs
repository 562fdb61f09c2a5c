//! A connection whose peer keeps it waiting is cut: one that does not read its answer, one that does not finish its request,
//! and one that does nothing at all.
//!
//! The HTTP library has deadlines for a connection's first head and for idling between requests. It has none for the head of a
//! later request, for what follows an answer that came before the whole body, and for answers that are not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may keep the connection waiting. Each is over at the end of a tick, so up to a tick later.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often a connection is looked at.
    pub tick: Duration,
    /// Ticks in which nothing arrives after an answer.
    pub idle: u32,
    /// Ticks from a request's first byte to its answer's.
    pub request: u32,
    /// Ticks in which less than [`LEAST_READ`] of an answer is read.
    pub answer: u32,
}

/// Bytes that the peer has to read of an answer within its time, to be given as much again.
const LEAST_READ: usize = 4_096;

/// What the connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request.
    Idle,
    /// The rest of a request, or its answer.
    Asked,
    /// The peer, to read its answer.
    Answering,
}

/// A connection that is cut when its peer keeps it waiting.
pub struct Watched {
    stream: TcpStream,
    patience: Patience,
    phase: Phase,
    /// Ticks since the phase began, or since it was last given more time.
    ticks: u32,
    /// Bytes written since then.
    written: usize,
    /// Whether reading was put off until the peer reads.
    is_put_off: bool,
    alarm: Pin<Box<Sleep>>,
    /// Whether the alarm was asked, without which it wakes nobody.
    is_set: bool,
}

impl Patience {
    /// Looks at connections every five seconds.
    pub fn new(idle: Duration, request: Duration, answer: Duration) -> Self {
        const TICK: Duration = Duration::from_secs(5);
        let ticks = |time: Duration| u32::try_from(time.as_secs().div_ceil(TICK.as_secs())).unwrap_or(u32::MAX);
        Self { tick: TICK, idle: ticks(idle), request: ticks(request), answer: ticks(answer) }
    }
}

impl Watched {
    /// Watches an accepted connection.
    pub fn new(stream: TcpStream, patience: Patience) -> Self {
        let alarm = Box::pin(sleep(patience.tick));
        Self { stream, patience, phase: Phase::Idle, ticks: 0, written: 0, is_put_off: false, alarm, is_set: false }
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.ticks, self.written) = (phase, 0, 0);
    }

    /// An error when the peer has kept the connection waiting for too long. Nearly always this is one look at the alarm.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_set && !self.alarm.is_elapsed() {
            return Ok(());
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            self.tick()?;
            let next = Instant::now().checked_add(self.patience.tick).unwrap_or_else(Instant::now);
            self.alarm.as_mut().reset(next);
        }
        self.is_set = true;
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        self.ticks = self.ticks.saturating_add(1);
        let most = match self.phase {
            Phase::Idle => self.patience.idle,
            Phase::Asked => self.patience.request,
            Phase::Answering => self.patience.answer,
        };
        // The first tick began before the phase did.
        if self.ticks <= most {
            return Ok(());
        }
        if self.phase == Phase::Answering && self.written >= LEAST_READ {
            self.enter(Phase::Answering);
            return Ok(());
        }
        // What was not read is thrown away; otherwise the system would go on offering it. If it cannot be, it does.
        self.stream.set_zero_linger().ok();
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_patience(context)?;
        if self.phase == Phase::Answering {
            // Whoever does not read is asked nothing more, or what it sends would pile up here.
            self.is_put_off = true;
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.phase == Phase::Idle && buffer.filled().len() > before {
            self.enter(Phase::Asked);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_patience(context)?;
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        match &result {
            Poll::Ready(Ok(written)) if *written < bytes.len() => self.written = self.written.saturating_add(*written),
            Poll::Ready(_) => {
                self.enter(Phase::Idle);
                if std::mem::take(&mut self.is_put_off) {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Pending if self.phase != Phase::Answering => self.enter(Phase::Answering),
            Poll::Pending => {}
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
