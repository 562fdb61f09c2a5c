//! Addresses of Redis, as they are written in the settings.

use std::time::Duration;

use super::server::pem;
use crate::limiter::{Authorities, Place};

fn parsed(text: &str) -> Result<Place, String> {
    Place::parse(text, None, Duration::from_millis(100))
}

fn hosts(text: &str) -> Vec<String> {
    parsed(text).expect("an address").hosts()
}

#[test]
fn one_address_and_several_are_read() {
    assert_eq!(hosts("redis://cache.example"), ["cache.example:6379"]);
    assert_eq!(hosts("rediss://plimsoll:pass%2Cword@[::1]:7000/3"), ["[::1]:7000"]);
    assert_eq!(hosts("redis://:secret@a:1,b:2, c"), ["a:1", "b:2", "c:6379"]);
    assert_eq!(hosts("redis://:secret@a:1,redis://:secret@b:2"), ["a:1", "b:2"]);
}

#[test]
fn what_is_no_address_is_refused_and_not_repeated() {
    let wrong = [
        "",
        "redis",
        "redis:/hunter2",
        "redis://",
        "http://:hunter2@a",
        "unix:///hunter2",
        "redis://:hunter2@a:port",
        "redis://:hunter2@a/hunter2",
        "rediss://:hunter2@a#insecure",
        "redis://:hunter2@a,",
        "redis://:hunter2@a,b:hunter2",
        "redis://:hunter2@a,redis://b",
        "redis://:hunter2@a,rediss://:hunter2@b",
        "redis://:hunter2@a:1/2,b:1",
        "redis://:hun,ter2@a",
        "redis://:hunter2@0.0.0.0",
        "redis://:hunter2@a?protocol=hunter2",
    ];
    for text in wrong {
        let sentence = parsed(text).map(|place| place.hosts()).expect_err(text);
        assert!(!sentence.contains("hun") && !sentence.contains("ter2"), "{text}: {sentence}");
        assert!(sentence.starts_with("must ") || sentence.starts_with("names "), "{text}: {sentence}");
    }
}

#[test]
fn authorities_are_certificates_and_only_for_tls() {
    let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).expect("a certificate");
    let pem = pem("CERTIFICATE", made.cert.der());
    let authorities = || Authorities::parse(pem.clone().into_bytes()).expect("a certificate");
    assert!(Place::parse("rediss://a", Some(authorities()), Duration::ZERO).is_ok());
    assert!(Place::parse("redis://a", Some(authorities()), Duration::ZERO).is_err());
    for wrong in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(Authorities::parse(wrong.as_bytes().to_vec()).is_err(), "{wrong}");
    }
}
