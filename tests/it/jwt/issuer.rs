//! An issuer: a real https server on the loopback, whose key set can be changed while it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::forge::pem;

pub(super) struct Issuer {
    state: Arc<State>,
    /// What a program must trust to read from it.
    pub(super) certificate: String,
    pub(super) url: String,
}

struct State {
    key_set: Mutex<Value>,
    requests: AtomicUsize,
}

impl Issuer {
    pub(super) async fn start(key_set: Value) -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let chain = vec![certified.cert.der().clone()];
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key.into());
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a TLS configuration")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/jwks.json", listener.local_addr().expect("an address"));
        let state = Arc::new(State { key_set: Mutex::new(key_set), requests: AtomicUsize::new(0) });
        tokio::spawn(serve(listener, acceptor, Arc::clone(&state)));
        Self { state, certificate: pem("CERTIFICATE", certified.cert.der()), url }
    }

    /// Publishes another key set from now on.
    pub(super) fn publish(&self, key_set: Value) {
        *self.state.key_set.lock().expect("no panic") = key_set;
    }

    /// How often it was asked.
    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
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
    let body = state.key_set.lock().expect("no panic").to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}
