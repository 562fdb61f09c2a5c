//! A way to PostgreSQL on which things go wrong: it is slow, it is cut, nothing comes through, or a COMMIT is done and its answer is lost.
//! Every fault can be switched while it runs, from any thread; it runs on a thread of its own, also while the test's is blocked.
//!
//! ```ignore
//! let proxy = Proxy::to(postgres.address());
//! let server = Plimsoll::on(Setup::on_postgres(&postgres).database_url(&postgres.url_through(proxy.address()))).await;
//! proxy.swallow_commits(1);
//! ```

mod dialogue;
mod messages;
mod pump;
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// The proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What connections go by.
struct Shared {
    way: watch::Sender<Way>,
    trap: Mutex<Option<Trap>>,
    sprung: AtomicUsize,
    open: AtomicUsize,
}

/// How the way is now.
#[derive(Clone, Copy)]
struct Way {
    target: SocketAddr,
    delay: Duration,
    is_silent: bool,
    is_closed: bool,
    /// How often everything was reset.
    resets: usize,
    /// How often everything was abandoned.
    abandonments: usize,
}

/// What becomes of the statements that a test waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are done, and the answer is lost.
    Answerless,
    /// They never arrive.
    Lost,
}

struct Trap {
    is_meant: Box<dyn Fn(&str) -> bool + Send>,
    times: usize,
    fate: Fate,
}

impl Proxy {
    /// A proxy on which nothing goes wrong yet.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let way = Way { target, delay: Duration::ZERO, is_silent: false, is_closed: false, resets: 0, abandonments: 0 };
        let way = watch::Sender::new(way);
        let shared = Arc::new(Shared { way, trap: Mutex::default(), sprung: AtomicUsize::new(0), open: AtomicUsize::new(0) });
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(listener, &of_thread, stopped));
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections that are made from now on go elsewhere.
    pub(crate) fn redirect(&self, target: SocketAddr) {
        self.change(|way| way.target = target);
    }

    /// Holds everything back for so long, in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.change(|way| way.delay = delay);
    }

    /// Lets nothing through, not even the end of a connection, or lets it through again: what was sent meanwhile then arrives.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.change(|way| way.is_silent = is_silent);
    }

    /// Lets nothing through any more on the connections that there are, for ever, as if the machine at the other end had vanished.
    pub(crate) fn abandon(&self) {
        self.change(|way| way.abandonments += 1);
    }

    /// Resets all connections that there are, at both ends.
    pub(crate) fn reset(&self) {
        self.change(|way| way.resets += 1);
    }

    /// Resets also all that come, until they are let in again.
    pub(crate) fn close(&self, is_closed: bool) {
        self.change(|way| way.is_closed = is_closed);
        if is_closed {
            self.reset();
        }
    }

    /// Lets the next so many transactions be committed, and resets their connections in place of the answer. Of TLS nothing can be seen.
    pub(crate) fn swallow_commits(&self, times: usize) {
        self.swallow(times, messages::is_commit);
    }

    /// The same with the answers to the statements that a test names by their text.
    pub(crate) fn swallow(&self, times: usize, is_meant: impl Fn(&str) -> bool + Send + 'static) {
        self.set(Trap { is_meant: Box::new(is_meant), times, fate: Fate::Answerless });
    }

    /// Resets the connections of the next so many transactions in place of their COMMIT, which never arrives.
    pub(crate) fn lose_commits(&self, times: usize) {
        self.lose(times, messages::is_commit);
    }

    /// The same with the statements that a test names by their text.
    pub(crate) fn lose(&self, times: usize, is_meant: impl Fn(&str) -> bool + Send + 'static) {
        self.set(Trap { is_meant: Box::new(is_meant), times, fate: Fate::Lost });
    }

    /// How many answers were swallowed and statements lost so far.
    pub(crate) fn sprung(&self) -> usize {
        self.shared.sprung.load(Ordering::SeqCst)
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut Way)) {
        self.shared.way.send_modify(change);
    }

    fn set(&self, trap: Trap) {
        *self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
    }
}

impl Shared {
    /// What becomes of this statement, if it is one that a test waits for.
    fn fate_of(&self, statement: &str) -> Option<Fate> {
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        let trap = trap.as_mut().filter(|trap| trap.times > 0 && (trap.is_meant)(statement))?;
        trap.times -= 1;
        Some(trap.fate)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(listener: std::net::TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("a socket");
        tokio::select! {
            () = accept(&listener, shared) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        connections.spawn(serve(client, Arc::clone(shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let way = *shared.way.borrow();
    match TcpStream::connect(way.target).await {
        Ok(server) if !way.is_closed => pump::carry(client, server, &shared, way).await,
        Ok(_) | Err(_) => pump::reset(&client),
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}
