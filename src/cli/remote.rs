//! The catalogue of a running service, over HTTP.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};

use super::catalog_file::Compared;
use crate::by_hand::CHANGED;
use crate::config::secret_of;

/// The longest that a service may take: longer than it takes itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which running service to ask.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerSettings {
    /// The address of a running service, to ask it instead of a database: `https://plimsoll.example`.
    #[arg(long, env = "PLIMSOLL_SERVER", value_name = "PLIMSOLL_SERVER")]
    server: Option<String>,
    /// An API key of that service with the scope admin.
    #[arg(long, env = "PLIMSOLL_API_KEY", value_name = "PLIMSOLL_API_KEY", hide_env_values = true)]
    api_key: Option<SecretString>,
    /// A file that holds it instead.
    #[arg(long, env = "PLIMSOLL_API_KEY_FILE", value_name = "PLIMSOLL_API_KEY_FILE", conflicts_with = "api_key")]
    api_key_file: Option<PathBuf>,
}

impl ServerSettings {
    /// The service, if one is named.
    pub(super) fn remote(&self) -> Result<Option<Remote>, String> {
        let Some(server) = &self.server else { return Ok(None) };
        let key = secret_of(self.api_key.as_ref(), self.api_key_file.as_deref(), "PLIMSOLL_API_KEY")?;
        let key = key.ok_or("PLIMSOLL_SERVER is set, but neither PLIMSOLL_API_KEY nor PLIMSOLL_API_KEY_FILE is")?;
        Remote::by(Client::builder(), server.trim_end_matches('/').to_owned(), key).map(Some)
    }
}

/// A running service.
pub(super) struct Remote {
    client: Client,
    server: String,
    key: SecretString,
}

/// An answer that is no refusal.
struct Answer {
    revision: Option<u64>,
    data: Json,
}

impl Remote {
    fn by(client: ClientBuilder, server: String, key: SecretString) -> Result<Self, String> {
        // A credential is for the address that was given: it follows nobody elsewhere.
        let client = client.redirect(redirect::Policy::none()).referer(false).timeout(PATIENCE).build();
        let client = client.map_err(|error| format!("HTTP cannot be used: {error}"))?;
        Ok(Self { client, server, key })
    }

    /// A service of this very process: nothing is on the way to it.
    pub(super) fn own(address: SocketAddr, key: SecretString) -> Result<Self, String> {
        Self::by(Client::builder().no_proxy(), format!("http://{address}"), key)
    }

    /// Tells it the true count of what an org uses.
    pub(super) async fn reconcile(&self, org: &str, limit_key: &str, current: u64) -> Result<(), String> {
        let path = format!("/v1/orgs/{org}/usage/{limit_key}");
        self.asked(Method::PUT, &path, Some(&json!({"current": current})), None).await.map(drop)
    }

    /// Its catalogue as a document.
    pub(super) async fn catalog(&self) -> Result<Json, String> {
        Ok(self.asked(Method::GET, "/v1/admin/catalog", None, None).await?.data)
    }

    /// Applies a document, or asks what that would change.
    pub(super) async fn apply(
        &self,
        document: &Json,
        if_revision: Option<u64>,
        dry_run: bool,
        prune: bool,
    ) -> Result<Compared, String> {
        let path = format!("/v1/admin/catalog?dryRun={dry_run}&prune={prune}");
        let Answer { revision, data } = self.asked(Method::PUT, &path, Some(document), if_revision).await?;
        let difference = serde_json::from_value(data).map_err(|error| self.strange(&error.to_string()))?;
        let revision = revision.ok_or_else(|| self.strange("it names no revision"))?;
        Ok(Compared { difference, revision })
    }

    async fn asked(&self, method: Method, path: &str, body: Option<&Json>, if_revision: Option<u64>) -> Result<Answer, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.server)).bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(revision) = if_revision {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        let unreachable = |error: reqwest::Error| format!("The service at {} cannot be asked: {}", self.server, told(error));
        let response = request.send().await.map_err(unreachable)?;
        let (status, revision) = (response.status(), revision_of(&response));
        let bytes = response.bytes().await.map_err(unreachable)?;
        let mut envelope: Json = serde_json::from_slice(&bytes).map_err(|error| self.strange(&format!("{status}, {error}")))?;
        match status {
            StatusCode::OK => Ok(Answer { revision, data: envelope.get_mut("data").map(Json::take).unwrap_or_default() }),
            StatusCode::PRECONDITION_FAILED => Err(CHANGED.to_owned()),
            refused => Err(refusal(refused, &envelope)),
        }
    }

    fn strange(&self, why: &str) -> String {
        format!("The answer of {} is not one of Plimsoll: {why}", self.server)
    }
}

fn revision_of(response: &Response) -> Option<u64> {
    let tag = response.headers().get("etag")?.to_str().ok()?;
    tag.trim_matches('"').parse().ok()
}

/// What a refusal says: every finding, or else its sentence.
fn refusal(status: StatusCode, envelope: &Json) -> String {
    let text = |value: Option<&Json>| value.and_then(Json::as_str).unwrap_or_default().to_owned();
    let issues = envelope.pointer("/meta/issues").and_then(Json::as_array);
    let line = |issue: &Json| format!("{}: {}", text(issue.get("path")), text(issue.get("message")));
    match issues {
        Some(issues) if !issues.is_empty() => issues.iter().map(line).collect::<Vec<_>>().join("\n"),
        Some(_) | None => format!("{} ({})", text(envelope.get("error")), status.as_u16()),
    }
}

/// The error with all its causes, since the outermost says only that something failed.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
