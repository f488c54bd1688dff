//! Which addresses may be called: those of the internet, and those that `ServiceSettings.AllowedUntrustedInternalConnections` lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The hosts, addresses and networks that may be called although they are private.
#[derive(Debug, Default)]
pub(super) struct Targets {
    hosts: Vec<String>,
    networks: Vec<(IpAddr, u8)>,
}

impl Targets {
    /// Reads a list of host names, addresses and networks (`10.0.0.0/8`), separated by spaces or commas.
    pub(super) fn parse(list: &str) -> Targets {
        let mut targets = Targets::default();
        for one in list.split([' ', ',', '\t', '\n']).filter(|one| !one.is_empty()) {
            let (address, bits) = one.split_once('/').unwrap_or((one, ""));
            let bare = address.trim_start_matches('[').trim_end_matches(']');
            match bare.parse::<IpAddr>() {
                Ok(address) => {
                    let all = if address.is_ipv4() { 32 } else { 128 };
                    match bits.parse::<u8>() {
                        Ok(bits) if bits <= all => targets.networks.push((address, bits)),
                        _ if bits.is_empty() => targets.networks.push((address, all)),
                        // A network that cannot be read allows nothing.
                        _ => tracing::warn!(
                            entry = one,
                            "ServiceSettings.AllowedUntrustedInternalConnections has a network that is none"
                        ),
                    }
                }
                Err(_) => targets.hosts.push(one.to_ascii_lowercase()),
            }
        }
        targets
    }

    /// Whether `host` may be called at `address`.
    pub(super) fn allow(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !is_private(address)
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host.trim_end_matches('.')))
            || self.networks.iter().any(|(network, bits)| contains(*network, *bits, address))
    }

    /// Refuses an address that is written as one and may not be called. Names are checked when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if self.allow("", address) { Ok(()) } else { Err(address.to_string()) }
    }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// The networks that are not the internet (IANA's registries of special addresses).
const PRIVATE_V4: [([u8; 4], u8); 14] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The same of IPv6: unspecified and loopback, discard, documentation, unique local, link local, site local, multicast.
const PRIVATE_V6: [(u16, u16, u8); 8] = [
    (0x0100, 0, 64),
    (0x2001, 0, 23),
    (0x2001, 0x0db8, 32),
    (0x3fff, 0, 20),
    (0xfc00, 0, 7),
    (0xfe80, 0, 10),
    (0xfec0, 0, 10),
    (0xff00, 0, 8),
];

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => PRIVATE_V4
            .iter()
            .any(|(network, bits)| contains(Ipv4Addr::from_octets(*network).into(), *bits, address)),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            let low = Ipv4Addr::from_bits((v6.to_bits() & u128::from(u32::MAX)) as u32);
            match (a, b, c, d) {
                // IPv4 inside IPv6: translated (64:ff9b::/96 and its local part), 6to4, and the old compatible form.
                (0x64, 0xff9b, ..) => is_private(low.into()) || c != 0,
                (0x2002, ..) => is_private(Ipv4Addr::from_bits(u32::from(b) << 16 | u32::from(c)).into()),
                (0, 0, 0, 0) => true,
                _ => PRIVATE_V6.iter().any(|(first, second, bits)| {
                    contains(Ipv6Addr::new(*first, *second, 0, 0, 0, 0, 0, 0).into(), *bits, address)
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, host: &str, address: &str) -> bool {
        Targets::parse(list).allow(host, address.parse().expect("an address"))
    }

    #[test]
    fn private_networks_are_refused_in_every_notation() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!allows("", "a.example", private), "{private}");
        }
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
        {
            assert!(allows("", "a.example", public), "{public}");
        }
    }

    #[test]
    fn what_is_listed_is_allowed() {
        let list = "bot.internal, 10.1.0.0/16 127.0.0.1 fd00::/8 10.2.0.0/99 [::1]";
        for (host, address) in [
            ("bot.internal", "10.9.9.9"),
            ("BOT.internal.", "127.0.0.9"),
            ("x", "10.1.255.1"),
            ("x", "127.0.0.1"),
            ("x", "::ffff:127.0.0.1"),
            ("x", "fd12::1"),
            ("x", "::1"),
        ] {
            assert!(allows(list, host, address), "{host} {address}");
        }
        for (host, address) in
            [("sub.bot.internal", "10.9.9.9"), ("x", "10.2.0.1"), ("x", "127.0.0.2"), ("x", "fe80::1")]
        {
            assert!(!allows(list, host, address), "{host} {address}");
        }
        assert!(allows("0.0.0.0/0", "x", "10.0.0.1") && !allows("0.0.0.0/0", "x", "::1"));
    }

    #[test]
    fn addresses_in_a_url_are_checked_however_they_are_written() {
        let targets = Targets::default();
        for private in [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:80/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(targets.check(&Url::parse(private).expect("a URL")).is_err(), "{private}");
        }
        assert!(
            targets.check(&Url::parse("http://localhost/").expect("a URL")).is_ok(),
            "a name is checked later"
        );
    }
}
