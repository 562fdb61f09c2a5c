//! Endpoints that the product no longer has: how their methods and paths are written.

use super::issue::Invalid;

/// The methods that an endpoint can have.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The longest path.
const MAX_PATH: usize = 512;
/// The longest name of a variable part.
const MAX_PARAMETER: usize = 64;

/// Accepts a method of HTTP in capitals.
pub fn check_method(method: &str) -> Result<(), Invalid> {
    if METHODS.contains(&method) { Ok(()) } else { Err(Invalid::new(format!("must be one of {}", METHODS.join(", ")))) }
}

/// Accepts a path whose segments are literals or `{name}`.
pub fn check_path(path: &str) -> Result<(), Invalid> {
    let invalid = || Invalid::new("must be a path such as /creators/{id}/stats, of at most 512 characters and without a query");
    let segments = path.strip_prefix('/').filter(|_| path.len() <= MAX_PATH).ok_or_else(invalid)?;
    if segments.split('/').all(|segment| is_literal(segment) || is_parameter(segment)) { Ok(()) } else { Err(invalid()) }
}

fn is_literal(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@%-".contains(&b))
}

fn is_parameter(segment: &str) -> bool {
    let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return false };
    match name.as_bytes() {
        [first, rest @ ..] if first.is_ascii_alphabetic() && rest.len() < MAX_PARAMETER => {
            rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_literals_and_parameters() {
        for good in ["/", "/creators", "/creators/{id}/stats", "/a//b", "/v1/x.json", "/a/{campaign_id}"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "creators", "/a?b=c", "/{}", "/{1a}", "/a{id}", "/a b", "/é", "/{id", "https://x/y"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
