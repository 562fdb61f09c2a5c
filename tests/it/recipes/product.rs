//! A small product behind the proxy: it answers with what it got, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Product {
    pub(super) address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Product {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, Arc::clone(&requests)));
        Self { address, requests }
    }

    /// How many requests came through to it.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, requests: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(respond(stream, Arc::clone(&requests)));
    }
}

/// Answers one request. For `/status/418` the answer has that status.
async fn respond(stream: TcpStream, requests: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let Some((request, headers)) = lines.split_first() else { return Ok(()) };
    requests.fetch_add(1, Ordering::SeqCst);
    let headers: Vec<(String, &str)> =
        headers.iter().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value)).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let got = got(method, target, &headers, &String::from_utf8_lossy(&body)).to_string();
    let status = target.strip_prefix("/status/").unwrap_or("200");
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        got.len()
    );
    stream.write_all(format!("{head}{got}").as_bytes()).await?;
    stream.shutdown().await
}

fn got(method: &str, target: &str, headers: &[(String, &str)], body: &str) -> Value {
    json!({"method": method, "target": target, "headers": headers, "body": body})
}
