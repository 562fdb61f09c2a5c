//! Where a request comes from: the address under which it is counted by the limits that guard Plimsoll itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderValue, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The networks whose word is taken for where a request comes from.
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts the proxies in these networks. IPv4 addresses are to be written as such.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// One source of requests: an IPv4 address, or the /64 network of an IPv6 address, of which a customer has all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(IpAddr);

impl Source {
    /// The source of a request: who sent it, or if that is a trusted proxy, whom the proxies have it from.
    pub fn of(request: &HttpRequest, proxies: &TrustedProxies) -> Self {
        // Every connection has a peer; without one there is no address that could be told from others.
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if !proxies.trusts(peer) {
            return Self::at(peer);
        }
        Self::at(forwarded(peer, request.headers().get_all(X_FORWARDED_FOR).rev(), proxies))
    }

    fn at(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }
}

/// The first address, from the last entry on, that is not a trusted proxy. Whatever stands before it could be invented by its
/// owner. What is no address ends the walk: then the last good one counts.
fn forwarded<'a>(peer: IpAddr, headers: impl Iterator<Item = &'a HeaderValue>, proxies: &TrustedProxies) -> IpAddr {
    let mut last = peer;
    for header in headers {
        // As bytes: what a stranger wrote must not spoil what a proxy wrote behind it.
        for entry in header.as_bytes().rsplit(|byte| *byte == b',') {
            let Some(address) = address_in(entry.trim_ascii()) else { return last };
            if !proxies.trusts(address) {
                return address;
            }
            last = address;
        }
    }
    last
}

/// The address in an entry. Some proxies add the port.
fn address_in(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let with_port = || entry.parse().map(|address: SocketAddr| address.ip()).ok();
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PROXIES: [&str; 3] = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"];

    /// The source of a request of this peer with these headers.
    fn source(peer: &str, headers: &[&str]) -> String {
        let proxies = TrustedProxies::new(PROXIES.iter().map(|network| network.parse().expect("a network")).collect());
        let peer = SocketAddr::new(peer.parse().expect("an address"), 40_000);
        let request = headers
            .iter()
            .fold(TestRequest::get().peer_addr(peer), |request, value| request.append_header(("X-Forwarded-For", *value)));
        Source::of(&request.to_http_request(), &proxies).to_string()
    }

    #[test]
    fn who_is_not_a_trusted_proxy_is_the_source_whatever_the_header_says() {
        assert_eq!(source("203.0.113.9", &[]), "203.0.113.9");
        assert_eq!(source("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(source("192.0.2.8", &["198.51.100.1, 10.0.0.1"]), "192.0.2.8");
        assert_eq!(source("2001:db8::1", &["198.51.100.1"]), "2001:db8::/64");
    }

    #[test]
    fn behind_trusted_proxies_the_last_address_that_is_not_one_of_them_counts() {
        assert_eq!(source("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(source("10.1.2.3", &["1.1.1.1, 198.51.100.1"]), "198.51.100.1", "what stands before it is invented");
        assert_eq!(source("10.1.2.3", &["1.1.1.1 ,198.51.100.1,192.0.2.7 , 10.9.9.9"]), "198.51.100.1");
        assert_eq!(source("fd00::1", &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn several_headers_are_read_as_one_list() {
        assert_eq!(source("10.1.2.3", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(source("10.1.2.3", &["1.1.1.1, 198.51.100.1", "192.0.2.7", "10.0.0.1"]), "198.51.100.1");
    }

    #[test]
    fn when_all_are_trusted_the_first_counts_and_without_a_header_the_peer() {
        assert_eq!(source("10.1.2.3", &["10.0.0.5, 192.0.2.7"]), "10.0.0.5");
        assert_eq!(source("10.1.2.3", &[]), "10.1.2.3");
    }

    #[test]
    fn what_is_no_address_ends_the_walk_and_the_last_good_one_counts() {
        for malformed in ["unknown", "", "198.51.100.256", "_hidden", "198.51.100.1 x", "1.2.3", "::g", "[10.0.0.1", "\u{e4}"] {
            assert_eq!(source("10.1.2.3", &[&format!("198.51.100.1, {malformed}")]), "10.1.2.3", "{malformed:?}");
            assert_eq!(source("10.1.2.3", &[&format!("198.51.100.1, {malformed}, 10.0.0.1")]), "10.0.0.1", "{malformed:?}");
            assert_eq!(source("10.1.2.3", &[malformed, "198.51.100.1"]), "198.51.100.1", "{malformed:?}");
        }
    }

    #[test]
    fn ports_are_left_out() {
        assert_eq!(source("10.1.2.3", &["198.51.100.1:52000"]), "198.51.100.1");
        assert_eq!(source("10.1.2.3", &["[2001:db8:1:2::9]:52000, [fd00::2]"]), "2001:db8:1:2::/64");
    }

    #[test]
    fn ipv6_sources_are_networks_and_ipv4_in_ipv6_is_ipv4() {
        assert_eq!(source("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::/64");
        assert_eq!(source("2001:db8:1:2:ffff::", &[]), "2001:db8:1:2::/64");
        assert_eq!(source("2001:db8:1:3::6", &[]), "2001:db8:1:3::/64");
        assert_eq!(source("::ffff:203.0.113.9", &[]), "203.0.113.9");
        assert_eq!(source("::ffff:10.1.2.3", &["::ffff:198.51.100.1, ::ffff:192.0.2.7"]), "198.51.100.1");
    }
}
