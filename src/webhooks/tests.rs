//! Whom a webhook may reach, and what is kept of its secrets.

use reqwest::dns::Resolve;
use secrecy::{ExposeSecret, SecretString};

use super::guard::Guarded;
use super::*;

fn allowed(networks: &[&str]) -> Allowed {
    Allowed::new(networks.iter().map(|network| network.parse().expect("a network")).collect())
}

fn refusal(url: &str, allowed: &Allowed) -> Option<String> {
    checked_url(url, allowed).err().map(|invalid| invalid.0)
}

#[test]
fn an_address_that_is_not_public_is_refused_however_it_is_written() {
    let none = allowed(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "[::1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::10.0.0.1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1:8443",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
    ] {
        let refused = refusal(&format!("http://{host}/hook"), &none).unwrap_or_else(|| panic!("{host}"));
        assert!(refused.contains("PLIMSOLL_WEBHOOK_ALLOW_PRIVATE"), "{host}: {refused}");
    }
    for url in ["https://example.com/hook", "http://1.1.1.1:8080/?a=b", "https://[2606:4700::1111]/"] {
        assert_eq!(refusal(url, &none), None, "{url}");
    }
}

#[test]
fn a_setting_allows_networks_and_no_others() {
    let some = allowed(&["127.0.0.0/8", "10.1.0.0/16"]);
    for url in ["http://127.0.0.1/", "http://localhost:9/", "http://[::ffff:127.0.0.1]/", "http://10.1.2.3/"] {
        assert_eq!(refusal(url, &some), None, "{url}");
    }
    for url in ["http://10.2.0.1/", "http://[::1]/", "http://169.254.169.254/"] {
        assert!(refusal(url, &some).is_some(), "{url}");
    }
}

#[test]
fn only_http_to_a_host_without_credentials_is_an_address() {
    let none = allowed(&[]);
    for url in [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com/#fragment",
        " https://example.com/",
        "https://example.com/a\u{0}",
        "https://example.com/a\tb",
        "https://",
        &format!("https://example.com/{}", "x".repeat(2_048)),
    ] {
        assert!(refusal(url, &none).is_some(), "{url}");
    }
}

#[test]
fn a_secret_is_kept_sealed_where_there_is_a_key() {
    let key = |text: &str| Vault::new(Some(&SecretString::from(text.to_owned())));
    let (shown, kept) = key("one").make().expect("a secret");
    let bytes = shown.expose_secret().strip_prefix("whsec_").map(|text| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    });
    let bytes = bytes.expect("a prefix");
    assert_eq!(bytes.len(), 32);
    assert!(kept.is_sealed && !kept.bytes.windows(8).any(|window| bytes.starts_with(window)));
    assert!(key("one").open(&kept).is_ok());
    assert!(key("two").open(&kept).is_err() && Vault::new(None).open(&kept).is_err());
    let (_, plain) = Vault::new(None).make().expect("a secret");
    assert!(!plain.is_sealed && key("one").open(&plain).is_ok(), "what was kept before there was a key still signs");
    assert!(!format!("{plain:?}").contains("bytes"), "and is never shown");
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_that_it_leads_to() {
    let resolved = async |networks: &[&str]| {
        let name = "localhost".parse().expect("a name");
        Guarded(allowed(networks)).resolve(name).await.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
    };
    let refused = resolved(&[]).await.expect_err("this machine");
    assert!(refused.to_string().contains("loopback"), "{refused}");
    let found = resolved(&["127.0.0.0/8"]).await.expect("allowed");
    assert!(!found.is_empty() && found.iter().all(std::net::IpAddr::is_ipv4), "only what is allowed: {found:?}");
}
