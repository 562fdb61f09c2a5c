//! Callers: who they are, and one method for each thing that tests do often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::answer::Answer;
use super::document::Document;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to one server.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    pub(super) document: Document,
    client: Client,
}

impl Wire {
    pub(super) async fn to(address: SocketAddr) -> Self {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        let client = client.build().expect("a client");
        let served = client.get(format!("http://{address}/openapi.json")).send().await.expect("the document");
        let text = served.text().await.expect("text");
        Self { address, document: Document::parse(&text), client }
    }
}

/// A caller.
#[derive(Clone)]
pub(crate) struct Actor {
    wire: Arc<Wire>,
    bearer: Option<String>,
    is_judged: bool,
    /// The revision that every answer to it must know.
    at_least: Option<u64>,
    /// The id of its API key, when a test made it.
    pub(crate) id: String,
}

impl Actor {
    pub(super) fn new(wire: &Arc<Wire>, bearer: Option<&str>) -> Self {
        Self { wire: Arc::clone(wire), bearer: bearer.map(str::to_owned), is_judged: true, at_least: None, id: String::new() }
    }

    pub(super) fn known_as(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// The same caller, whose answers are not held to the document: for those who ask so much that it would take too long.
    pub(crate) fn unjudged(&self) -> Self {
        Self { is_judged: false, ..self.clone() }
    }

    /// The same caller, who demands that every answer knows this revision.
    pub(crate) fn at_least(&self, revision: u64) -> Self {
        Self { at_least: Some(revision), ..self.clone() }
    }

    /// The credential.
    pub(crate) fn secret(&self) -> &str {
        self.bearer.as_deref().unwrap_or_default()
    }

    /// A request to be completed and sent.
    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let builder = self.wire.client.request(method.clone(), format!("http://{}{path}", self.wire.address));
        let builder = match &self.bearer {
            Some(bearer) => builder.header("Authorization", format!("Bearer {bearer}")),
            None => builder,
        };
        let builder = match self.at_least {
            Some(revision) => builder.header("Plimsoll-At-Least", revision),
            None => builder,
        };
        Request { wire: Arc::clone(&self.wire), method, path: path.to_owned(), builder, is_judged: self.is_judged }
    }

    /// One call; a body of null is none.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path);
        if body.is_null() { request.send().await } else { request.json(body).send().await }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &Value::Null).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call("PUT", path, &body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, &body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &Value::Null).await
    }

    /// Asks whether something may happen.
    pub(crate) async fn check(&self, question: Value) -> Answer {
        self.post("/v1/check", question).await
    }

    /// The same, answered as the product's customer is.
    pub(crate) async fn enforce(&self, question: Value) -> Answer {
        self.post("/v1/check?enforce=true", question).await
    }

    pub(crate) async fn put_limit_key(&self, name: &str, body: Value) -> Answer {
        self.put(&format!("/v1/admin/limit-keys/{name}"), body).await
    }

    pub(crate) async fn put_tier(&self, tier: &str) -> Answer {
        self.put(&format!("/v1/admin/tiers/{tier}"), json!({})).await
    }

    pub(crate) async fn put_value(&self, tier: &str, limit_key: &str, value: Value) -> Answer {
        self.put(&format!("/v1/admin/tiers/{tier}/limits/{limit_key}"), value).await
    }

    pub(crate) async fn put_org(&self, org: &str, tier: &str) -> Answer {
        self.put(&format!("/v1/admin/orgs/{org}"), json!({"tier": tier})).await
    }

    pub(crate) async fn put_catalog(&self, document: &Value) -> Answer {
        self.call("PUT", "/v1/admin/catalog", document).await
    }

    pub(crate) async fn create_key(&self, body: &Value) -> Answer {
        self.call("POST", "/v1/admin/api-keys", body).await
    }

    pub(crate) async fn create_override(&self, org: &str, body: &Value) -> Answer {
        self.call("POST", &format!("/v1/admin/orgs/{org}/overrides"), body).await
    }
}

/// A request in the making.
#[must_use]
pub(crate) struct Request {
    wire: Arc<Wire>,
    method: Method,
    path: String,
    builder: reqwest::RequestBuilder,
    is_judged: bool,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.builder = self.builder.header(name, value.as_ref());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    /// A body that need not be JSON, whatever the header says.
    pub(crate) fn bytes(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = self.header("Content-Type", content_type);
        Self { builder: request.builder.body(body.into()), ..request }
    }

    /// Sends it to a server that may be gone before it has answered; the answer is not held to the document.
    pub(crate) async fn try_send(self) -> Option<Answer> {
        let asked = format!("{} {}", self.method, self.path);
        let response = self.builder.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.ok()?;
        Some(Answer::new(asked, status, headers, &bytes))
    }

    pub(crate) async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        let response = self.builder.send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let answer = Answer::new(asked, status, headers, &bytes);
        if self.is_judged {
            self.wire.document.hold(self.method.as_str(), &self.path, &answer);
        }
        answer
    }
}
