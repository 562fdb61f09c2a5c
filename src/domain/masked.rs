//! What a caller sent, made fit for logs and messages: a credential in the wrong place must not be repeated there.

use std::borrow::Cow;

/// What stands in the place of a credential.
const MASK: &str = "***";
/// Hexadecimal digits in a row that no id of ours has: those of an API key, also of one that was torn or written in capitals.
const HEX_RUN: usize = 40;
/// How every JWT begins: `{"` in base64url.
const JWT_START: &str = "eyJ";
/// Characters behind it that no word has.
const JWT_RUN: usize = 16;

/// Whether a text holds what looks like an API key or a JWT.
pub fn holds_credential(text: &str) -> bool {
    has_run(text, HEX_RUN, |byte| byte.is_ascii_hexdigit()) || holds_token(text)
}

/// Whether a text holds an API key whole, or a JWT. Hexadecimal digits alone may be anything, such as a trace's id.
pub fn holds_whole_credential(text: &str) -> bool {
    let is_key = |rest: &str| rest.bytes().take_while(u8::is_ascii_hexdigit).count() >= HEX_RUN;
    text.match_indices('_').any(|(at, _)| text.get(at.saturating_add(1)..).is_some_and(is_key)) || holds_token(text)
}

fn holds_token(text: &str) -> bool {
    text.match_indices(JWT_START).any(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
        length >= JWT_RUN
    })
}

fn has_run(text: &str, length: usize, is_part: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().split(|byte| !is_part(*byte)).any(|run| run.len() >= length)
}

/// The text, or a mask if it holds a credential.
pub fn masked(text: &str) -> Cow<'_, str> {
    if holds_credential(text) { Cow::Borrowed(MASK) } else { Cow::Borrowed(text) }
}

/// A path whose segments are masked where they hold a credential, also where its characters are percent-encoded.
pub fn masked_path(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(|segment| holds_credential(&decoded(segment))) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| if holds_credential(&decoded(segment)) { MASK } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// A segment without percent-encoding, as far as it matters here: what stands for ASCII.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut parts = segment.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(u8::is_ascii).zip(part.get(2..)) {
            Some((byte, rest)) => {
                text.push(char::from(byte));
                text.push_str(rest);
            }
            None => text.push_str(part),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_looks_like_a_credential_is_masked_and_nothing_else() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2ln";
        for secret in
            [format!("plm_{DIGITS}"), format!("x plm_{}", DIGITS.to_uppercase()), DIGITS[..63].to_owned(), token.to_owned()]
        {
            assert_eq!(masked(&secret), "***", "{secret}");
            assert_eq!(masked(&format!("limitKeys.{secret}.kind")), "***");
        }
        for plain in
            ["", "limitKeys.max_creators_per_org", "key_0192f0c1b7e07000a0000000000000aa", "eyJwords", "checks[0].amount"]
        {
            assert_eq!(masked(plain), plain);
        }
    }

    #[test]
    fn a_path_keeps_the_segments_that_hold_none() {
        let encoded = DIGITS.replace('a', "%61");
        for segment in [format!("plm_{DIGITS}"), format!("plm_{encoded}"), format!("%70lm_{DIGITS}")] {
            assert_eq!(masked_path(&format!("/v1/admin/api-keys/{segment}/rotate")), "/v1/admin/api-keys/***/rotate");
        }
        for plain in [
            "/",
            "/v1/orgs/acme/usage",
            "/x%0Aforged%20line",
            "/100%",
            "/%c3%bc/%zz",
            "/v1/x/key_0192f0c1b7e07000a0000000000000aa",
        ] {
            assert_eq!(masked_path(plain), plain);
        }
    }
}
