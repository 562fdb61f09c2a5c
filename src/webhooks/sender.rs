//! One try: a request that goes where it may, waits no longer than it may, follows nothing, and reads little.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, redirect};

use super::guard::{Allowed, Guarded, checked_url};
use super::message::Message;

/// How much of an answer is read, so that its connection can be used again. Nothing of it is kept.
const ANSWER_BYTES: usize = 16 * 1_024;
/// Characters of what is noted when there was no answer.
const ERROR_CHARACTERS: usize = 200;
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 4;

/// How an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status, if there was an answer.
    pub(super) status: Option<u16>,
    /// Why there was none.
    pub(super) error: Option<String>,
}

/// Sends messages. Clones share their connections.
#[derive(Clone)]
pub(super) struct Sender {
    client: Client,
    allowed: Allowed,
}

impl Sender {
    /// That waits so long for an answer. What the address does not say itself is not followed: no redirect, no proxy from the
    /// environment. Trust is the platform's, which `SSL_CERT_FILE` and `SSL_CERT_DIR` can name.
    pub(super) fn new(allowed: Allowed, patience: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .dns_resolver(Arc::new(Guarded(allowed.clone())))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(patience)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .user_agent(concat!("Plimsoll/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, allowed })
    }

    /// Sends a message. An address in numbers is no name to be resolved, so it is judged here.
    pub(super) async fn send(&self, url: &str, message: Message) -> Answer {
        let url = match checked_url(url, &self.allowed) {
            Ok(url) => url,
            Err(invalid) => return Answer { status: None, error: Some(format!("the URL {}", invalid.0)) },
        };
        let Message { id, seconds, signatures, body } = message;
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").header("webhook-id", id);
        let request = request.header("webhook-timestamp", seconds.to_string()).header("webhook-signature", signatures);
        match request.body(body).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                read_a_little(response).await;
                Answer { status: Some(status), error: None }
            }
            Err(error) => Answer { status: None, error: Some(reason(error)) },
        }
    }
}

/// The status is the answer: what becomes of the rest changes nothing.
async fn read_a_little(mut response: Response) {
    let mut read = 0_usize;
    while read < ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => read = read.saturating_add(chunk.len()),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Why there was no answer, without the address, whose path may be a secret.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    // The outermost says only that something failed.
    let mut deepest: &dyn Error = &error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string().chars().filter(|character| !character.is_control()).take(ERROR_CHARACTERS).collect()
}
