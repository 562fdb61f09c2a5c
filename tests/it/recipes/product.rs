//! A small product behind the proxy: it answers with what it got, and remembers it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Product {
    pub(super) address: SocketAddr,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    requests: Mutex<Vec<Value>>,
    connections: AtomicUsize,
}

impl Product {
    pub(super) async fn start() -> Self {
        Self::saying(Some(200)).await
    }

    /// One that answers everything with this status, or reads and never answers.
    pub(super) async fn saying(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let memory = Arc::new(Memory::default());
        tokio::spawn(serve(listener, status, Arc::clone(&memory)));
        Self { address, memory }
    }

    /// The requests that came through to it.
    pub(super) fn got(&self) -> Vec<Value> {
        self.memory.requests.lock().expect("no panic").clone()
    }

    /// How many that were.
    pub(super) fn requests(&self) -> usize {
        self.got().len()
    }

    /// Over how many connections they came.
    pub(super) fn connections(&self) -> usize {
        self.memory.connections.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, status: Option<u16>, memory: Arc<Memory>) {
    while let Ok((stream, _)) = listener.accept().await {
        memory.connections.fetch_add(1, Ordering::SeqCst);
        let memory = Arc::clone(&memory);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Ok(true) = respond(&mut stream, status, &memory).await {}
        });
    }
}

/// Answers one request, if there is another. For `/status/418` the answer has that status.
async fn respond(stream: &mut BufReader<TcpStream>, status: Option<u16>, memory: &Memory) -> std::io::Result<bool> {
    let Some(got) = read(stream).await? else { return Ok(false) };
    memory.requests.lock().expect("no panic").push(got.clone());
    let Some(status) = status else {
        // Until whoever asks has had enough.
        return stream.read_u8().await.map(|_| false);
    };
    let wanted = got["target"].as_str().and_then(|target| target.strip_prefix("/status/")?.parse().ok());
    let (status, body) = (wanted.unwrap_or(status), got.to_string());
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let body = if got["method"] == "HEAD" || status == 204 { "" } else { &*body };
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(true)
}

/// A whole request: its method, target, headers and body.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Value>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let Some((request, headers)) = lines.split_first() else { return Ok(None) };
    let headers: Vec<(String, &str)> =
        headers.iter().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value)).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().expect("a length"))];
    stream.read_exact(&mut body).await?;
    let mut words = request.split(' ');
    let (method, target) = (words.next(), words.next());
    Ok(Some(json!({"method": method, "target": target, "headers": headers, "body": String::from_utf8_lossy(&body)})))
}
