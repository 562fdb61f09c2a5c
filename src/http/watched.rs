//! A connection whose peer keeps it waiting is cut: one that does not read its answer, one that does not finish its request,
//! and one that does nothing at all.
//!
//! The HTTP library has a deadline for a connection's first head. It has none for the head of a later request, for what follows an
//! answer that came before the whole body, and for answers that are not read; and the one it has for idling is a timer that is made
//! and thrown away with every request, where one for each connection is enough. And it takes in requests that are sent ahead of their
//! answers by the thousand, at some 7 KiB each; here they stay with their sender.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may keep the connection waiting. Each is over at the end of a tick, so up to a tick later.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often a connection is looked at.
    pub tick: Duration,
    /// Ticks in which nothing arrives, also after an answer. Then the connection is closed as if its peer had closed it.
    pub idle: u32,
    /// Ticks from a request's first byte to its answer's.
    pub request: u32,
    /// Ticks in which less than [`LEAST_READ`] of an answer is read.
    pub answer: u32,
}

/// The most that is read at a time of requests whose heads are still on their way.
const SLICE: usize = 1_024;
/// The most that is read of what nobody wants before a connection is closed, and how long it may take to arrive. What is left
/// unread makes the system reset the connection, and the answer may be lost with it.
const MOST_UNWANTED: usize = 67_108_864;
const LINGERING: Duration = Duration::from_secs(2);
/// Bytes that the peer has to read of an answer within its time, to be given as much again.
const LEAST_READ: usize = 4_096;

/// What the request that is served on a connection wants of it. Its connection is told through this.
#[derive(Clone, Default)]
pub struct Serving(Rc<Cell<Wanted>>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wanted {
    /// None is served: the next request.
    #[default]
    Request,
    /// The body of the one that is served.
    Body,
    /// Nothing, until it is answered.
    Nothing,
}

/// Holds for as long as it is kept.
pub struct Wanting {
    serving: Serving,
    before: Wanted,
}

impl Serving {
    /// A request is served, and wants nothing more.
    pub fn begin(&self) -> Wanting {
        self.want(Wanted::Nothing)
    }

    /// The request that is served wants its body. Whoever waits for it has to wake its task.
    pub fn want_body(&self) -> Wanting {
        self.want(Wanted::Body)
    }

    fn want(&self, wanted: Wanted) -> Wanting {
        Wanting { serving: self.clone(), before: self.0.replace(wanted) }
    }
}

impl Drop for Wanting {
    fn drop(&mut self) {
        self.serving.0.set(self.before);
    }
}

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
    serving: Serving,
    /// Bytes that were read without a pause.
    taken: usize,
    /// Whether there is something that is read only after the next answer.
    is_put_off: bool,
    alarm: Pin<Box<Sleep>>,
    /// Whether the alarm was asked, without which it wakes nobody.
    is_set: bool,
    /// Once nothing more is written: bytes that were read and that nobody wanted.
    unwanted: Option<usize>,
    /// Whether it was idle for too long.
    is_over: bool,
}

impl Patience {
    /// Looks at connections every five seconds, or as often as they may be idle.
    pub fn new(idle: Duration, request: Duration, answer: Duration) -> Self {
        const TICK: Duration = Duration::from_secs(5);
        let tick = TICK.min(idle).max(Duration::from_secs(1));
        let ticks = |time: Duration| u32::try_from(time.as_secs().div_ceil(tick.as_secs())).unwrap_or(u32::MAX);
        Self { tick, idle: ticks(idle), request: ticks(request), answer: ticks(answer) }
    }
}

impl Watched {
    /// Watches an accepted connection.
    pub fn new(stream: TcpStream, patience: Patience) -> Self {
        let alarm = Box::pin(sleep(patience.tick));
        Self {
            stream,
            patience,
            phase: Phase::Idle,
            ticks: 0,
            written: 0,
            serving: Serving::default(),
            taken: 0,
            is_put_off: false,
            alarm,
            is_set: false,
            unwanted: None,
            is_over: false,
        }
    }

    /// Where the request that is served says what it wants.
    pub fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// Nothing of a request has arrived, or since the last answer.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.ticks, self.written, self.is_over) = (phase, 0, 0, false);
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
        if self.phase == Phase::Idle {
            self.is_over = true;
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
        if self.is_over && self.stream.poll_read_ready(context).is_pending() {
            return Poll::Ready(Ok(()));
        }
        let wanted = self.serving.0.get();
        if wanted == Wanted::Nothing || self.phase == Phase::Answering {
            // What is sent ahead waits for its turn with who sent it, or it would pile up here.
            self.is_put_off |= self.stream.poll_read_ready(context).is_ready();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = match wanted {
            Wanted::Request => ready!(self.poll_slice(context, buffer)),
            Wanted::Body | Wanted::Nothing => ready!(Pin::new(&mut self.stream).poll_read(context, buffer)),
        };
        if self.phase == Phase::Idle && buffer.filled().len() > before {
            self.enter(Phase::Asked);
        }
        Poll::Ready(read)
    }
}

impl Watched {
    /// Reads a slice and then pauses once, so that what it holds is served before more is read.
    fn poll_slice(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.taken >= SLICE {
            self.taken = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Nothing is made ready for what is not there.
        if self.stream.poll_read_ready(context).is_pending() {
            self.taken = 0;
            return Poll::Pending;
        }
        let room = buffer.remaining().min(SLICE.saturating_sub(self.taken));
        let mut slice = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.stream).poll_read(context, &mut slice);
        let length = slice.filled().len();
        buffer.advance(length);
        self.taken = if read.is_pending() { 0 } else { self.taken.saturating_add(length) };
        read
    }

    /// Reads what nobody wants, until the peer is done, too much has come or too much time has passed.
    fn poll_unwanted(&mut self, context: &mut Context<'_>, mut read: usize) -> Poll<io::Result<()>> {
        let mut room = [0; 8_192];
        while read < MOST_UNWANTED && self.alarm.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    self.unwanted = Some(read);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => read = read.saturating_add(buffer.filled().len()),
                // It is done, or gone.
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
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
        if let Some(read) = self.unwanted {
            return self.poll_unwanted(context, read);
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        // Only who is in the middle of sending is waited for.
        let Ok(read @ 1..) = self.stream.try_read(&mut [0; 8_192]) else { return Poll::Ready(Ok(())) };
        let end = Instant::now().checked_add(LINGERING).unwrap_or_else(Instant::now);
        self.alarm.as_mut().reset(end);
        self.poll_unwanted(context, read)
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
