//! An endpoint of a product: a real HTTP server that keeps what it receives, and answers as a test wants it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest that something may take to be received.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Received {
    /// The id of the message.
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// What the message says happened.
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().expect("a type")
    }

    /// The org of the message, or nothing.
    pub(crate) fn org(&self) -> &str {
        self.body["org"].as_str().unwrap_or_default()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.body["sequence"].as_u64().expect("a number")
    }
}

/// How a message is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reaction {
    Status(u16),
    /// 302 to this place.
    Redirect(String),
    /// Nothing, and the connection stays open.
    Hang,
}

type Behaviour = Box<dyn FnMut(&Received) -> Reaction + Send>;

struct State {
    received: Vec<Received>,
    behaviour: Behaviour,
}

/// A server that receives.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        Self::that(|_| Reaction::Status(204)).await
    }

    /// One that answers like this.
    pub(crate) async fn that(behaviour: impl FnMut(&Received) -> Reaction + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { received: Vec::new(), behaviour: Box::new(behaviour) }));
        let kept = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, state, task }
    }

    /// Its address, with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers like this from now on.
    pub(crate) fn becomes(&self, behaviour: impl FnMut(&Received) -> Reaction + Send + 'static) {
        self.state.lock().expect("the state").behaviour = Box::new(behaviour);
    }

    /// What it has received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().expect("the state").received.clone()
    }

    /// Waits until what was received is as it should be.
    #[track_caller]
    pub(crate) fn until(&self, what: &'static str, is_so: impl Fn(&[Received]) -> bool) -> impl Future<Output = Vec<Received>> {
        let begun = Instant::now();
        async move {
            loop {
                let received = self.received();
                if is_so(&received) {
                    return received;
                }
                assert!(begun.elapsed() < DEADLINE, "{what}: {received:#?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until so many messages were received.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.until("too few messages", move |received| received.len() >= count).await
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut unread = Vec::new();
    while let Some(received) = request(&mut stream, &mut unread).await {
        let reaction = {
            let mut state = state.lock().expect("the state");
            state.received.push(received.clone());
            (state.behaviour)(&received)
        };
        let answer = match reaction {
            Reaction::Status(status) => format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"),
            Reaction::Redirect(place) => format!("HTTP/1.1 302 x\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"),
            Reaction::Hang => std::future::pending().await,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request on a connection; nothing when it ends.
async fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, unread).await?;
    };
    let head = String::from_utf8(unread[..end].to_vec()).expect("text");
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a path").to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let whole = end + 4 + length;
    while unread.len() < whole {
        more(stream, unread).await?;
    }
    let text = String::from_utf8(unread[end + 4..whole].to_vec()).expect("text");
    unread.drain(..whole);
    let body = serde_json::from_str(&text).unwrap_or_default();
    Some(Received { path, headers, text, body, at: Instant::now() })
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
    unread.extend_from_slice(&chunk[..read]);
    Some(())
}
