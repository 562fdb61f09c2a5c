//! The headers that tell a customer how much of its windows is left: `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers-10), and by a setting the older `X-RateLimit-*`.

use crate::domain::bound::Quantity;
use crate::domain::decision::{Decision, Detail};
use crate::domain::limit_key::{LimitKey, Rule};
use crate::domain::names::LimitKeyName;
use crate::domain::time::UtcMillis;

/// The largest whole number that a structured field can hold (RFC 9651, 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;
/// So many windows limit a usual request.
const USUAL_WINDOWS: usize = 4;
/// Room for two of them in a header.
const USUAL_LENGTH: usize = 96;

/// One window, as the headers speak of it.
struct Policy<'a> {
    name: &'a str,
    /// Calls.
    limit: Quantity,
    /// Seconds.
    length: u64,
    /// Calls.
    remaining: Quantity,
    /// Seconds until there is more.
    reset: u64,
}

impl<'a> Policy<'a> {
    /// Of a window that every request takes; nothing of one without a limit.
    fn of(limit_key: &'a LimitKey, decision: &Decision, now: UtcMillis) -> Option<Self> {
        match (&limit_key.rule, decision.detail) {
            (Rule::Rate { window_seconds, bucket, per_request: true }, Detail::Rate { limit, remaining, resets_at, .. }) => {
                Some(Self {
                    name: bucket,
                    limit: limit.limit()?,
                    length: *window_seconds,
                    remaining: remaining?,
                    reset: resets_at.map_or(*window_seconds, |at| now.seconds_until(at)),
                })
            }
            (Rule::Quota { per_request: true, .. }, Detail::Quota { amounts, window_start, resets_at }) => Some(Self {
                name: limit_key.name.as_str(),
                limit: amounts.max.limit()?,
                length: window_start.seconds_until(resets_at),
                remaining: amounts.remaining?,
                reset: now.seconds_until(resets_at),
            }),
            _ => None,
        }
    }

