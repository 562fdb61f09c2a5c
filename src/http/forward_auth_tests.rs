//! What proxies say, and what of it is believed.

use super::*;
use actix_web::test::TestRequest;

fn asked(uri: &str, headers: &[(&str, &str)]) -> Result<(String, String), String> {
    let request = headers.iter().fold(TestRequest::get().uri(uri), |request, header| request.append_header(*header));
    let asked = Asked::of(&request.to_http_request());
    asked.map(|asked| (asked.method, asked.path)).map_err(|error| error.to_string())
}

#[test]
fn either_pair_of_headers_says_which_request_is_asked_about() {
    let expected = Ok(("POST".to_owned(), "/a?b=c".to_owned()));
    let forwarded = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/a?b=c")];
    let original = [("X-Original-Method", "POST"), ("X-Original-URI", "/a?b=c")];
    let mixed = [("X-Forwarded-Method", "POST"), ("X-Original-URI", "https://example.com/a?b=c")];
    for headers in [forwarded, original, mixed] {
        assert_eq!(asked("/v1/forward-auth", &headers), expected);
    }
    assert_eq!(asked("/v1/forward-auth?denyStatus=403", &[forwarded, original].concat()), expected);
}

#[test]
fn what_contradicts_itself_or_is_missing_is_not_believed() {
    let good = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/a")];
    for (more, named) in [
        (("X-Original-Method", "GET"), "X-Forwarded-Method"),
        (("X-Original-URI", "/b"), "X-Forwarded-Uri"),
        (("X-Forwarded-Uri", "/b"), "X-Forwarded-Uri"),
    ] {
        let refused = asked("/v1/forward-auth", &[good[0], good[1], more]).expect_err("a contradiction");
        assert!(refused.contains(named) && refused.contains("contradict"), "{refused}");
    }
    for missing in good {
        let refused = asked("/v1/forward-auth", &[missing]).expect_err("one is missing");
        assert!(refused.contains("is required"), "{refused}");
    }
    for bad in [("X-Forwarded-Uri", "a"), ("X-Forwarded-Uri", ""), ("X-Forwarded-Uri", "ftp://x/y")] {
        assert!(asked("/v1/forward-auth", &[good[0], bad]).is_err(), "{bad:?}");
    }
}

#[test]
fn what_follows_our_path_is_asked_about_whatever_the_headers_say() {
    let headers = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/other")];
    let expected = Ok(("GET".to_owned(), "/api/v1/x?denyStatus=403".to_owned()));
    assert_eq!(asked("/v1/forward-auth/api/v1/x?denyStatus=403", &headers), expected);
    assert_eq!(asked("/v1/forward-auth/", &[]), Ok(("GET".to_owned(), "/".to_owned())));
    for slip in ["/v1/forward-auth/", "/v1/forward-auth/?denyStatus=403"] {
        assert!(asked(slip, &headers).expect_err("a slash too many").contains("without the slash"), "{slip}");
    }
}

#[test]
fn addresses_lose_their_host() {
    let cases = [("https://a.b/c?d", "/c?d"), ("http://a.b", "/"), ("http://a.b?x=/y", "/?x=/y"), ("/c://d", "/c://d")];
    for (uri, path) in cases {
        assert_eq!(without_host(Cow::Borrowed(uri)), path);
    }
}

#[test]
fn in_disguise_it_is_told_when_to_try_again() {
    let told = Relayed::in_disguise(&ApiError::Unavailable);
    let header = |wanted: &str| told.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let header = |wanted| header(wanted).map(|(_, value)| value.as_str());
    assert_eq!((told.status, header("x-plimsoll-status"), header("retry-after")), (403, Some("503"), Some("1")));
}

#[test]
fn a_body_in_a_header_is_the_same_json_in_ascii() {
    let text = in_ascii("{\"replacement\":\"/créateurs 🚢\"}");
    assert!(text.is_ascii());
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["replacement"], "/créateurs 🚢");
}
