//! Texts for people in request bodies: bounded, and every one that is not is named.

use super::error::ApiError;
use crate::domain::limit_key::check_text;

/// The longest reason that a person gives.
pub const MAX_REASON: usize = 512;

/// A field, what it says, and how long it may be.
pub struct Text<'a>(pub &'static str, pub Option<&'a str>, pub usize);

/// Refuses texts that are too long or hold control characters.
pub fn checked<const N: usize>(texts: [Text<'_>; N]) -> Result<(), ApiError> {
    let issue = |Text(field, text, max): Text<'_>| Some(check_text(text?, max).err()?.at(field));
    let issues: Vec<_> = texts.into_iter().filter_map(issue).collect();
    if issues.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody(issues)) }
}
