//! Where a key set is read from: a file, or an https address by a client that does nothing more than it must.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::jwks::{DOCUMENT_MAX, KeySet, NoKeySet};
use crate::domain::issue::Invalid;

/// How long one reading over https may take, from the look-up of the name to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a JSON Web Key Set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A file.
    File(PathBuf),
    /// An https address.
    Https(Url),
}

impl JwksSource {
    /// From the setting: an https URL or the path of a file. Everything else with a scheme is refused, also
    /// plain http to this machine, and so are credentials in the URL.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("must be an https URL or the path of a file");
        if text.is_empty() {
            return Err(invalid());
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|_| invalid())?;
        if url.scheme() != "https" {
            return Err(invalid());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new("must not hold credentials"));
        }
        Ok(Self::Https(url))
    }

    /// Made ready for reading; fails with a sentence when there can be no TLS.
    pub(super) fn opened(self) -> Result<OpenSource, String> {
        match self {
            Self::File(path) => Ok(OpenSource::File(path)),
            Self::Https(url) => {
                let client = strict_client().build();
                let client = client.map_err(|error| format!("PLIMSOLL_JWT_JWKS cannot be read over https: {error}"))?;
                Ok(OpenSource::Https(client, url))
            }
        }
    }
}

/// The client for key sets. Its trust is the platform's, which `SSL_CERT_FILE` and `SSL_CERT_DIR` can name.
/// What the address does not say itself is not followed: no redirect, no proxy from the environment.
pub(super) fn strict_client() -> ClientBuilder {
    Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(FETCH_TIMEOUT)
        .connect_timeout(FETCH_TIMEOUT)
        // Readings are far apart: a kept connection would only grow stale.
        .pool_max_idle_per_host(0)
}

/// A place that can be read again and again.
#[derive(Debug)]
pub(super) enum OpenSource {
    /// A file.
    File(PathBuf),
    /// An https address with the client for it.
    Https(Client, Url),
}

/// Why a key set could not be read. The text never holds the address, whose query may be private.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The server could not be reached, or broke off.
    #[error("the server could not be read: {0}")]
    Http(String),
    /// The server answered something else than 200. Redirects are not followed.
    #[error("the server answered {0}, where only 200 will do")]
    Status(StatusCode),
    /// What came is no key set.
    #[error("{0}")]
    Document(#[from] NoKeySet),
}

impl OpenSource {
    /// Reads the keys, at most [`DOCUMENT_MAX`] bytes of them.
    pub(super) async fn read(&self) -> Result<KeySet, ReadError> {
        let document = match self {
            Self::File(path) => from_file(path).await?,
            Self::Https(client, url) => {
                let response = client.get(url.clone()).send().await.map_err(without_address)?;
                from_response(response).await?
            }
        };
        Ok(KeySet::parse(&document)?)
    }
}

async fn from_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut document = Vec::new();
    // One byte more than may be there tells that there is too much.
    let most = u64::try_from(DOCUMENT_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).await?.take(most).read_to_end(&mut document).await?;
    Ok(document)
}

async fn from_response(mut response: Response) -> Result<Vec<u8>, ReadError> {
    if response.status() != StatusCode::OK {
        return Err(ReadError::Status(response.status()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(without_address)? {
        if document.len().saturating_add(chunk.len()) > DOCUMENT_MAX {
            return Err(ReadError::Document(NoKeySet::TooLarge));
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// The error with all its causes, since the outermost says only that something failed.
fn without_address(error: reqwest::Error) -> ReadError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ReadError::Http(text)
}
