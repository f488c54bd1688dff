//! Which user of this machine a connection comes from.
//!
//! An address tells one machine from another, and nothing about who uses it: a load balancer on the edge's own machine has the same
//! address as every user there. The kernel knows the owner of the socket at the other end, and says it to everybody who asks for that one
//! socket (`sock_diag`). What it does not say is not believed.
//!
//! Rejected: `/proc/net/tcp`, which lists every socket of the machine for each question; a secret in a header, which no load balancer
//! sends unless it is told to.

use std::net::{IpAddr, SocketAddr};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// The first id of a person's account; those below belong to root and to services.
const FIRST_PERSON: u32 = 1000;

/// The users of this machine whose programs may be trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LocalProxies {
    /// Root, the accounts of services (ids below 1000), and the user that runs the edge.
    #[default]
    Services,
    /// Root and the users with these ids.
    Users(Vec<u32>),
    /// Everybody who can run a program here.
    Everybody,
}

impl LocalProxies {
    /// Whether the programs of a user may be; `me` runs the edge.
    fn has(&self, user: u32, me: u32) -> bool {
        match self {
            Self::Services => user < FIRST_PERSON || user == me,
            Self::Users(users) => user == 0 || users.contains(&user),
            Self::Everybody => true,
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A program on this machine, of the user with this id; `None` where its socket is closed already.
    Here(Option<u32>),
    /// Another machine, or another container.
    Elsewhere,
}

/// Decides about connections from the address of a trusted proxy.
#[derive(Debug)]
pub(crate) struct LocalPeers {
    allowed: LocalProxies,
    me: u32,
    /// The kernel's answers; `None` where it gives none.
    kernel: Option<OwnedFd>,
}

impl LocalPeers {
    pub(crate) fn new(allowed: LocalProxies) -> Self {
        let kernel = match allowed {
            LocalProxies::Everybody => None,
            _ => open()
                .inspect_err(
                    |error| tracing::warn!(%error, "no program on this machine is believed as a proxy"),
                )
                .ok(),
        };
        Self { allowed, me: rustix::process::geteuid().as_raw(), kernel }
    }

    /// Whether the program that connects from `peer` to our own address `local` may be a trusted proxy, as far as it runs on this machine.
    pub(crate) fn may_be_proxy(&self, peer: SocketAddr, local: SocketAddr) -> bool {
        if self.allowed == LocalProxies::Everybody {
            return true;
        }
        let asked = self.kernel.as_ref().ok_or(Errno::NOSYS).and_then(|kernel| ask(kernel, peer, local));
        match asked {
            Ok(End::Here(user)) => user.is_some_and(|user| self.allowed.has(user, self.me)),
            Ok(End::Elsewhere) => !is_own(peer, local),
            Err(error) => {
                tracing::debug!(%error, %peer, "the kernel does not say whose connection this is");
                !is_own(peer, local)
            }
        }
    }
}

/// Whether an address is certainly this machine's.
fn is_own(peer: SocketAddr, local: SocketAddr) -> bool {
    let (peer, local) = (peer.ip().to_canonical(), local.ip().to_canonical());
    peer.is_loopback() || peer == local
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))
}

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `IPPROTO_TCP`
const TCP: u8 = 6;
/// The length of a message's head.
const HEAD: usize = 16;

/// Asks for the socket at the other end. The kernel answers within the call that asks.
fn ask(kernel: &OwnedFd, peer: SocketAddr, local: SocketAddr) -> Result<End, Errno> {
    let question = question(peer, local);
    sendto(kernel, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 512];
    let (_, length) = recv(kernel, &mut answer[..], RecvFlags::empty())?;
    read(answer.get(..length).unwrap_or(&answer))
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn question(peer: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (from, to) = (peer.ip().to_canonical(), local.ip().to_canonical());
    let bytes = |address: IpAddr| {
        let mut bytes = [0; 16];
        match address {
            IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes = address.octets(),
        }
        bytes
    };
    let scope = match peer {
        SocketAddr::V6(peer) if peer.ip().is_unicast_link_local() => peer.scope_id(),
        _ => 0,
    };
    let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut body: Vec<u8> = vec![u8::try_from(family.as_raw()).unwrap_or_default(), TCP, 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(peer.port().to_be_bytes());
    body.extend(local.port().to_be_bytes());
    body.extend(bytes(from));
    body.extend(bytes(to));
    body.extend(scope.to_ne_bytes());
    // No cookie: the kernel compares none.
    body.extend([u8::MAX; 8]);
    let length = u32::try_from(HEAD + body.len()).unwrap_or_default();
    let head =
        [&length.to_ne_bytes()[..], &BY_FAMILY.to_ne_bytes(), &REQUEST.to_ne_bytes(), &[0; 8]].concat();
    [head, body].concat()
}

/// `struct nlmsghdr`, then an error's number or `struct inet_diag_msg`.
fn read(answer: &[u8]) -> Result<End, Errno> {
    let word = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or(Errno::BADMSG)
    };
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    match kind {
        Some(BY_FAMILY) => {
            let (user, inode) = (word(HEAD + 64)?, word(HEAD + 68)?);
            // A socket that nobody has open any more is said to be root's.
            Ok(End::Here((inode != 0).then_some(user)))
        }
        Some(ERROR) => match Errno::from_raw_os_error(-word(HEAD)?.cast_signed()) {
            Errno::NOENT => Ok(End::Elsewhere),
            error => Err(error),
        },
        _ => Err(Errno::BADMSG),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn asked(peer: SocketAddr, local: SocketAddr) -> Result<End, Errno> {
        ask(&open().expect("a socket of the kernel's"), peer, local)
    }

    #[test]
    fn the_owner_of_a_connection_is_known_until_it_closes_it() {
        let me = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).expect("an address");
            let port = listener.local_addr().expect("an address").port();
            let host = if address == "[::1]:0" { "[::1]" } else { "127.0.0.1" };
            let client = TcpStream::connect(format!("{host}:{port}")).expect("a connection");
            let (socket, peer) = listener.accept().expect("accepted");
            let local = socket.local_addr().expect("an address");
            assert_eq!(asked(peer, local), Ok(End::Here(Some(me))), "{address}");
            // A closed socket has no owner; the kernel gives it root's number.
            drop(client);
            assert!(!matches!(asked(peer, local), Ok(End::Here(Some(_)))), "{address}");
        }
    }

    #[test]
    fn another_machine_is_elsewhere() {
        let (peer, local) = ("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:80".parse().unwrap());
        assert_eq!(asked(peer, local), Ok(End::Elsewhere));
        assert!(LocalPeers::new(LocalProxies::Services).may_be_proxy(peer, local));
        // An address of this machine at which no socket is known is nobody's.
        let gone = "127.0.0.1:1".parse().unwrap();
        assert!(!LocalPeers::new(LocalProxies::Services).may_be_proxy(gone, local));
    }

    #[test]
    fn services_are_believed_and_persons_are_not_unless_they_are_named() {
        for (allowed, user, believed) in [
            (LocalProxies::Services, 0, true),
            (LocalProxies::Services, 33, true),
            (LocalProxies::Services, 999, true),
            (LocalProxies::Services, 1000, false),
            (LocalProxies::Services, 65_534, false),
            (LocalProxies::Services, 1001, true),
            (LocalProxies::Users(vec![33]), 0, true),
            (LocalProxies::Users(vec![33]), 34, false),
            (LocalProxies::Users(vec![33]), 1001, false),
            (LocalProxies::Everybody, 1000, true),
        ] {
            assert_eq!(allowed.has(user, 1001), believed, "{allowed:?} {user}");
        }
    }
}
