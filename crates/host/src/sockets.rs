//! Which sockets listen, and what this machine's addresses are: from `/proc/net`.
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::procfs;

/// A listening TCP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) inode: u64,
}

/// All listening TCP sockets of this network namespace.
pub(crate) fn listening() -> Vec<Listening> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

/// One row: `sl local remote state ... inode` with hexadecimal words in the machine's byte order.
fn parse(row: &str) -> Option<Listening> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    Some(Listening {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The user whose socket is connected from `from` to `to` on this machine.
pub(crate) fn user(from: SocketAddr, to: SocketAddr) -> Option<u32> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| text.lines().skip(1).find_map(|row| connected(row, from, to)))
}

fn connected(row: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let mut fields = row.split_ascii_whitespace().skip(1);
    let mut is = |wanted: SocketAddr| {
        let (address, port) = fields.next()?.split_once(':')?;
        let fits = u16::from_str_radix(port, 16).ok()? == wanted.port()
            && parse_address(address)?.to_canonical() == wanted.ip().to_canonical();
        fits.then_some(())
    };
    is(from)?;
    is(to)?;
    fields.nth(4)?.parse().ok()
}

fn parse_address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    match words[..] {
        [v4] => Some(Ipv4Addr::from(v4).into()),
        [_, _, _, _] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()),
        _ => None,
    }
}

/// The process that has a socket open; `None` if it belongs to another user and only root may see it.
pub(crate) fn holder(inode: u64) -> Option<u32> {
    let socket = format!("socket:[{inode}]");
    procfs::pids().find(|pid| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str())
    })
}

/// The addresses of this machine, including loopback.
pub(crate) fn own_addresses() -> BTreeSet<IpAddr> {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let inet6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let v6 = inet6.lines().filter_map(|line| {
        let bits = u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok()?;
        Some(IpAddr::from(Ipv6Addr::from(bits)))
    });
    local_v4(&trie).into_iter().map(IpAddr::from).chain(v6).collect()
}

/// Finds each `|-- ADDRESS` that is followed by `/32 host LOCAL`.
fn local_v4(trie: &str) -> Vec<Ipv4Addr> {
    let mut last: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_both_families() {
        let v4 = "   0: 0100007F:1F81 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
        let listening = Listening { address: Ipv4Addr::LOCALHOST.into(), port: 8065, inode: 4711 };
        assert_eq!(parse(v4), Some(listening));
        let v6 = v4.replace("0100007F", "00000000000000000000000001000000");
        assert_eq!(parse(&v6).map(|l| l.address), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(parse(&v4.replace(" 0A ", " 01 ")), None, "connected, not listening");
        assert_eq!(parse("   0: cut"), None);
    }

    #[test]
    fn a_connection_has_the_user_of_the_side_that_made_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (from, to) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(user(from, to), Some(rustix::process::geteuid().as_raw()));
        assert_eq!(user(to, "127.0.0.1:1".parse().unwrap()), None);
    }

    #[test]
    fn addresses_of_a_trie() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_v4(trie), [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::LOCALHOST]);
    }
}
