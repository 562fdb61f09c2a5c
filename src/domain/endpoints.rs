//! Finding out whether a request asks for an endpoint that the product no longer has.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::refusal::{Refusal, Removed};

/// The endpoints that were removed, ready to be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovedEndpoints {
    /// By method and number of segments, so that only what can match is looked at.
    patterns: HashMap<(String, usize), Vec<Pattern>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Nothing where any text will do.
    segments: Vec<Option<String>>,
    replacement: Option<String>,
}

impl Pattern {
    fn of(path: &str, replacement: Option<String>) -> Self {
        let segment = |text: &str| (!(text.starts_with('{') && text.ends_with('}'))).then(|| decoded(text).into_owned());
        Self { segments: path.split('/').map(segment).collect(), replacement }
    }

    fn matches(&self, path: &[Cow<'_, str>]) -> bool {
        let is_matched = |(wanted, given): (&Option<String>, &Cow<'_, str>)| match wanted {
            Some(literal) => literal == given,
            None => !given.is_empty(),
        };
        self.segments.len() == path.len() && self.segments.iter().zip(path).all(is_matched)
    }

    /// How much of it is literal, and of two that have as much, which has it earlier.
    fn rank(&self) -> (usize, Vec<bool>) {
        let literal = self.segments.iter().flatten().map(String::len).fold(0, usize::saturating_add);
        (literal, self.segments.iter().map(Option::is_some).collect())
    }
}

/// `%41` and `A` are the same path.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

impl RemovedEndpoints {
    /// Those of each method, path and replacement. Paths have `{name}` for their variable parts.
    pub fn of(endpoints: impl IntoIterator<Item = (String, String, Option<String>)>) -> Self {
        let mut patterns: HashMap<(String, usize), Vec<Pattern>> = HashMap::new();
        for (method, path, replacement) in endpoints {
            let pattern = Pattern::of(&path, replacement);
            patterns.entry((method, pattern.segments.len())).or_default().push(pattern);
        }
        for alike in patterns.values_mut() {
            // What comes first wins. The sort is stable, so of two that match the same the older one does.
            alike.sort_by_key(|pattern| std::cmp::Reverse(pattern.rank()));
        }
        Self { patterns }
    }

    /// The refusal of a request for one of them. What follows a `?` or `#` in the path is not looked at. Whoever may no longer get
    /// a thing may not ask for its head either.
    pub fn refuse(&self, method: &str, path: &str) -> Result<(), Refusal> {
        if self.patterns.is_empty() {
            return Ok(());
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<Cow<'_, str>> = path.split('/').map(decoded).collect();
        let of = |method: &str| self.patterns.get(&(method.to_owned(), segments.len()))?.iter().find(|p| p.matches(&segments));
        match of(method).or_else(|| if method == "HEAD" { of("GET") } else { None }) {
            None => Ok(()),
            Some(Pattern { replacement, .. }) => {
                Err(Refusal::Gone { what: Removed::Endpoint, replacement: replacement.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(paths: &[&str]) -> RemovedEndpoints {
        RemovedEndpoints::of(paths.iter().map(|path| ("GET".to_owned(), (*path).to_owned(), Some((*path).to_owned()))))
    }

    fn found(endpoints: &RemovedEndpoints, method: &str, path: &str) -> Option<String> {
        match endpoints.refuse(method, path) {
            Ok(()) => None,
            Err(Refusal::Gone { what: Removed::Endpoint, replacement }) => replacement,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn variable_parts_match_any_one_segment_and_the_query_is_not_looked_at() {
        let endpoints = removed(&["/creators/{id}/stats"]);
        let gone = ["/creators/7/stats", "/creators/7/stats?from=2020", "/creators/a%2Fb/stats", "/%63reators/7/st%61ts#x"];
        for path in gone {
            assert_eq!(found(&endpoints, "GET", path).as_deref(), Some("/creators/{id}/stats"), "{path}");
        }
        let there =
            ["/creators/7", "/creators//stats", "/creators/7/stats/", "/v1/creators/7/stats", "/Creators/7/stats", "/", ""];
        for path in there {
            assert_eq!(found(&endpoints, "GET", path), None, "{path}");
        }
    }

    #[test]
    fn a_method_stands_for_itself_and_get_for_head_too() {
        let endpoints = removed(&["/a"]);
        assert!(found(&endpoints, "HEAD", "/a").is_some());
        for method in ["POST", "get", "OPTIONS"] {
            assert_eq!(found(&endpoints, method, "/a"), None, "{method}");
        }
    }

    #[test]
    fn the_longest_literal_wins_whatever_the_order_of_entry() {
        let paths = ["/{a}/{b}/{c}", "/creators/{id}/stats", "/{any}/7/stats", "/creators/{id}/{what}", "/creators/7/{what}"];
        let cases = [
            ("/creators/8/stats", "/creators/{id}/stats"),
            ("/creators/7/stats", "/creators/{id}/stats"),
            ("/creators/7/posts", "/creators/7/{what}"),
            ("/creators/8/posts", "/creators/{id}/{what}"),
            ("/brands/7/stats", "/{any}/7/stats"),
            ("/brands/8/posts", "/{a}/{b}/{c}"),
        ];
        let mut backwards = paths;
        backwards.reverse();
        for order in [paths, backwards] {
            let endpoints = removed(&order);
            for (path, expected) in cases {
                assert_eq!(found(&endpoints, "GET", path).as_deref(), Some(expected), "{path}");
            }
        }
        let as_long = removed(&["/{a}/bb", "/aa/{b}"]);
        assert_eq!(
            found(&as_long, "GET", "/aa/bb").as_deref(),
            Some("/aa/{b}"),
            "as much literal: the one that has it earlier"
        );
    }
}
