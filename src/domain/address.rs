//! Which addresses are of the public internet: webhooks go nowhere else unless a setting allows it.
//!
//! Whoever may enter a webhook must not reach through Plimsoll what stands beside it: neighbours, the machine itself, or what hands
//! out credentials to machines in clouds.

// The types only: nothing here opens a socket.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not public: the first address, how many bits tell the network, and what it is.
const V4: [(Ipv4Addr, u32, &str); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a provider"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // It hands out credentials to machines of a cloud, at an address that looks public.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a metadata service"),
    // Metadata services of other clouds are here too.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "reserved"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "reserved"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "reserved"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];
/// The one IPv6 network that public addresses are in.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// IPv6 networks that are not public, the same way.
const V6: [(Ipv6Addr, u32, &str); 8] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    // Protocol assignments: tunnels, benchmarks, overlays.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "reserved"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "reserved"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];
/// IPv6 networks whose addresses hold one of IPv4, and behind how many bits: mapped, translated, tunnelled.
const EMBEDDING: [(Ipv6Addr, u32, u32); 3] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16),
];

/// What an address is when it is not of the public internet.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match canonical(address) {
        IpAddr::V4(address) => {
            let found = V4.iter().find(|(network, bits, _)| is_in_v4(address, *network, *bits));
            found.map(|(.., what)| *what)
        }
        IpAddr::V6(address) => {
            let found = V6.iter().find(|(network, bits, _)| is_in_v6(address, *network, *bits));
            let (network, bits) = GLOBAL_UNICAST;
            found.map(|(.., what)| *what).or_else(|| (!is_in_v6(address, network, bits)).then_some("reserved"))
        }
    }
}

/// The address that is reached in the end: one of IPv4 where one of IPv6 holds it.
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedding = EMBEDDING.iter().find(|(network, bits, _)| is_in_v6(v6, *network, *bits));
    let held = embedding.and_then(|(.., before)| {
        let shifted = v6.to_bits().checked_shl(*before)?.checked_shr(96)?;
        u32::try_from(shifted).ok()
    });
    held.map_or(address, |bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

const fn is_in_v4(address: Ipv4Addr, network: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

const fn is_in_v6(address: Ipv6Addr, network: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        not_public(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"] {
            assert_eq!(of(text), None, "{text}");
        }
        for text in ["223.255.255.255", "169.253.0.1", "2606:4700::1111", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_beside_us_is_not() {
        let beside = [
            ("0.0.0.0", "unspecified"),
            ("10.1.2.3", "private"),
            ("100.100.100.200", "shared by a provider"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "a metadata service"),
            ("169.254.169.254", "link-local"),
            ("172.31.255.255", "private"),
            ("192.168.0.1", "private"),
            ("198.19.0.1", "reserved"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::7f00:1", "reserved"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::1", "reserved"),
            ("2002:7f00:1::", "loopback"),
            ("2001::1", "reserved"),
            ("2001:db8::1", "reserved"),
            ("100::1", "reserved"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
        ];
        for (text, what) in beside {
            assert_eq!(of(text), Some(what), "{text}");
        }
    }

    #[test]
    fn an_address_inside_another_is_the_one_that_is_reached() {
        for text in ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::9"] {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(canonical(address).to_string(), "10.0.0.1", "{text}");
        }
    }
}
