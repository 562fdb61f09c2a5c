//! Answers to what never became a request: a malformed head (400), one that is too large (431) or too slow (408).
//!
//! The HTTP library writes those itself, without a body and without asking anybody. Here the connection puts the envelope in
//! their place, on the way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::error::ApiError;
use super::watched::{Serving, Watched};
use crate::telemetry::Connected;

/// What ends a head. An answer of ours has a body, so what is written ends otherwise.
const END: &[u8] = b"\r\n\r\n";
/// What the library says of a response without a body.
const NO_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";

/// A connection whose every response has the envelope.
pub struct Connection {
    stream: Watched,
    /// What is to be written instead of what the library wrote last.
    instead: Option<Vec<u8>>,
    /// Counted for as long as it is open.
    _connected: Connected,
}

impl Connection {
    /// Takes over an accepted connection.
    pub const fn new(stream: Watched, connected: Connected) -> Self {
        Self { stream, instead: None, _connected: connected }
    }

    /// Where the request that is served on it says what it wants.
    pub fn serving(&self) -> Serving {
        self.stream.serving()
    }

    /// Writes the rest of the replacement. The library believes that it wrote its own bytes.
    fn poll_instead(&mut self, context: &mut Context<'_>, replaced: usize) -> Poll<io::Result<usize>> {
        while let Some(rest) = self.instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..written);
        }
        self.instead = None;
        Poll::Ready(Ok(replaced))
    }
}

/// Where in these bytes the library's own response begins, and what it is to say. It is always the last on its connection.
fn bare_response(bytes: &[u8]) -> Option<(usize, ApiError)> {
    let heads = bytes.strip_suffix(END)?;
    let before = heads.windows(END.len()).rposition(|window| window == END);
    // What stands before it is an earlier answer, which ends with its body rather than with an empty line.
    let start = last_status_line(bytes, before.unwrap_or(0))?;
    let head = bytes.get(start..)?;
    let error = match head.get(..13)? {
        b"HTTP/1.1 400 " => ApiError::MalformedRequest,
        b"HTTP/1.1 408 " => ApiError::RequestTimeout,
        b"HTTP/1.1 431 " => ApiError::HeadTooLarge,
        _ => return None,
    };
    head.windows(NO_BODY.len()).any(|window| window.eq_ignore_ascii_case(NO_BODY)).then_some((start, error))
}

fn last_status_line(bytes: &[u8], from: usize) -> Option<usize> {
    const START: &[u8] = b"HTTP/1.1 ";
    let found = bytes.get(from..)?.windows(START.len()).rposition(|window| window == START)?;
    from.checked_add(found)
}

fn response(error: &ApiError) -> Vec<u8> {
    let (status, _) = error.kind();
    let reason = actix_web::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let body = error.body().to_string();
    format!(
        "HTTP/1.1 {status} {}\r\ncontent-length: {}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nx-request-id: {}\r\nconnection: close\r\n\r\n{body}",
        reason.unwrap_or_default(),
        body.len(),
        Uuid::new_v4().simple()
    )
    .into_bytes()
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_some() {
            return self.poll_instead(context, bytes.len());
        }
        if !bytes.ends_with(END) {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        match bare_response(bytes) {
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
            // Nobody has asked. A client that keeps connections ready would take it for the answer to what it asks next.
            Some((0, ApiError::RequestTimeout)) if self.stream.is_idle() => Poll::Ready(Ok(bytes.len())),
            Some((0, error)) => {
                self.instead = Some(response(&error));
                self.poll_instead(context, bytes.len())
            }
            // First what stands before it; then it comes by itself.
            Some((start, _)) => Pin::new(&mut self.stream).poll_write(context, bytes.get(..start).unwrap_or_default()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str =
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\n";
    const OURS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}";

    fn found(text: &str) -> Option<(usize, u16)> {
        bare_response(text.as_bytes()).map(|(start, error)| (start, error.kind().0))
    }

    #[test]
    fn a_response_of_the_library_is_found_also_behind_another() {
        assert_eq!(found(BARE), Some((0, 400)));
        assert_eq!(found(&format!("{OURS}{BARE}")), Some((OURS.len(), 400)));
        assert_eq!(found(&BARE.replace("400 Bad Request", "431 Request Header Fields Too Large")), Some((0, 431)));
        assert_eq!(found(&BARE.replace("400 Bad Request", "408 Request Timeout")), Some((0, 408)));
    }

    #[test]
    fn a_response_of_ours_is_left_as_it_is() {
        assert_eq!(found(OURS), None);
        assert_eq!(found(&BARE.replace("400 Bad Request", "200 OK")), None);
        // The head of a response to HEAD has no body, and says how long the body would be.
        assert_eq!(found(&BARE.replace("content-length: 0", "content-length: 42")), None);
    }
}
