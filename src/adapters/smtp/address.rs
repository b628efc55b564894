//! `is_public` decides which addresses a mail host may have. A name that resolves into the private network would let a
//! user who enrols a mailbox direct the workers at the machines beside them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_network::{Ipv4Network, Ipv6Network};

/// Returns whether `ip` is a public unicast address. An IPv4 address embedded in an IPv6 address is judged as IPv4.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !ip.is_multicast() && Ipv4Network::new(ip, 32).is_ok_and(|network| network.is_global())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Teredo (2001::/32) and local NAT64 (64:ff9b:1::/48) hide the target address, so they are never public.
    let segments = ip.segments();
    let tunnel = segments[..2] == [0x2001, 0] || segments[..3] == [0x64, 0xff9b, 1];
    !tunnel && Ipv6Network::new(ip, 128).is_ok_and(|network| network.is_unicast_global())
}

/// Returns the IPv4 address inside a NAT64 (RFC 6052), 6to4 (RFC 3056) or IPv4-compatible (RFC 4291) address.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    let v4 = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(v4(12)),
        [0x2002, ..] => Some(v4(2)),
        [0, 0, 0, 0, 0, 0, ..] => Some(v4(12)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_seen_through_every_disguise() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "ff0e::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "142.250.1.109", "2607:f8b0:400e:c00::6d", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
