//! One server that holds shared windows: the connection to it, and when it is not asked.
//!
//! Whoever finds it slow or gone cuts the connection, and nobody waits for it from then on. Its keeper connects anew and lets
//! callers come back once it has answered well for a while; the longer, the sooner it had failed after the last time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, ScriptInvocation, ServerErrorKind};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::place::Host;

/// The longest that connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// Calls that may wait to be sent.
const QUEUE: usize = 4_096;
/// How often the connection is tried when nobody says that it is broken.
const BEAT: Duration = Duration::from_millis(500);
/// How often a server is tried that is to prove itself.
const PROOF: Duration = Duration::from_millis(25);
/// The shortest and the longest that it has to prove itself after it failed.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);
/// What lasted so long did not fail soon.
const LASTING: Duration = Duration::from_secs(30);
/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Why a question has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is not reached, or too slow.
    Away,
    /// The windows are at another node.
    Moved(Option<Host>),
    /// It answered that it cannot say now.
    Refused,
}

/// One server.
pub(super) struct Node {
    link: Arc<Link>,
    keeper: JoinHandle<()>,
}

struct Link {
    host: Host,
    client: Client,
    patience: Duration,
    /// The connection; none while nobody is to wait for it.
    open: ArcSwapOption<MultiplexedConnection>,
    is_cut: Notify,
    /// Whether the log has said that it refuses.
    has_refused: AtomicBool,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Node {
    /// Begins to connect.
    pub(super) fn start(host: Host, client: Client, patience: Duration) -> Self {
        let (open, is_cut) = (ArcSwapOption::empty(), Notify::new());
        let link = Arc::new(Link { host, client, patience, open, is_cut, has_refused: AtomicBool::new(false) });
        Self { keeper: tokio::spawn(Arc::clone(&link).keep()), link }
    }

    pub(super) fn host(&self) -> &Host {
        &self.link.host
    }

    /// Whether callers are let through.
    pub(super) fn is_open(&self) -> bool {
        self.link.open.load().is_some()
    }

    /// Asks, and waits until then at most. Who finds the connection cut does not wait at all.
    pub(super) async fn ask(&self, script: &ScriptInvocation<'_>, until: Instant) -> Result<Vec<i64>, Trouble> {
        let link = &self.link;
        let open = link.open.load_full().ok_or(Trouble::Away)?;
        let mut connection = MultiplexedConnection::clone(&open);
        match timeout_at(until, script.invoke_async(&mut connection)).await {
            Ok(Ok(answer)) => {
                link.has_refused.store(false, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(link.trouble(&open, &error)),
            Err(_) => {
                link.cut(&open, &"it does not answer in time");
                Err(Trouble::Away)
            }
        }
    }
}

impl Link {
    fn trouble(&self, open: &Arc<MultiplexedConnection>, error: &RedisError) -> Trouble {
        let kind = error.kind();
        if kind == ErrorKind::Server(ServerErrorKind::Moved) {
            return Trouble::Moved(error.redirect_node().and_then(|(to, _)| self.host_at(to)));
        }
        let is_moving = [ServerErrorKind::Ask, ServerErrorKind::TryAgain].map(ErrorKind::Server).contains(&kind);
        let is_replica = kind == ErrorKind::Server(ServerErrorKind::ReadOnly);
        let is_answer = error.code().is_some();
        // The name of a replica may lead to the one that can be written to by now.
        if is_replica || !is_answer {
            self.cut(open, error);
        } else if !is_moving && !self.has_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(redis = %self.host, %error, "Redis refuses to count sliding windows: {OWN}");
        }
        match (is_moving || is_replica, is_answer) {
            (true, _) => Trouble::Moved(None),
            (false, true) => Trouble::Refused,
            (false, false) => Trouble::Away,
        }
    }

    /// The server that a node names: without a name, it is this one, at another port.
    fn host_at(&self, text: &str) -> Option<Host> {
        let (name, port) = text.rsplit_once(':')?;
        let name = if name.is_empty() { &self.host.name } else { name.trim_matches(['[', ']']) };
        Some(Host { name: name.to_owned(), port: port.parse().ok()? })
    }

    /// Nobody waits for this connection any more. One that has replaced it stays.
    fn cut(&self, open: &Arc<MultiplexedConnection>, why: &dyn std::fmt::Display) {
        let before = self.open.compare_and_swap(open, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, open)) {
            tracing::warn!(redis = %self.host, %why, "Redis cannot be asked for sliding windows: {OWN}");
            self.is_cut.notify_one();
        }
    }

    async fn keep(self: Arc<Self>) {
        // The first time nothing has to be proved.
        let mut proof = Duration::ZERO;
        loop {
            let open = Arc::new(self.connect(proof).await);
            self.open.store(Some(Arc::clone(&open)));
            tracing::info!(redis = %self.host, "sliding windows are shared through Redis");
            let since = Instant::now();
            self.until_cut(&open).await;
            let lasted = since.elapsed() >= LASTING;
            proof = if lasted { SHORTEST } else { proof.saturating_mul(2).clamp(SHORTEST, LONGEST) };
        }
    }

    async fn until_cut(&self, open: &Arc<MultiplexedConnection>) {
        while self.open.load().is_some() {
            if timeout(BEAT, self.is_cut.notified()).await.is_err()
                && let Err(why) = self.beat(open).await
            {
                self.cut(open, &why);
            }
        }
    }

    /// A connection to a server that has answered well for so long.
    async fn connect(&self, proof: Duration) -> MultiplexedConnection {
        let (mut pause, longest) = PAUSES;
        let mut said = None;
        loop {
            match self.try_to_connect(proof).await {
                Ok(connection) => return connection,
                Err(why) => {
                    // Once for each reason, however often it is tried.
                    if said.as_ref() != Some(&why) {
                        tracing::warn!(redis = %self.host, %why, "Redis cannot be reached: {OWN}");
                        said = Some(why);
                    }
                }
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    async fn try_to_connect(&self, proof: Duration) -> Result<MultiplexedConnection, String> {
        let connection = connected(&self.client).await.map_err(|error| error.to_string())?;
        let until = Instant::now().checked_add(proof);
        self.beat(&connection).await?;
        while until.is_some_and(|until| Instant::now() < until) {
            sleep(PROOF).await;
            self.beat(&connection).await?;
        }
        Ok(connection)
    }

    /// Whether it answers in time.
    async fn beat(&self, connection: &MultiplexedConnection) -> Result<(), String> {
        let mut connection = connection.clone();
        let ping = redis::cmd("PING");
        match timeout(self.patience, ping.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }
}

/// What follows from it.
const OWN: &str = "this process counts in its own";

/// A new connection. What is asked on it has no time limit but the caller's.
pub(super) async fn connected(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config.set_pipeline_buffer_size(QUEUE)).await
}