    /// Its name as a string of structured fields.
    fn write_name(&self, text: &mut String) {
        text.push('"');
        for letter in self.name.chars() {
            // A label is printable ASCII, so that two characters are all there is to escape.
            if matches!(letter, '\\' | '"') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push('"');
    }
}

/// A list of all of them: the name of each, and what follows it.
fn list<const N: usize>(policies: &[Policy<'_>], parameters: impl Fn(&Policy<'_>) -> [(&'static str, u64); N]) -> String {
    let mut text = String::with_capacity(USUAL_LENGTH);
    for (place, policy) in policies.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { ", " });
        policy.write_name(&mut text);
        for (name, value) in parameters(policy) {
            text.push_str(name);
            text.push_str(&value.to_string());
        }
    }
    text
}

/// The headers of a request that was decided. None when nothing limits it.
pub fn rate_headers<'a>(
    decisions: impl Iterator<Item = (&'a LimitKey, &'a Decision)>,
    now: UtcMillis,
    has_older: bool,
) -> Vec<(&'static str, String)> {
    let mut policies: Vec<Policy<'_>> = Vec::with_capacity(USUAL_WINDOWS);
    let mut seen: Vec<&LimitKeyName> = Vec::with_capacity(USUAL_WINDOWS);
    for (limit_key, decision) in decisions {
        // What every request takes comes first; the same window may be asked about once more.
        if !seen.contains(&&limit_key.name) {
            seen.push(&limit_key.name);
            policies.extend(Policy::of(limit_key, decision, now));
        }
    }
    let Some(tightest) = policies.iter().min_by_key(|policy| (policy.remaining, std::cmp::Reverse(policy.reset))) else {
        return Vec::new();
    };
    let number = |quantity: Quantity| quantity.get().min(LARGEST);
    let of_policy = |policy: &Policy<'_>| [(";q=", number(policy.limit)), (";w=", policy.length)];
    let of_state = |policy: &Policy<'_>| [(";r=", number(policy.remaining)), (";t=", policy.reset)];
    let mut headers = vec![("RateLimit-Policy", list(&policies, of_policy)), ("RateLimit", list(&policies, of_state))];
    if has_older {
        headers.push(("X-RateLimit-Limit", tightest.limit.get().to_string()));
        headers.push(("X-RateLimit-Remaining", tightest.remaining.get().to_string()));
        // Seconds since the epoch, as most who send it mean it.
        let reset = now.plus_seconds(tightest.reset).get().div_euclid(1_000);
        headers.push(("X-RateLimit-Reset", reset.to_string()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bound::Bound;
    use crate::domain::decision::WindowUse;
    use crate::domain::decision::{Amounts, counted};
    use crate::domain::effective::{Effective, Source};
    use crate::domain::limit_key::Per;
    use crate::domain::value::Value;
    use crate::domain::window::Window;

    fn limit_key(name: &str, rule: Rule) -> LimitKey {
        let default = rule.kind().nothing();
        let name = LimitKeyName::parse(name).expect("a name");
        LimitKey { name, rule, per: Per::Org, default, thresholds: None, description: String::new(), archived: None }
    }

    fn rate(bucket: &str, per_request: bool) -> LimitKey {
        limit_key("v1_api_requests_per_key", Rule::Rate { window_seconds: 60, bucket: bucket.to_owned(), per_request })
    }

    fn noon() -> UtcMillis {
        UtcMillis::parse("2026-11-22T12:00:00Z").expect("a time")
    }

    fn of_rate(max: Bound) -> Decision {
        let window = WindowUse { used: Quantity::saturating(58), frees_at: Some(noon().plus_millis(6_001)) };
        counted(Effective { value: Value::Max(max), source: Source::Tier }, window)
    }

    fn of_quota(max: u64, current: u64) -> Decision {
        let (max, current) = (Quantity::saturating(max), Quantity::saturating(current));
        let span = Window::Day.span(noon());
        let amounts = Amounts {
            current,
            held: Quantity::ZERO,
            max: Bound::Limited(max),
            requested: Quantity::ONE,
            remaining: Some(max.minus(current)),
        };
        Decision { detail: Detail::Quota { amounts, window_start: span.start, resets_at: span.end }, refusal: None }
    }

    fn daily() -> LimitKey {
        let rule = Rule::Quota { window: Window::Day, label: "API request".to_owned(), per_request: true };
        limit_key("max_api_requests_per_day", rule)
    }

    const SIXTY: Bound = Bound::Limited(Quantity::saturating(60));

    #[test]
    fn every_window_stands_in_both_headers_and_the_tightest_in_the_older_ones() {
        let (rate, daily, first, second) = (rate("v1Api", true), daily(), of_rate(SIXTY), of_quota(1_000, 400));
        let headers = rate_headers([(&rate, &first), (&daily, &second)].into_iter(), noon(), true);
        let expected = [
            ("RateLimit-Policy", r#""v1Api";q=60;w=60, "max_api_requests_per_day";q=1000;w=86400"#),
            ("RateLimit", r#""v1Api";r=2;t=7, "max_api_requests_per_day";r=600;t=43200"#),
            ("X-RateLimit-Limit", "60"),
            ("X-RateLimit-Remaining", "2"),
            ("X-RateLimit-Reset", "1795348807"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(headers, expected);
        assert_eq!(rate_headers([(&rate, &first)].into_iter(), noon(), false).len(), 2);
    }

    #[test]
    fn a_window_that_is_asked_about_again_is_spoken_of_once() {
        let (rate, first) = (rate("v1Api", true), of_rate(SIXTY));
        let headers = rate_headers([(&rate, &first), (&rate, &of_rate(SIXTY))].into_iter(), noon(), false);
        assert_eq!(headers[1].1, r#""v1Api";r=2;t=7"#);
    }

    #[test]
    fn what_has_no_limit_or_is_not_taken_by_every_request_is_not_spoken_of() {
        let (endless, aside) = (rate("v1Api", true), rate("exports", false));
        let decisions = [(&endless, &of_rate(Bound::Unlimited)), (&aside, &of_rate(SIXTY))];
        assert_eq!(rate_headers(decisions.into_iter(), noon(), true), []);
    }

    #[test]
    fn names_are_escaped_and_numbers_fit_a_structured_field() {
        let odd = rate(r#"a "b" \c"#, true);
        let huge = daily();
        let decisions = [(&odd, &of_rate(SIXTY)), (&huge, &of_quota(u64::MAX, 0))];
        let headers = rate_headers(decisions.into_iter(), noon(), false);
        assert_eq!(headers[0].1, r#""a \"b\" \\c";q=60;w=60, "max_api_requests_per_day";q=999999999999999;w=86400"#);
    }
}
