//! What callers can rely on, over HTTP.

mod envelope;
