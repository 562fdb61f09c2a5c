//! An issuer for tests: a real https server on the loopback, whose answers can be changed while it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Certificate, Url};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::key_source::{OpenSource, strict_client};

/// What the server answers.
#[derive(Clone)]
pub(super) enum Answer {
    /// This document.
    Document(Value),
    /// So many spaces and then this document, its length announced or in chunks.
    Padded { document: Value, spaces: usize, chunked: bool },
    /// A redirect.
    Redirect(Url),
    /// An error page.
    Error,
    /// Nothing: the connection is closed.
    HangUp,
    /// Nothing: the connection stays open.
    Silence,
}

/// A running issuer.
pub(super) struct Issuer {
    state: Arc<State>,
    certificate: Certificate,
    url: Url,
}

struct State {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    /// A permit for each request that came.
    arrived: Semaphore,
    /// A request takes a permit before it is answered.
    may_answer: Semaphore,
}

impl Issuer {
    /// Starts a server that answers so.
    pub(super) async fn start(answer: Answer) -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let der = certified.cert.der().clone();
        let certificate = Certificate::from_der(&der).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![der], key.into());
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a TLS configuration")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("https://{address}/jwks.json").parse().expect("a URL");
        let state = Arc::new(State {
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
            arrived: Semaphore::new(0),
            may_answer: Semaphore::new(1_000),
        });
        tokio::spawn(serve(listener, acceptor, Arc::clone(&state)));
        Self { state, certificate, url }
    }

    /// Answers so from now on.
    pub(super) fn answers(&self, answer: Answer) {
        *self.state.answer.lock().expect("no panic") = answer;
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Keeps requests waiting until they are let go.
    pub(super) fn hold(&self) {
        self.state.may_answer.forget_permits(usize::MAX);
    }

    /// Lets requests go that were held.
    pub(super) fn let_go(&self) {
        self.state.may_answer.add_permits(1_000);
    }

    /// Waits until so many requests have come that nobody waited for.
    pub(super) async fn arrived(&self, requests: u32) {
        self.state.arrived.acquire_many(requests).await.expect("an open semaphore").forget();
    }

    /// Where it is.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// Its keys, by a client that trusts it.
    pub(super) fn source(&self) -> OpenSource {
        self.source_trusting(self)
    }

    /// Its keys, by a client that trusts another.
    pub(super) fn source_trusting(&self, other: &Self) -> OpenSource {
        let client = strict_client().tls_certs_only([other.certificate.clone()]).build().expect("a client");
        OpenSource::Https(client, self.url())
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(respond(stream, acceptor.clone(), Arc::clone(&state)));
    }
}

async fn respond(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    state.arrived.add_permits(1);
    state.may_answer.acquire().await.expect("an open semaphore").forget();
    let answer = state.answer.lock().expect("no panic").clone();
    if matches!(answer, Answer::Silence) {
        // The client gives up first.
        let _ = stream.read_u8().await;
    }
    stream.write_all(&written(&answer)).await?;
    stream.shutdown().await
}

fn written(answer: &Answer) -> Vec<u8> {
    let text = match answer {
        Answer::Document(document) => with_length(&document.to_string()),
        Answer::Padded { document, spaces, chunked: false } => with_length(&format!("{}{document}", " ".repeat(*spaces))),
        Answer::Padded { document, spaces, chunked: true } => {
            let (padding, document) = (" ".repeat(*spaces), document.to_string());
            let (first, second) = (padding.len(), document.len());
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{first:x}\r\n{padding}\r\n{second:x}\r\n{document}\r\n0\r\n\r\n"
            )
        }
        Answer::Redirect(url) => format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"),
        Answer::Error => "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Answer::HangUp | Answer::Silence => String::new(),
    };
    text.into_bytes()
}

fn with_length(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
